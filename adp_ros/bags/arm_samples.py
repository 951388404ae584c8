"""What a bag holds of the arm: its driver's samples."""

import re
from pathlib import Path
from typing import Any, Final

from ..control.calibration import FreeMotion
from ..errors import BagError, ObservationError
from ..policies.conventions import ArmState
from ..robots.jaco2.messages import (
    joints_from_angles,
    torque_from_angles,
)
from ..robots.robot import ROBOTS, robot_named
from ..types import FloatArray
from .bag_reader import BagReader, Stored, problem_words

SAMPLES: Final = ("joint_torques", "joint_angles", "joint_state", "tool_pose", "finger_position")
_DRIVER_TOPIC: Final = re.compile(r"^/(\w+)_driver/out/\w+$")


def is_of_driver(topic: str) -> bool:
    """Tell whether a driver publishes a topic."""
    return _DRIVER_TOPIC.match(topic) is not None


def supported_robot(reader: BagReader) -> tuple[str, list[str]]:
    """Return the type of the arm in a bag, empty without one, and what is to be said about it."""
    drivers = {match[1] for name in reader.topics if (match := _DRIVER_TOPIC.match(name))}
    known = sorted(drivers & set(ROBOTS.names))
    problems = [
        f"driver of {name}: not a robot that is supported ({', '.join(ROBOTS.names)})"
        for name in sorted(drivers - set(ROBOTS.names))
    ]
    if len(known) > 1:
        problems.append(f"drivers of several robots: {', '.join(known)}; {known[0]} is replayed")
    if not known:
        problems.append("there are no topics of the arm's driver")
    return known[0] if known else "", problems


def arm_state(reader: BagReader, robot_type: str, elapsed: int) -> ArmState:
    """Return the newest state that had come at a time of the bag.

    Args:
        reader: The bag.
        robot_type: Kinova's name of the arm.
        elapsed: Time since the bag's first message, in [ns].

    Raises:
        BagError: A message can't be decoded.
        ConfigError: The robot is unknown.
        ObservationError: A part of it was not recorded.
    """
    robot = robot_named(robot_type)

    def newest(kind: str) -> Any:
        stored = reader.newest(robot.topic_out(kind), elapsed)
        if stored is None:
            raise ObservationError(f"nothing was recorded on {robot.topic_out(kind)}")
        return reader.decoder(stored.topic).decode(reader.data(stored))

    pose, joints, fingers = newest("tool_pose"), newest("joint_state"), newest("finger_position")
    return ArmState(*robot.messages.state_from_messages(pose, joints, fingers, robot))


def read_free_motion(path: Path, robot_type: str) -> FreeMotion:
    """Read torques and joints of a bag.

    Args:
        path: Folder of the bag, or one ``.mcap`` file.
        robot_type: Kinova's name of the arm, prefix of the driver's topics.

    Raises:
        BagError: It can't be read.
        SafetyError: Torques or joints are missing, or not finite.
    """
    robot, reader = robot_named(robot_type), BagReader(path)
    torques: list[tuple[float, FloatArray]] = []
    joints: list[tuple[float, FloatArray]] = []

    def take_torques(message: Any, stored: Stored) -> None:
        torques.append((1e-9 * stored.elapsed, torque_from_angles(message)))

    def take_joints(message: Any, stored: Stored) -> None:
        joints.append((1e-9 * stored.elapsed, joints_from_angles(message)))

    unusable = reader.decode(
        {
            robot.topic_out("joint_torques"): take_torques,
            robot.topic_out("joint_angles"): take_joints,
        }
    )
    if unusable:
        raise BagError("; ".join(problem_words(unusable)))
    return FreeMotion.joined(torques, joints)
