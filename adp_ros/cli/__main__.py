"""``python -m adp_ros.cli`` is ``adp-ros``."""

from . import entry

entry()
