"""Node that listens to torques and joints of the arm, for a calibration of the torque stop."""

import time
from typing import Any

from kinova_msgs.msg import JointAngles
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy

from ...arm.messages import joints_from_angles, torque_from_angles
from ...arm.robot import robot_named
from ...calibration import FreeMotion
from ...types import FloatArray

_SAMPLES = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)


class FreeMotionListener(Node):
    """Keeps every sample.

    Subscribes: /<robot_type>_driver/out/{joint_torques, joint_angles}

    Args:
        robot_type: Kinova's name of the arm.
        arguments: Further arguments of :class:`rclpy.node.Node`.
    """

    def __init__(self, robot_type: str, **arguments: Any) -> None:
        super().__init__("free_motion_listener", **arguments)
        self._torques: list[tuple[float, FloatArray]] = []
        self._joints: list[tuple[float, FloatArray]] = []
        robot = robot_named(robot_type)
        for name, callback in (
            ("joint_torques", self._on_torque),
            ("joint_angles", self._on_angles),
        ):
            self.create_subscription(JointAngles, robot.topic_out(name), callback, _SAMPLES)

    @property
    def samples(self) -> int:
        """Torque samples so far."""
        return len(self._torques)

    def motion(self) -> FreeMotion:
        """Return what was heard.

        Raises:
            SafetyError: Torques or joints are missing, or not finite.
        """
        return FreeMotion.joined(self._torques, self._joints)

    def _on_torque(self, message: JointAngles) -> None:
        self._torques.append((time.monotonic(), torque_from_angles(message)))

    def _on_angles(self, message: JointAngles) -> None:
        self._joints.append((time.monotonic(), joints_from_angles(message)))
