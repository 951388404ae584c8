"""The driver's names and units: joints, frames, topics, services, finger ticks.

Source: kinova-ros driver source. 0 ticks is open; 6800 ticks is closed and 80 degrees of the
finger's first joint. The policy's gripper number runs the other way: 1 is open.
"""

from dataclasses import dataclass
from math import radians
from typing import Final

import numpy as np

from ...types import FloatArray, Twist
from ..kinematics import ArmModel
from ..robot import ArmMessages
from ..shape import ArmShape
from .arms import arm_model
from .hull import jaco2_shape

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
class Jaco2:
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

    @property
    def messages(self) -> ArmMessages:
        """The driver's messages from and to SI units."""
        from . import messages  # ROS, which nothing else here needs

        return messages

    def arm(self, inertia: str = "kinova") -> ArmModel:
        """Return kinematics, limits, home and masses (``kinova``: URDF, or ``dm_control``)."""
        return arm_model(self.robot_type, inertia)

    def shape(self) -> ArmShape:
        """Return its capsules."""
        return jaco2_shape(self.robot_type[2], self.fingers)

    def opening(self, fingers: FloatArray) -> float:
        """Turn finger positions in ticks, shape (n,), into their mean, 0 closed to 1 open."""
        return float(sum(map(opening_from_ticks, fingers[: self.fingers])) / self.fingers)

    def finger_angles(self, fingers: FloatArray) -> FloatArray:
        """Turn finger positions in ticks into angles of the first joints in [rad]."""
        return RADIANS_PER_TICK * np.asarray(fingers[: self.fingers])


J2N6S200: Final = Jaco2("j2n6s200", 2)
J2N6S300: Final = Jaco2("j2n6s300", 3)
J2S6S200: Final = Jaco2("j2s6s200", 2)
J2S6S300: Final = Jaco2("j2s6s300", 3)
