"""What each fault does to messages; the messages themselves are never changed."""

import math

import pytest

pytest.importorskip("kinova_msgs")

from geometry_msgs.msg import PoseStamped
from kinova_msgs.msg import JointAngles
from sensor_msgs.msg import JointState

from adp_ros.errors import ConfigError
from adp_ros.msg import ActionChunk
from adp_ros.ros.fault_filters import (
    Freezing,
    Once,
    Swapping,
    adding_torque,
    chunk_filter,
    dropping,
    not_a_number,
    repeating,
    shifting,
)


def _pose(x=1.0, sec=10):
    message = PoseStamped()
    message.pose.position.x, message.header.stamp.sec = x, sec
    return message


def test_samples_are_dropped_repeated_and_pushed():
    """Nothing, three times the same, 5 N m more on joint 4."""
    message = JointAngles(joint4=1.0)
    assert dropping(message) == []
    assert repeating(3)(message) == [message] * 3
    assert adding_torque(4, 5.0)(message)[0].joint4 == pytest.approx(6.0)
    assert message.joint4 == 1.0


def test_numbers_are_spoilt_in_each_kind_of_sample():
    """One number that is not one."""
    state = JointState(position=[0.0] * 6)
    assert math.isnan(not_a_number(JointAngles())[0].joint3)
    assert math.isnan(not_a_number(state)[0].position[2])
    assert math.isnan(not_a_number(_pose())[0].pose.position.x)
    assert list(state.position) == [0.0] * 6


def test_frozen_sample_keeps_its_value_and_not_its_stamp():
    """As a driver whose sensor is dead."""
    freeze = Freezing()
    freeze(_pose(1.0, 10))
    frozen = freeze(_pose(2.0, 11))[0]
    assert (frozen.pose.position.x, frozen.header.stamp.sec) == (1.0, 11)
    freeze = Freezing()
    freeze(JointAngles(joint1=1.0))
    assert freeze(JointAngles(joint1=2.0))[0].joint1 == 1.0


def test_two_samples_change_places_once():
    """The first waits for the second; later ones pass."""
    swap = Swapping()
    first, second, third = _pose(1.0), _pose(2.0), _pose(3.0)
    assert [swap(m) for m in (first, second, third)] == [[], [second, first], [third]]


def test_once_is_once():
    """Only the first message is touched."""
    once = Once(dropping)
    assert once(1) == [] and once(2) == [2]


def test_stamps_are_shifted():
    """By fractions of a second too, and before the second is full."""
    shifted = shifting(-0.25)(_pose(sec=10))[0].header.stamp
    assert (shifted.sec, shifted.nanosec) == (9, 750_000_000)


def test_chunks_are_spoilt_in_every_way():
    """Not a number, 3 m, empty, 13 numbers, old, lost, fifty times."""
    message = ActionChunk(actions=[0.5] * 56)
    message.header.stamp.sec = 100
    assert math.isnan(chunk_filter("chunk_nan")(message)[0].actions[9])
    assert chunk_filter("chunk_huge")(message)[0].actions[7] == 3.0
    assert len(chunk_filter("chunk_empty")(message)[0].actions) == 0
    assert len(chunk_filter("chunk_shape")(message)[0].actions) == 13
    assert chunk_filter("chunk_old")(message)[0].header.stamp.sec == 95
    assert chunk_filter("chunk_lost")(message) == []
    assert len(chunk_filter("chunk_burst")(message)) == 50
    assert list(message.actions) == [0.5] * 56
    with pytest.raises(ConfigError, match="no fault of chunks 'chunk_blue'"):
        chunk_filter("chunk_blue")
