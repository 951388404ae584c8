"""Environment of the node processes."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from adp_ros.environment import PROFILE_VARIABLE, node_environment, transport_environment

SHARE = Path(__file__).resolve().parents[1]
SPACE = "{http://www.eprosima.com}"


def test_variables_of_the_user_win():
    """What the user has set stays as it is."""
    assert node_environment({}) == {"MUJOCO_GL": "egl", "PYTHONUNBUFFERED": "1"}
    assert node_environment({"MUJOCO_GL": "osmesa"}) == {"PYTHONUNBUFFERED": "1"}
    mine = {PROFILE_VARIABLE: "/mine.xml"}
    assert transport_environment(SHARE, mine, pictures=True) == {}


@pytest.mark.parametrize(("pictures", "kinds"), [(True, {"SHM", "UDPv4"}), (False, {"UDPv4"})])
def test_shared_memory_is_for_pictures_alone(pictures, kinds):
    """The profile of the arm's side names no shared memory, also not as a built-in transport."""
    name = transport_environment(SHARE, {}, pictures=pictures)[PROFILE_VARIABLE]
    profile = ElementTree.parse(name)
    assert {each.text for each in profile.iter(f"{SPACE}type")} == kinds
    assert profile.find(f".//{SPACE}useBuiltinTransports").text == "false"
    used = profile.find(f".//{SPACE}userTransports")
    assert len(used) == len(kinds)
