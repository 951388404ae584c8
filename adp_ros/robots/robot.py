"""What an arm is to the rest of the package, and the door to all of them.

Names, topics, units, kinematics, limits, home, hand and messages of an arm are known here only.
"""

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Protocol

from ..doors import Door, lacks
from ..types import FloatArray, Pose, Sample, Twist

if TYPE_CHECKING:
    from .kinematics import ArmModel
    from .shape import ArmShape


class ArmMessages(Protocol):
    """The driver's messages from and to SI units; needs ROS."""

    def sample_from_message(
        self, topic: str, msg: Any, robot: Any, arrival: float, clock: float
    ) -> Sample:
        """Read one message of the driver as a sample for the controller.

        Args:
            topic: Name, as ``topic_out`` takes it.
            msg: The message.
            robot: The arm.
            arrival: Monotonic time of its arrival in [s].
            clock: ROS time of its arrival in [s].

        Raises:
            ArmError: It can't be read.
        """
        ...

    def state_from_messages(
        self, pose: Any, joints: Any, fingers: Any, robot: Any
    ) -> tuple[Pose, FloatArray, FloatArray]:
        """Read tool pose, joint state and finger position as one state.

        Returns:
            Tool pose, joint angles, shape (6,), and finger angles, shape (fingers,), in [rad].

        Raises:
            ArmError: One can't be read.
        """
        ...

    def opening_from_fingers(self, msg: Any, robot: Any) -> float:
        """Read the fingers' position: 0 closed to 1 open."""
        ...

    def velocity_message(
        self, twist: Twist, opening: float, rotation: FloatArray, angular_frame: str
    ) -> Any:
        """Make the driver's velocity command.

        Args:
            twist: Tool velocity in the base frame.
            opening: Gripper, 0 closed to 1 open.
            rotation: Orientation of the tool, tool -> base, shape (3, 3).
            angular_frame: Frame of the driver's angular velocity, ``tool`` or ``base``.
        """
        ...

    def joint_velocity_message(self, speeds: FloatArray) -> Any:
        """Make the driver's command of joint speeds, shape (6,), in [rad/s]."""
        ...


class Robot(Protocol):
    """One kind of arm with its hand, and its driver's names."""

    @property
    def robot_type(self) -> str:
        """Name of the kind of arm, also the prefix of its topics."""
        ...

    @property
    def fingers(self) -> int:
        """Number of fingers."""
        ...

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Names of the six arm joints."""
        ...

    @property
    def finger_names(self) -> tuple[str, ...]:
        """Names of the fingers' first joints."""
        ...

    @property
    def finger_tip_names(self) -> tuple[str, ...]:
        """Names of the fingers' further joints, empty without."""
        ...

    @property
    def base_frame(self) -> str:
        """Frame of the tool pose."""
        ...

    @property
    def messages(self) -> ArmMessages:
        """The driver's messages from and to SI units."""
        ...

    def topic_out(self, name: str) -> str:
        """Return the full name of a topic that the driver publishes, such as ``tool_pose``."""
        ...

    def topic_in(self, name: str) -> str:
        """Return the full name of a topic or service of the driver that takes commands."""
        ...

    def arm(self, inertia: str = ...) -> "ArmModel":
        """Return kinematics, limits, home and masses; ``inertia`` says whose masses."""
        ...

    def shape(self) -> "ArmShape":
        """Return its capsules."""
        ...

    def opening(self, fingers: FloatArray) -> float:
        """Turn finger positions in the driver's unit into their mean, 0 closed to 1 open."""
        ...

    def finger_angles(self, fingers: FloatArray) -> FloatArray:
        """Turn finger positions in the driver's unit into angles, shape (fingers,), in [rad]."""
        ...


_JACO2 = "adp_ros.robots.jaco2.interface"
_MEMBERS: Final = (
    *("robot_type", "fingers", "joint_names", "finger_names", "finger_tip_names", "base_frame"),
    *("messages", "topic_out", "topic_in", "arm", "shape", "opening", "finger_angles"),
)

ROBOTS: Final[Door[Robot]] = Door(
    group="adp_ros.robots",
    kind="robot_type",
    built_in=MappingProxyType(
        {
            "j2n6s200": f"{_JACO2}:J2N6S200",
            "j2n6s300": f"{_JACO2}:J2N6S300",
            "j2s6s200": f"{_JACO2}:J2S6S200",
            "j2s6s300": f"{_JACO2}:J2S6S300",
        }
    ),
    fault=lambda thing: lacks(thing, *_MEMBERS),
)


def robot_named(robot_type: str) -> Robot:
    """Return an arm by the name of its kind.

    Raises:
        ConfigError: Names the unknown kind and those that exist.
    """
    return ROBOTS.get(robot_type)
