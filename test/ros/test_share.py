"""Where config/ and launch/ are found, from a source tree and from an installation."""

import shutil
import sys
from pathlib import Path

import pytest

from adp_ros import settings as share
from adp_ros.errors import ConfigError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def installed_module(tmp_path, monkeypatch):
    """The module as it lies in an installation: no package.xml above it, an empty prefix."""
    place = tmp_path / "site-packages" / "adp_ros"
    place.mkdir(parents=True)
    monkeypatch.setattr(share, "__file__", shutil.copy(share.__file__, place))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "prefix"))
    return tmp_path


def make_share(prefix):
    """Make the directory that an installation has below its prefix."""
    directory = prefix / "share" / "adp_ros"
    (directory / "config").mkdir(parents=True)
    return directory


def test_source_tree_wins_over_installed_copies(tmp_path):
    """An edited file of the source tree is the one that is used."""
    if not (Path(share.__file__).resolve().parents[1] / "package.xml").is_file():
        pytest.skip("adp_ros is not imported from its source tree")
    make_share(tmp_path)
    assert share.share_directory({"AMENT_PREFIX_PATH": str(tmp_path)}) == ROOT


def test_colcon_prefix_wins_over_the_interpreters(installed_module):
    """A sourced workspace comes before the environment that Python runs in."""
    make_share(installed_module / "prefix")
    expected = make_share(installed_module / "install" / "adp_ros")
    prefixes = f"/nowhere:{installed_module / 'install' / 'adp_ros'}"
    assert share.share_directory({"AMENT_PREFIX_PATH": prefixes}) == expected


def test_interpreters_prefix_needs_no_environment(installed_module):
    """On the wheels nothing is exported: the virtual environment's own share/ is found."""
    expected = make_share(installed_module / "prefix")
    assert share.share_directory({}) == expected


def test_missing_files_are_named_with_the_places_searched(installed_module):
    """A broken installation says where it looked and what to do."""
    with pytest.raises(ConfigError, match="config/ of adp_ros not found in .*install it with") as e:
        share.share_directory({"AMENT_PREFIX_PATH": "/opt/ros/jazzy"})
    assert "/opt/ros/jazzy/share/adp_ros" in str(e.value)
    assert str(installed_module / "prefix" / "share" / "adp_ros") in str(e.value)
