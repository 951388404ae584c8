"""Messages of the driver from and to SI units. Nothing below this module knows a message."""

from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped
from kinova_msgs.msg import FingerPosition, JointAngles, JointVelocity, PoseVelocityWithFingers
from sensor_msgs.msg import JointState

from ...errors import ArmError
from ...geometry import quaternion_from_rotation, rotation_from_quaternion
from ...types import (
    FingersSample,
    FloatArray,
    JointsSample,
    Pose,
    PoseSample,
    Sample,
    TorqueSample,
    Twist,
)
from ..robot import Robot
from .interface import angular_for_driver, closure_from_opening

_QUATERNION_TOLERANCE = 0.01  # deviation from length 1 that float32 and drivers' rounding explain


def joint_values(msg: JointAngles | JointVelocity) -> FloatArray:
    """Return the six numbers of a message of joints as they are. Shape (6,)."""
    return np.array([msg.joint1, msg.joint2, msg.joint3, msg.joint4, msg.joint5, msg.joint6])


def joints_from_angles(msg: JointAngles) -> FloatArray:
    """Read ``out/joint_angles`` (degrees). Shape (6,), in [rad]."""
    return np.radians(joint_values(msg))


def torque_from_angles(msg: JointAngles) -> FloatArray:
    """Read ``out/joint_torques``, which has the type JointAngles. Shape (6,), in [N m]."""
    return joint_values(msg)


def joint_angles_message(values: FloatArray) -> JointAngles:
    """Make a JointAngles message from six numbers: degrees or, for torques, [N m]."""
    names = ("joint1", "joint2", "joint3", "joint4", "joint5", "joint6")
    return JointAngles(**{n: float(v) for n, v in zip(names, values, strict=True)})


def joints_from_state(msg: JointState, robot: Robot) -> FloatArray:
    """Read the arm's angles from ``out/joint_state``. Shape (6,), in [rad].

    Its velocities are left alone: drivers disagree about their unit.

    Raises:
        ArmError: When a joint is missing.
    """
    index = {name: i for i, name in enumerate(msg.name)}
    missing = [name for name in robot.joint_names if name not in index]
    if missing or len(msg.position) < len(msg.name):
        raise ArmError(
            f"joint_state names {', '.join(msg.name) or 'nothing'} with {len(msg.position)} "
            f"positions, needed: {', '.join(robot.joint_names)}"
        )
    return np.array([msg.position[index[name]] for name in robot.joint_names])


def joint_state_message(
    robot: Robot,
    joints: FloatArray,
    speeds: FloatArray | None,
    torques: FloatArray | None,
    fingers: FloatArray,
) -> JointState:
    """Make ``out/joint_state`` without its stamp, in the driver's order and units.

    Args:
        robot: The arm.
        joints: Shape (6,), in [rad].
        speeds: Shape (6,), in [rad/s]; None leaves the velocities empty.
        torques: Shape (6,), in [N m]; None leaves the efforts empty.
        fingers: Angle of each finger's first joint, shape (fingers,), in [rad].
    """
    still = [0.0] * robot.fingers
    return JointState(
        name=[*robot.joint_names, *robot.finger_names, *robot.finger_tip_names],
        position=[*map(float, joints), *map(float, fingers), *still],
        velocity=[] if speeds is None else [*map(float, speeds), *still, *still],
        effort=[] if torques is None else [*map(float, torques), *still, *still],
    )


def pose_from_message(msg: PoseStamped) -> Pose:
    """Read ``out/tool_pose``. Not-a-number passes, the safety monitors judge it.

    Raises:
        ArmError: When the quaternion is finite but not of unit length.
    """
    p, q = msg.pose.position, msg.pose.orientation
    quaternion = np.array([q.x, q.y, q.z, q.w])
    length = float(np.linalg.norm(quaternion))
    if abs(length - 1.0) > _QUATERNION_TOLERANCE:
        raise ArmError(f"tool_pose has a quaternion of length {length:g}, 1 is needed")
    return Pose(np.array([p.x, p.y, p.z]), rotation_from_quaternion(quaternion))


def pose_message(pose: Pose, robot: Robot) -> PoseStamped:
    """Make ``out/tool_pose`` without its stamp."""
    msg = PoseStamped()
    msg.header.frame_id = robot.base_frame
    p, q = msg.pose.position, msg.pose.orientation
    p.x, p.y, p.z = map(float, pose.position)
    q.x, q.y, q.z, q.w = map(float, quaternion_from_rotation(pose.rotation))
    return msg


