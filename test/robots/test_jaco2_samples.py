"""Samples from the driver's messages: stamps and their ages."""

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("kinova_msgs")

from geometry_msgs.msg import PoseStamped
from sensor_msgs.msg import JointState

from adp_ros.robots.jaco2.messages import sample_from_message
from adp_ros.robots.robot import robot_named

ROBOT = robot_named("j2n6s300")


def _stamped(name, stamp):
    message = PoseStamped() if name == "tool_pose" else JointState()
    if name == "tool_pose":
        message.pose.orientation.w = 1.0
    else:
        message.name, message.position = list(ROBOT.joint_names), [0.0] * 6
    message.header.stamp.sec = int(stamp)
    message.header.stamp.nanosec = round(1e9 * (stamp - int(stamp)))
    return message


@pytest.mark.parametrize("name", ["tool_pose", "joint_state"])
def test_age_of_a_stamp_is_positive_in_the_past_and_negative_in_the_future(name):
    """An old sample must look old, not early; one without a stamp has no age."""
    for stamp, delay in ((99.75, 0.25), (100.5, -0.5)):
        sample = sample_from_message(name, _stamped(name, stamp), ROBOT, 7.0, 100.0)
        assert (sample.stamp, sample.arrival) == (stamp, 7.0)
        assert sample.delay == pytest.approx(delay)
    unstamped = sample_from_message(name, _stamped(name, 0.0), ROBOT, 7.0, 100.0)
    assert (unstamped.stamp, unstamped.delay) == (None, 0.0)
