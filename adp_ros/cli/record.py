"""``adp-ros record``: a bag of everything that runs on this ROS domain."""

import argparse
import os
import sys
from pathlib import Path

from ..bags.recorder import RecordSettings
from ..errors import ConfigError
from ..health import Level
from ..ros.arm_name import add_robot_name, namespace
from ..ros.launch_table import NodeSpec, check_parameters
from ..settings import add_flags, given_flags, share_directory
from .output import write_result


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.description = (
        "Record every topic, all parameters and the origin of the code into a bag "
        "for adp-ros replay and ros2 bag, until Ctrl-C. launch record:=true does the same."
    )
    add_flags(parser, RecordSettings, "directory", "frames", "compression", "min_free_space")
    parser.add_argument("--config", type=Path, help="parameter file (default: config/record.yaml)")
    add_robot_name(parser)


def run(arguments: argparse.Namespace) -> int:
    """Record until Ctrl-C; return 1 when the recording ended before."""
    file = arguments.config or share_directory(os.environ) / "config" / "record.yaml"
    spec = NodeSpec(
        name="record_node",
        executable="record_node",
        parameter_file=file,
        parameters=given_flags(arguments, RecordSettings),
        namespace=namespace(arguments.robot_name),
    )
    check_parameters([spec])
    try:
        from ..ros.record_node import record
    except ImportError as error:
        raise ConfigError(f"recording needs ROS 2: {error}") from error
    status, health = record(["record_node", *spec.ros_arguments()])
    if health is None:
        return status
    values = health.values
    text = (
        f"{values['bag']}: {values['written']} messages on {values['topics']} topics, "
        f"{values['size_mb']:.1f} MB, {values['dropped']} dropped"
    )
    write_result(arguments.json, dict(values), text)
    if health.level is Level.ERROR:
        sys.stderr.write(f"error: {health.message}\n")
        return 1
    return status
