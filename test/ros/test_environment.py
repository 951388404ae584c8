"""Environment of the node processes."""

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from adp_ros.errors import ConfigError
from adp_ros.ros import node_process as run
from adp_ros.ros.environment import (
    PEERS_VARIABLE,
    PROFILE_VARIABLE,
    RANGE_VARIABLE,
    node_environment,
    transport_environment,
)

SHARE = Path(__file__).resolve().parents[2]
PARTICIPANT = """
import rclpy
from adp_ros.ros.node_process import complete_environment
complete_environment(pictures=False)
rclpy.init()
node = rclpy.create_node("participant")
print(open("/proc/self/maps").read())
"""
SPACE = "{http://www.eprosima.com}"


def test_variables_of_the_user_win():
    """What the user has set stays as it is."""
    assert node_environment({}) == {"MUJOCO_GL": "egl", "PYTHONUNBUFFERED": "1"}
    assert node_environment({"MUJOCO_GL": "osmesa"}) == {"PYTHONUNBUFFERED": "1"}
    mine = {PROFILE_VARIABLE: "/mine.xml"}
    assert transport_environment(SHARE, mine, pictures=True) == {}


@pytest.mark.parametrize("scope", ["SUBNET", "LOCALHOST"])
@pytest.mark.parametrize(("pictures", "kinds"), [(True, {"SHM", "UDPv4"}), (False, {"UDPv4"})])
def test_shared_memory_is_for_pictures_alone(pictures, kinds, scope):
    """The profile of the arm's side names no shared memory, also not as a built-in transport."""
    chosen = transport_environment(SHARE, {RANGE_VARIABLE: scope}, pictures=pictures)
    profile = ElementTree.parse(chosen[PROFILE_VARIABLE])
    assert {each.text for each in profile.iter(f"{SPACE}type")} == kinds
    assert profile.find(f".//{SPACE}useBuiltinTransports").text == "false"
    used = profile.find(f".//{SPACE}userTransports")
    assert len(used) == len(kinds)


@pytest.mark.parametrize("pictures", [True, False])
def test_localhost_keeps_to_the_loopback(pictures):
    """With LOCALHOST the profile names 127.0.0.1 alone; with peers by name rmw's own way stays."""
    here = {RANGE_VARIABLE: "LOCALHOST"}
    chosen = transport_environment(SHARE, here, pictures=pictures)
    assert chosen[RANGE_VARIABLE] == "SYSTEM_DEFAULT"
    profile = ElementTree.parse(chosen[PROFILE_VARIABLE])
    assert [each.text for each in profile.iter(f"{SPACE}address")] == 2 * ["127.0.0.1"]
    with_peers = transport_environment(SHARE, here | {PEERS_VARIABLE: "lab"}, pictures=pictures)
    assert RANGE_VARIABLE not in with_peers
    assert "loopback" not in with_peers[PROFILE_VARIABLE]


def test_missing_profile_is_an_error(tmp_path):
    """Fast DDS itself would pass over a profile that does not exist."""
    with pytest.raises(ConfigError, match=r"config/fastdds/udp\.xml, the Fast DDS profile"):
        transport_environment(tmp_path, {}, pictures=False)


def test_node_without_its_profile_ends_with_one_line(tmp_path, monkeypatch, capsys):
    """Exit status 2, as for any other setting that is wrong; no node is made."""
    monkeypatch.delenv(PROFILE_VARIABLE, raising=False)
    monkeypatch.setattr(run, "share_directory", lambda _: tmp_path)
    assert run.run_node(lambda: pytest.fail("a node was made"), []) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1


@pytest.mark.parametrize("scope", ["SUBNET", "LOCALHOST"])
def test_a_process_that_moves_the_arm_has_no_shared_memory(scope):
    """The kernel's list of a live participant's memory, not the profile, is what counts."""
    environment = os.environ | {"ROS_DOMAIN_ID": "83", RANGE_VARIABLE: scope}
    environment.pop(PROFILE_VARIABLE, None)
    result = subprocess.run(
        [sys.executable, "-c", PARTICIPANT],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "rcl" in result.stdout
    assert "/dev/shm/fastrtps" not in result.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--ros-args", "-p", "x"], "parse parameter override rule"),
        (["--ros-args", "--params-file", "/nope.yaml"], "params file: '--params-file /nope.yaml'"),
        (["--ros-args", "--no-such-flag"], "no-such-flag"),
    ],
)
def test_what_rcl_refuses_is_one_line(words, said, tmp_path):
    """A node with arguments that rcl can't read ends with status 2 and one line of ours."""
    code = f"import sys; from adp_ros.ros.camera_node import main; sys.exit(main({words!r}))"
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "ROS_DOMAIN_ID": "83"},
        check=False,
    )
    assert result.returncode == 2 and "Traceback" not in result.stderr
    ours = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(ours) == 1 and ours[0].startswith("error: ROS refuses to start: ")
    assert said in ours[0]
