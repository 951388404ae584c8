"""Handing states and requests from ROS's thread to a working one."""

import threading
import time

import numpy as np
import pytest

pytest.importorskip("rclpy")

from adp_ros.msg import TwinState
from adp_ros.ros.inference_inputs import NewestSlot
from adp_ros.ros.stamps import seconds, time_message
from adp_ros.ros.twin_states import StateFeed


def state(stamp: float, seed: int = 0) -> TwinState:
    """Return a state of that time."""
    message = TwinState(task="wipe_table", seed=seed, qpos=[stamp], cleaned=[True, False])
    message.header.stamp = time_message(stamp)
    return message


def test_state_of_a_picture_is_found_again() -> None:
    """Of states 20 ms apart, the one whose stamp went through the picture is returned."""
    feed, start = StateFeed(), 1_795_359_859.788666153
    stamps = [start + 0.02 * i for i in range(60)]
    for stamp in stamps:
        feed.put(state(stamp))
    for stamp in stamps[10:]:
        through_the_picture = seconds(time_message(seconds(time_message(stamp))))
        assert feed.at(through_the_picture).qpos[0] == stamp


def test_between_two_states_the_earlier_one_counts() -> None:
    """And before the first one known, the first."""
    feed = StateFeed()
    assert feed.at(5.0) is None
    for stamp in (1.0, 2.0, 3.0):
        feed.put(state(stamp))
    assert [feed.at(t).stamp for t in (0.5, 1.5, 2.9, 9.0)] == [1.0, 1.0, 2.0, 3.0]
    np.testing.assert_array_equal(feed.at(2.0).cleaned, [True, False])


def test_reader_waits_until_a_state_is_due() -> None:
    """It returns as soon as one is stamped late enough, or empty-handed after the timeout."""
    feed = StateFeed()
    feed.put(state(1.0))
    assert feed.wait(2.0, 0.02) is None
    later = threading.Timer(0.05, lambda: feed.put(state(2.5)))
    later.start()
    assert feed.wait(2.0, 5.0).stamp == 2.5
    later.join()


def test_newest_request_replaces_an_older_one() -> None:
    """What nobody took in time is gone; its arrival time is the newest one's."""
    slot: NewestSlot[int] = NewestSlot()
    assert slot.take(0.01) is None
    before = time.monotonic()
    slot.put(1)
    slot.put(2)
    taken = slot.take(0.01)
    assert taken is not None and taken.message == 2
    assert before <= taken.at <= time.monotonic()
    assert slot.take(0.01) is None
