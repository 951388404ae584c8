"""The driver's names and units: joints, frames, topics, services, finger ticks.

Source: kinova-ros driver source. 0 ticks is open; 6800 ticks is closed and 80 degrees of the
finger's first joint. The policy's gripper number runs the other way: 1 is open.
"""

from dataclasses import dataclass
from math import radians
from typing import Final

from ...errors import ConfigError
from ...types import FloatArray, Twist
from .kinematics import ROBOT_TYPES

CLOSED_TICKS: Final = 6800.0
RADIANS_PER_TICK: Final = radians(80.0) / CLOSED_TICKS


def closure_from_opening(opening: float) -> float:
    """Turn the policy's gripper number into the driver's closure percentage.

    Args:
        opening: 0 closed to 1 open; values outside are clipped.

    Returns:
        0 (open) to 100 (closed).
    """
    return 100.0 * (1.0 - min(max(opening, 0.0), 1.0))


def opening_from_ticks(ticks: float) -> float:
    """Turn a finger position in ticks into 0 closed to 1 open; values outside are clipped."""
    return 1.0 - min(max(ticks / CLOSED_TICKS, 0.0), 1.0)


def radians_from_ticks(ticks: float) -> float:
    """Turn a finger position in ticks into the angle of its first joint in [rad]."""
    return ticks * RADIANS_PER_TICK


def angular_for_driver(twist: Twist, rotation: FloatArray, angular_frame: str) -> FloatArray:
    """Express an angular velocity in the frame that the driver reads it in.

    Args:
        twist: Tool velocity in the base frame.
        rotation: Orientation of the tool, tool -> base, shape (3, 3).
        angular_frame: ``tool`` (what Kinova's staff answers) or ``base`` (what its README says).

    Returns:
        Shape (3,), in [rad/s].
    """
    return rotation.T @ twist.angular if angular_frame == "tool" else twist.angular


@dataclass(frozen=True, slots=True)
class Robot:
    """One robot type as the driver names it (kinova-ros README and source).

    Attributes:
        robot_type: Kinova's 8-character name, also the prefix of all names.
        fingers: Number of fingers.
    """

    robot_type: str
    fingers: int

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Names of the six arm joints."""
        return tuple(f"{self.robot_type}_joint_{i}" for i in range(1, 7))

    @property
    def finger_names(self) -> tuple[str, ...]:
        """Names of the fingers' first joints."""
        return tuple(f"{self.robot_type}_joint_finger_{i}" for i in range(1, self.fingers + 1))

    @property
    def finger_tip_names(self) -> tuple[str, ...]:
        """Names of the fingers' second joints, which the driver always reports as 0."""
        return tuple(f"{self.robot_type}_joint_finger_tip_{i}" for i in range(1, self.fingers + 1))

    @property
    def base_frame(self) -> str:
        """Frame of the tool pose."""
        return f"{self.robot_type}_link_base"

    def topic_out(self, name: str) -> str:
        """Return the full name of a topic that the driver publishes, such as ``tool_pose``."""
        return f"/{self.robot_type}_driver/out/{name}"

    def topic_in(self, name: str) -> str:
        """Return the full name of a topic or service of the driver that takes commands."""
        return f"/{self.robot_type}_driver/in/{name}"


def robot_named(robot_type: str) -> Robot:
    """Return the names of a robot type.

    Raises:
        ConfigError: Names the unknown type and those that exist.
    """
    if robot_type not in ROBOT_TYPES:
        raise ConfigError(f"robot_type is {robot_type!r}, allowed: {', '.join(ROBOT_TYPES)}")
    return Robot(robot_type, int(robot_type[5]))