def fingers_from_message(msg: FingerPosition) -> FloatArray:
    """Read ``out/finger_position``, shape (3,), in [ticks]; an arm with two has no third."""
    return np.array([msg.finger1, msg.finger2, msg.finger3])


def opening_from_fingers(msg: FingerPosition, robot: Robot) -> float:
    """Read ``out/finger_position`` (ticks): mean of the fingers, 0 closed to 1 open."""
    return robot.opening(fingers_from_message(msg))


def state_from_messages(
    pose: PoseStamped, joints: JointState, fingers: FingerPosition, robot: Robot
) -> tuple[Pose, FloatArray, FloatArray]:
    """Read ``tool_pose``, ``joint_state`` and ``finger_position`` as one state.

    Returns:
        Tool pose, joint angles, shape (6,), and finger angles, shape (fingers,), in [rad].

    Raises:
        ArmError: One can't be read.
    """
    return (
        pose_from_message(pose),
        joints_from_state(joints, robot),
        robot.finger_angles(fingers_from_message(fingers)),
    )


def sample_from_message(topic: str, msg: Any, robot: Robot, arrival: float, clock: float) -> Sample:
    """Read a message of the driver.

    Args:
        topic: Name without the driver's prefix, such as ``joint_torques``.
        msg: The message.
        robot: The arm, for names and fingers.
        arrival: On the receiver's clock, in [s].
        clock: The same moment on the clock of the stamps, in [s].

    Raises:
        ArmError: It is not what a driver of this arm sends, or the controller takes no such topic.
    """
    if topic == "joint_torques":
        return TorqueSample(torque_from_angles(msg), arrival)
    if topic == "joint_angles":
        return JointsSample(topic, joints_from_angles(msg), arrival)
    if topic == "joint_state":
        return JointsSample(topic, joints_from_state(msg, robot), arrival, *_stamped(msg, clock))
    if topic == "tool_pose":
        return PoseSample(pose_from_message(msg), arrival, *_stamped(msg, clock))
    if topic == "finger_position":
        return FingersSample(opening_from_fingers(msg, robot), arrival)
    raise ArmError(f"the controller takes no samples from {topic!r}")


def _stamped(msg: JointState | PoseStamped, clock: float) -> tuple[float | None, float]:
    """Return a message's stamp and its age in [s]; no stamp when the driver left it 0."""
    stamp = msg.header.stamp.sec + msg.header.stamp.nanosec * 1e-9
    return (stamp, clock - stamp) if stamp else (None, 0.0)


def finger_position_message(ticks: FloatArray) -> FingerPosition:
    """Make ``out/finger_position`` from two or three numbers in ticks."""
    values = [*map(float, ticks), 0.0][:3]
    return FingerPosition(finger1=values[0], finger2=values[1], finger3=values[2])


def velocity_message(
    twist: Twist, opening: float, rotation: FloatArray, angular_frame: str
) -> PoseVelocityWithFingers:
    """Make ``in/cartesian_velocity_with_fingers``.

    Args:
        twist: Tool velocity in the base frame.
        opening: Gripper, 0 closed to 1 open.
        rotation: Orientation of the tool, tool -> base, shape (3, 3).
        angular_frame: Frame of the driver's angular velocity, ``tool`` or ``base``.
    """
    angular = angular_for_driver(twist, rotation, angular_frame)
    return PoseVelocityWithFingers(
        twist_linear_x=float(twist.linear[0]),
        twist_linear_y=float(twist.linear[1]),
        twist_linear_z=float(twist.linear[2]),
        twist_angular_x=float(angular[0]),
        twist_angular_y=float(angular[1]),
        twist_angular_z=float(angular[2]),
        fingers_closure_percentage=closure_from_opening(opening),
    )


def joint_velocity_message(speeds: FloatArray) -> JointVelocity:
    """Make ``in/joint_velocity`` (degrees per second) from joint speeds, shape (6,), in [rad/s]."""
    names = ("joint1", "joint2", "joint3", "joint4", "joint5", "joint6")
    return JointVelocity(**{n: float(v) for n, v in zip(names, np.degrees(speeds), strict=True)})
