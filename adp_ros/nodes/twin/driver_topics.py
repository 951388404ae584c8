"""The driver's topics, as seen from the driver's side: commands in, measurements out.

Names, types, units and quirks are those of kinova-ros. The twin uses it; the real driver is
somebody else's program.
"""

from collections.abc import Callable
from math import pi, radians

import numpy as np
from geometry_msgs.msg import PoseStamped, Vector3, WrenchStamped
from kinova_msgs.msg import (
    FingerPosition,
    JointAngles,
    JointVelocity,
    KinovaPose,
    PoseVelocity,
    PoseVelocityWithFingers,
    PoseVelocityWithFingerVelocity,
)
from rclpy.node import Node
from sensor_msgs.msg import JointState

from ...arm.messages import (
    finger_position_message,
    joint_angles_message,
    joint_state_message,
    pose_message,
)
from ...arm.robot import Robot
from ...arm.units import radians_from_ticks
from ...geometry import euler_xyz_from_rotation
from ...kinematics import arm_model, forward
from ...sim.points import VelocityPoint
from ...sim.sensors import ArmReading
from ...types import FloatArray

COMMAND_DEPTH = 10  # the real driver's is 1, but its thread is never kept waiting by Python
STATUS_DEPTH = 2

_STAMPED = (JointState, PoseStamped, WrenchStamped)

SendPoint = Callable[[VelocityPoint], None]
FingerSpeeds = Callable[[float], FloatArray]


def point_from_pose_velocity(
    msg: PoseVelocity | PoseVelocityWithFingers | PoseVelocityWithFingerVelocity,
    fingers: FloatArray | None = None,
) -> VelocityPoint:
    """Turn a Cartesian velocity command into a point; the frames are the driver's business.

    Args:
        msg: Any of the three messages with a twist.
        fingers: Finger speeds, shape (3,), in [ticks/s], or None.
    """
    return VelocityPoint(
        linear=np.array([msg.twist_linear_x, msg.twist_linear_y, msg.twist_linear_z]),
        angular=np.array([msg.twist_angular_x, msg.twist_angular_y, msg.twist_angular_z]),
        fingers=fingers,
    )


def point_from_joint_velocity(msg: JointVelocity) -> VelocityPoint:
    """Turn a joint velocity command (degrees per second) into a point."""
    speeds = [msg.joint1, msg.joint2, msg.joint3, msg.joint4, msg.joint5, msg.joint6]
    return VelocityPoint(joints=np.radians(speeds))


def wrench_message(reading: ArmReading, robot: Robot) -> WrenchStamped:
    """Make ``out/tool_wrench``: a good force, and the moment as the driver spoils it.

    It takes the moment for an angle in radians, wraps it to one turn, and converts it from
    degrees once more (kinova-ros source). Nobody should use it.
    """
    msg = WrenchStamped()
    msg.header.frame_id = robot.base_frame
    x, y, z = map(float, reading.wrench[:3])
    msg.wrench.force = Vector3(x=x, y=y, z=z)
    x, y, z = (radians(float((m + pi) % (2.0 * pi) - pi)) for m in reading.wrench[3:])
    msg.wrench.torque = Vector3(x=x, y=y, z=z)
    return msg


def _in_degrees(joints: FloatArray) -> JointAngles:
    return joint_angles_message(np.degrees(joints))


class DriverTopics:
    """Subscribes to the driver's commands and publishes its measurements."""

    def __init__(
        self, node: Node, robot: Robot, send: SendPoint, finger_speeds: FingerSpeeds
    ) -> None:
        """Create all publishers and subscriptions.

        Args:
            node: Owner.
            robot: The arm, for names.
            send: Takes each point that a command becomes.
            finger_speeds: Closure percentage -> finger speeds in [ticks/s].
        """
        self._node = node
        self._robot = robot
        self._arm = arm_model(robot.robot_type)
        self._send = send
        self._finger_speeds = finger_speeds
        # Torque and angles first: who watches the torque should not wait for the rest.
        self._out = [
            (node.create_publisher(kind, robot.topic_out(name), STATUS_DEPTH), make)
            for name, kind, make in (
                ("joint_torques", JointAngles, lambda r: joint_angles_message(r.torques)),
                ("joint_angles", JointAngles, lambda r: _in_degrees(r.joints)),
                ("tool_pose", PoseStamped, lambda r: pose_message(r.pose, robot)),
                ("joint_state", JointState, self._joint_state),
                ("finger_position", FingerPosition, lambda r: finger_position_message(r.fingers)),
                ("joint_command", JointAngles, lambda r: _in_degrees(r.commanded)),
                ("tool_wrench", WrenchStamped, lambda r: wrench_message(r, robot)),
                ("cartesian_command", KinovaPose, self._commanded_pose),
            )
        ]
        for name, kind, callback in (
            ("cartesian_velocity", PoseVelocity, self._on_velocity),
            ("cartesian_velocity_with_fingers", PoseVelocityWithFingers, self._on_closure),
            (
                "cartesian_velocity_with_finger_velocity",
                PoseVelocityWithFingerVelocity,
                self._on_finger_velocity,
            ),
            ("joint_velocity", JointVelocity, self._on_joint_velocity),
        ):
            node.create_subscription(kind, robot.topic_in(name), callback, COMMAND_DEPTH)

    def publish(self, reading: ArmReading) -> None:
        """Publish one set of measurements, stamped now, on the topics that somebody listens to."""
        stamp = self._node.get_clock().now().to_msg()
        for publisher, make in self._out:
            if publisher.get_subscription_count() > 0:
                message = make(reading)
                if isinstance(message, _STAMPED):
                    message.header.stamp = stamp
                publisher.publish(message)

    def _joint_state(self, reading: ArmReading) -> JointState:
        fingers = np.array([radians_from_ticks(t) for t in reading.fingers])
        return joint_state_message(
            self._robot, reading.joints, reading.speeds, reading.torques, fingers
        )

    def _commanded_pose(self, reading: ArmReading) -> KinovaPose:
        pose = forward(self._arm, reading.commanded)
        turn = euler_xyz_from_rotation(pose.rotation)
        names = ("x", "y", "z", "theta_x", "theta_y", "theta_z")
        values = map(float, (*pose.position, *turn))
        return KinovaPose(**dict(zip(names, values, strict=True)))

    def _on_velocity(self, msg: PoseVelocity) -> None:
        self._send(point_from_pose_velocity(msg))

    def _on_closure(self, msg: PoseVelocityWithFingers) -> None:
        fingers = self._finger_speeds(msg.fingers_closure_percentage)
        self._send(point_from_pose_velocity(msg, fingers))

    def _on_finger_velocity(self, msg: PoseVelocityWithFingerVelocity) -> None:
        fingers = np.array([msg.finger1, msg.finger2, msg.finger3])
        self._send(point_from_pose_velocity(msg, fingers))

    def _on_joint_velocity(self, msg: JointVelocity) -> None:
        self._send(point_from_joint_velocity(msg))
