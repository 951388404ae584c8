"""Names that follow from a robot type: joints, frames, topics and services of the driver."""

from dataclasses import dataclass

from ..errors import ConfigError
from ..kinematics import ROBOT_TYPES


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
