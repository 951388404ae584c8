"""Sphinx settings: `make docs` builds these pages into build/docs, offline, warnings as errors."""

from pathlib import Path
from xml.etree import ElementTree

project = "adp_ros"
version = release = ElementTree.parse(Path(__file__).parents[1] / "package.xml").findtext("version")
extensions = ["myst_parser"]
myst_heading_anchors = 3  # headings down to ### can be linked to
html_theme = "furo"  # loads nothing from the network, neither when built nor when read
html_title = f"adp_ros {version}"
html_copy_source = False
