"""The driver's topics, as the controller sees them: samples in, velocities out."""

import time
from threading import Lock

from geometry_msgs.msg import PoseStamped
from kinova_msgs.msg import FingerPosition, JointAngles, PoseVelocityWithFingers
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState

from ...arm.messages import (
    joints_from_angles,
    joints_from_state,
    opening_from_fingers,
    pose_from_message,
    torque_from_angles,
    velocity_message,
)
from ...arm.robot import robot_named
from ...control import Command, Controller
from ...errors import ArmError
from ..messages.stamps import seconds

_LOG_PERIOD = 1.0  # [s] between lines about unreadable messages
# Best effort takes what reliable publishers send as well, and an old sample is not worth waiting.
_SAMPLES = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)


class ArmLink:
    """Hands every sample to the controller as it arrives, and sends its commands.

    Args:
        node: Owner of subscriptions and publisher.
        controller: Where samples go.
        lock: Held while the controller is used.
    """

    def __init__(self, node: Node, controller: Controller, lock: Lock) -> None:
        self._node = node
        self._controller = controller
        self._lock = lock
        self._frame = controller.settings.arm.angular_frame
        self.robot = robot_named(controller.settings.arm.robot_type)
        for kind, name, callback in (
            (JointAngles, "joint_torques", self._on_torque),
            (JointAngles, "joint_angles", self._on_angles),
            (JointState, "joint_state", self._on_state),
            (PoseStamped, "tool_pose", self._on_pose),
            (FingerPosition, "finger_position", self._on_fingers),
        ):
            node.create_subscription(kind, self.robot.topic_out(name), callback, _SAMPLES)
        self._velocity = node.create_publisher(
            PoseVelocityWithFingers, self.robot.topic_in("cartesian_velocity_with_fingers"), 1
        )

    def send(self, command: Command) -> None:
        """Send one velocity message."""
        message = velocity_message(command.twist, command.opening, command.rotation, self._frame)
        self._velocity.publish(message)

    def _on_torque(self, msg: JointAngles) -> None:
        now = time.monotonic()
        with self._lock:
            self._controller.supervisor.take_torque(torque_from_angles(msg), now)

    def _on_angles(self, msg: JointAngles) -> None:
        now, joints = time.monotonic(), joints_from_angles(msg)
        with self._lock:
            self._controller.supervisor.feedback.take_joints("joint_angles", joints, now)

    def _on_state(self, msg: JointState) -> None:
        now = time.monotonic()
        stamp, delay = self._stamped(msg)
        try:
            joints = joints_from_state(msg, self.robot)
        except ArmError as error:
            self._complain(error)
            return
        with self._lock:
            self._controller.supervisor.feedback.take_joints(
                "joint_state", joints, now, stamp, delay
            )

    def _on_pose(self, msg: PoseStamped) -> None:
        now = time.monotonic()
        stamp, delay = self._stamped(msg)
        try:
            pose = pose_from_message(msg)
        except ArmError as error:
            self._complain(error)
            return
        with self._lock:
            self._controller.supervisor.feedback.take_pose(pose, now, stamp, delay)

    def _on_fingers(self, msg: FingerPosition) -> None:
        opening = opening_from_fingers(msg, self.robot)
        with self._lock:
            self._controller.measured_opening = opening

    def _stamped(self, msg: PoseStamped | JointState) -> tuple[float | None, float]:
        """Return a message's stamp and its age in [s]; no stamp when the driver left it 0."""
        stamp = seconds(msg.header.stamp)
        if stamp == 0.0:
            return None, 0.0
        return stamp, float(self._node.get_clock().now().nanoseconds) * 1e-9 - stamp

    def _complain(self, error: ArmError) -> None:
        self._node.get_logger().error(str(error), throttle_duration_sec=_LOG_PERIOD)
