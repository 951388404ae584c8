"""The launch file, read by ROS 2's own launch, starts the node table and refuses bad values."""

import os
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest

pytest.importorskip(
    "launch_ros",
    reason="the ROS 2 wheels have no launch_ros; prove it: with ROS 2 Jazzy from apt, "
    "colcon build && colcon test --packages-select adp_ros",
)

from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import Node

from adp_ros.errors import ConfigError
from adp_ros.ros.argument_table import launch_arguments
from adp_ros.ros.arm_claim import claim_arm
from launch import LaunchContext, LaunchDescription

ROOT = Path(__file__).parents[2]
DOMAINS = count(110)  # a launch has its arm until it ends
LAUNCH_FILE = ROOT / "launch" / "jaco2_task.launch.py"
LAUNCH_IT = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
source = PythonLaunchDescriptionSource({path!r})
include = IncludeLaunchDescription(source, launch_arguments=[("seed", "-1")])
service = LaunchService()
service.include_launch_description(LaunchDescription([include]))
sys.exit(service.run())
"""


@pytest.fixture
def description(monkeypatch: pytest.MonkeyPatch) -> LaunchDescription:
    """The launch file's description, as launch itself loads it; in a domain of its own."""
    monkeypatch.setenv("ROS_DOMAIN_ID", str(next(DOMAINS)))
    source = PythonLaunchDescriptionSource(str(LAUNCH_FILE))
    return source.get_launch_description(LaunchContext())


def nodes(description: LaunchDescription, **given: str) -> list[Node]:
    """Visit the description with arguments; return the nodes that it would start."""
    context = LaunchContext()
    context.launch_configurations.update(given)
    for entity in description.entities:
        result = entity.visit(context)
        if isinstance(entity, OpaqueFunction):
            return list(result)
    raise AssertionError("the launch file starts nothing")


def test_arguments_are_those_of_the_table(description: LaunchDescription) -> None:
    """Every argument of the table is declared with its description and choices."""
    declared = {a.name: a for a in description.entities if isinstance(a, DeclareLaunchArgument)}
    for argument in launch_arguments(ROOT):
        entry = declared.pop(argument.name)
        assert entry.description.startswith(argument.description)
        assert list(entry.choices or []) == list(argument.choices)
    assert not declared


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({}, ["sim_node", "camera_node", "controller_node", "inference_node"]),
        ({"robot": "kinova"}, ["camera_node", "controller_node", "inference_node"]),
        ({"robot": "none"}, ["controller_node", "inference_node"]),
    ],
)
def test_arguments_decide_which_nodes_start(
    given: dict[str, str], names: list[str], description: LaunchDescription
) -> None:
    """launch_ros gets the rows of the node table."""
    assert [node.node_executable for node in nodes(description, **given)] == names


@pytest.mark.parametrize(
    ("words", "refused"),
    [
        (["ros2", "launch", "adp_ros", LAUNCH_FILE.name, "tsak:=wipe_table"], True),
        (["ros2", "launch", str(LAUNCH_FILE), "task:=wipe_table", "zzz:=1"], True),
        (["ros2", "launch", "adp_ros", LAUNCH_FILE.name, "launch-prefix:=nice"], False),
        (["ros2", "launch", "lab", "whole_cell.launch.py", "cell:=3"], False),
    ],
)
def test_unknown_argument_is_refused(
    words: list[str],
    refused: bool,
    description: LaunchDescription,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As adp-ros launch does; the words of a launch file that includes ours are its own."""
    monkeypatch.setattr(sys, "argv", words)
    if refused:
        with pytest.raises(ConfigError, match="does not exist, (did you mean 'task'|known: task)"):
            nodes(description)
    else:
        assert nodes(description)


def test_second_launch_of_the_arm_is_refused(description: LaunchDescription) -> None:
    """While one launch has the arm, another one starts no node."""
    with claim_arm("j2n6s300"), pytest.raises(ConfigError, match="another launch .* has the arm"):
        nodes(description)


def test_bad_value_is_one_line_and_a_failure(tmp_path: Path) -> None:
    """A wrong value ends ``ros2 launch`` with a line that names it and a status that isn't 0."""
    script = tmp_path / "launch_it.py"
    script.write_text(LAUNCH_IT.format(path=str(LAUNCH_FILE)))
    result = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "ROS_LOG_DIR": str(tmp_path)},
        check=False,
    )
    output = result.stdout + result.stderr
    assert result.returncode != 0
    assert "seed is '-1', allowed: a whole number" in output
    assert "Traceback" not in output
