"""Names of one arm in the graph: with two arms in one domain each has a namespace of its own."""

import argparse
import re
from typing import TYPE_CHECKING, Final

from ..errors import ConfigError
from ..robots.robot import ROBOTS

if TYPE_CHECKING:
    from rclpy.node import Node
    from rclpy.topic_endpoint_info import TopicEndpointInfo

UNNAMED: Final = "a node whose name is not known yet"
_NAME: Final = re.compile(r"[A-Za-z](_?[A-Za-z0-9])*")


def check_robot_name(name: str, robot_type: str) -> str:
    """Return a robot_name that ROS takes for a namespace, or the robot type for an empty one.

    Raises:
        ConfigError: It has other characters, or is the name of another kind of arm.
    """
    if not name:
        return robot_type
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"robot_name is {name!r}, allowed: letters, digits and single _ between them, "
            "beginning with a letter"
        )
    if name != robot_type and name in ROBOTS.names:
        raise ConfigError(
            f"robot_name is {name!r} with robot_type:={robot_type}, allowed: {robot_type}, or a "
            "name that is no robot type"
        )
    return name


def namespace(robot_name: str) -> str:
    """Return the namespace of an arm: ``/NAME``; empty for a robot type, which has plain names."""
    return "" if not robot_name or robot_name in ROBOTS.names else f"/{robot_name}"


def of_arm(node: "Node", name: str) -> str:
    """Return a full name, such as ``/adp/start``, inside the namespace of a node's arm."""
    return f"{node.get_namespace().rstrip('/')}{name}"


def publishers_of(node: "Node", topic: str) -> list[str]:
    """Return the full names of the nodes that publish a topic, sorted, one per publisher.

    The graph learns the name of a node a moment after its publishers; one that was killed is
    listed for a while.
    """
    return sorted(_full_name(end) for end in node.get_publishers_info_by_topic(topic))


def _full_name(end: "TopicEndpointInfo") -> str:
    if end.node_name == "_NODE_NAME_UNKNOWN_":
        return UNNAMED
    return f"{end.node_namespace.rstrip('/')}/{end.node_name}"


def namespace_arguments(robot_name: str) -> list[str]:
    """Return the arguments of ROS that put all nodes of a process into an arm's namespace."""
    own = namespace(robot_name)
    return ["--ros-args", "-r", f"__ns:={own}"] if own else []


def add_robot_name(parser: argparse.ArgumentParser) -> None:
    """Add which arm is meant."""
    parser.add_argument(
        "--robot-name",
        type=_robot_name,
        default="",
        metavar="NAME",
        help="arm that was launched with robot_name:=NAME (default: the one with plain names)",
    )


def _robot_name(text: str) -> str:
    try:
        return check_robot_name(text, text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
