"""Driver messages and units against numbers written down by hand."""

import numpy as np
import pytest

pytest.importorskip("kinova_msgs")

from geometry_msgs.msg import PoseStamped
from kinova_msgs.msg import FingerPosition, JointAngles
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import JointState

from adp_ros.errors import ArmError, ConfigError
from adp_ros.robots.jaco2.interface import closure_from_opening, opening_from_ticks
from adp_ros.robots.jaco2.messages import (
    finger_position_message,
    joint_angles_message,
    joint_state_message,
    joints_from_angles,
    joints_from_state,
    opening_from_fingers,
    pose_from_message,
    pose_message,
    torque_from_angles,
    velocity_message,
)
from adp_ros.robots.robot import ROBOTS, robot_named
from adp_ros.types import Pose, Twist

ROBOT = robot_named("j2n6s300")


def test_names_follow_from_the_robot_type():
    """Topics, joints and frames carry the type, the fingers are those of the type."""
    robot = robot_named("j2n6s200")
    assert robot.topic_out("tool_pose") == "/j2n6s200_driver/out/tool_pose"
    assert robot.topic_in("stop") == "/j2n6s200_driver/in/stop"
    assert robot.joint_names[0] == "j2n6s200_joint_1" and len(robot.joint_names) == 6
    assert robot.finger_names == ("j2n6s200_joint_finger_1", "j2n6s200_joint_finger_2")
    assert robot.finger_tip_names[1] == "j2n6s200_joint_finger_tip_2"
    assert robot.base_frame == "j2n6s200_link_base"
    with pytest.raises(ConfigError, match="robot_type is 'ur5', allowed: j2n6s200"):
        robot_named("ur5")


@pytest.mark.parametrize("name", ROBOTS.names)
def test_every_arm_has_the_whole_interface(name):
    """Each built-in arm knows its kinematics and messages, and calls itself by its name."""
    robot = robot_named(name)
    assert robot.robot_type == robot.arm().robot_type == name
    assert robot.fingers == robot.arm().fingers == len(robot.finger_names)
    assert robot.opening(np.array([6800.0, 0.0, 6800.0][: robot.fingers])) == pytest.approx(
        {2: 1 / 2, 3: 1 / 3}[robot.fingers]
    )
    for reader in ("sample_from_message", "state_from_messages", "opening_from_fingers"):
        assert callable(vars(robot.messages)[reader])
    assert ROBOTS.problems() == ()


def test_joint_angles_are_degrees_and_torques_are_not():
    """The same message type carries degrees on one topic and N m on another."""
    message = joint_angles_message(np.array([180.0, 90.0, -45.0, 720.0, 0.0, 1.0]))
    np.testing.assert_allclose(
        joints_from_angles(message), np.radians([180, 90, -45, 720, 0, 1]), rtol=1e-6
    )
    np.testing.assert_allclose(torque_from_angles(message), [180, 90, -45, 720, 0, 1])
    assert message.joint7 == 0.0


def test_fingers_close_at_6800_ticks():
    """6800 ticks are 80 degrees and opening 0; a grasped object leaves the mean in between."""
    angles = robot_named("j2n6s200").finger_angles(np.array([6800.0, 3400.0, 9.0]))
    np.testing.assert_allclose(angles, np.radians([80.0, 40.0]))
    assert opening_from_ticks(6800.0) == 0.0 and opening_from_ticks(0.0) == 1.0
    assert opening_from_ticks(7000.0) == 0.0 and opening_from_ticks(-5.0) == 1.0
    fingers = FingerPosition(finger1=3400.0, finger2=3400.0, finger3=0.0)
    assert opening_from_fingers(fingers, robot_named("j2n6s200")) == pytest.approx(0.5)
    assert opening_from_fingers(fingers, ROBOT) == pytest.approx(2 / 3)
    assert finger_position_message(np.array([1.0, 2.0])).finger3 == 0.0


def test_gripper_number_is_opposite_to_closure():
    """The policy's 1 is open, the driver's 100 % is closed; overshoot is clipped."""
    assert closure_from_opening(1.0) == 0.0 and closure_from_opening(0.0) == 100.0
    assert closure_from_opening(1.2) == 0.0 and closure_from_opening(-0.3) == 100.0
    assert closure_from_opening(0.3) == pytest.approx(70.0)


def test_joint_state_has_the_drivers_order():
    """Six joints, fingers, tips; velocities and efforts as many as positions."""
    fingers = np.array([0.1, 0.2, 0.3])
    message = joint_state_message(ROBOT, np.arange(6.0), np.ones(6), 2 * np.ones(6), fingers)
    assert len(message.name) == len(message.position) == 12
    assert len(message.velocity) == len(message.effort) == 12
    assert message.name[6] == "j2n6s300_joint_finger_1"
    assert list(message.position[6:]) == [0.1, 0.2, 0.3, 0.0, 0.0, 0.0]
    np.testing.assert_array_equal(joints_from_state(message, ROBOT), np.arange(6.0))


def test_joint_state_is_read_by_name():
    """Another order gives the same joints; a missing joint is named."""
    names = list(reversed(ROBOT.joint_names))
    message = JointState(name=names, position=[6.0, 5.0, 4.0, 3.0, 2.0, 1.0])
    np.testing.assert_array_equal(joints_from_state(message, ROBOT), [1, 2, 3, 4, 5, 6])
    with pytest.raises(ArmError, match="needed: j2n6s300_joint_1"):
        joints_from_state(JointState(name=names[:5], position=[0.0] * 5), ROBOT)
    with pytest.raises(ArmError, match="with 3 positions"):
        joints_from_state(JointState(name=names, position=[0.0] * 3), ROBOT)


def test_pose_survives_the_message():
    """Position and orientation come back; the frame is the base."""
    pose = Pose(np.array([0.1, -0.4, 0.3]), Rotation.from_rotvec([0.3, -2.0, 1.0]).as_matrix())
    message = pose_message(pose, ROBOT)
    assert message.header.frame_id == "j2n6s300_link_base"
    back = pose_from_message(message)
    np.testing.assert_allclose(back.position, pose.position)
    np.testing.assert_allclose(back.rotation, pose.rotation, atol=1e-12)


def test_bad_quaternion_is_refused_and_nan_is_passed_on():
    """Length 0 is an error here, not-a-number is the monitors' to judge."""
    message = PoseStamped()
    message.pose.orientation.w = 0.0
    with pytest.raises(ArmError, match="quaternion of length 0, 1 is needed"):
        pose_from_message(message)
    message.pose.orientation.w = float("nan")
    assert np.isnan(pose_from_message(message).rotation).any()


@pytest.mark.parametrize("frame", ["tool", "base"])
def test_angular_velocity_is_sent_in_the_drivers_frame(frame):
    """A turn about the base's z is a turn about the tool's x when the tool lies on its side."""
    rotation = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])  # tool -> base
    twist = Twist(np.array([0.01, 0.02, 0.03]), np.array([0.0, 0.0, 0.2]))
    message = velocity_message(twist, 0.25, rotation, frame)
    sent = [message.twist_angular_x, message.twist_angular_y, message.twist_angular_z]
    np.testing.assert_allclose(sent, [-0.2, 0, 0] if frame == "tool" else [0, 0, 0.2], atol=1e-7)
    assert message.twist_linear_z == pytest.approx(0.03)
    assert message.fingers_closure_percentage == pytest.approx(75.0)


def test_seventh_joint_is_ignored():
    """A 7-DoF field in the message does not disturb a 6-DoF arm."""
    assert joints_from_angles(JointAngles(joint7=90.0)).shape == (6,)
