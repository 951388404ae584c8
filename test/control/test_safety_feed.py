"""One source of samples, and the watch over motion and command."""

import numpy as np
import pytest

from adp_ros.control.feeds import FeedConfig, FeedMonitor, MotionWatch, WatchConfig


def _feed():
    return FeedMonitor("pose", FeedConfig())


def test_missing_then_fresh_then_stale():
    """Stale after 100 ms, and only in the second tick that sees it."""
    feed = _feed()
    assert feed.poll(0.0).cause == "pose_missing"
    assert not feed.seen and feed.age(0.0) == np.inf
    assert feed.take(np.ones(3), 1.0)
    assert feed.seen and feed.poll(1.099) is None
    assert feed.poll(1.14) is None
    fault = feed.poll(1.15)
    assert fault.cause == "pose_stale"
    assert fault.message == "pose is 150 ms old, allowed: 100 ms"
    feed.take(np.ones(3), 1.16)
    assert feed.poll(1.16) is None


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_a_number_is_a_fault_even_if_a_good_sample_follows(value):
    """The fault waits for the tick; the bad sample is not used."""
    feed = _feed()
    feed.take(np.ones(3), 1.0)
    assert not feed.take(np.array([0.0, value, 0.0]), 1.02)
    feed.take(np.ones(3), 1.03)
    fault = feed.poll(1.04)
    assert fault.cause == "pose_nan"
    assert fault.message == "pose has a value that is not a finite number"
    assert feed.poll(1.05) is None


def test_out_of_order_stamps_are_a_fault():
    """A sample measured before the last one is refused; equal stamps do not refresh."""
    feed = _feed()
    feed.take(np.ones(3), 1.00, stamp=50.00)
    assert not feed.take(np.ones(3), 1.02, stamp=49.97)
    fault = feed.poll(1.02)
    assert fault.cause == "pose_order" and "30 ms before the last one" in fault.message
    assert feed.take(np.ones(3), 1.04, stamp=50.04)
    assert not feed.take(np.ones(3), 1.06, stamp=50.04)
    assert feed.age(1.06) == pytest.approx(0.02)
    assert feed.poll(1.06) is None
    feed.take(np.ones(3), 1.08, stamp=47.04)
    assert "its stamp is 3000 ms before the last one" in feed.poll(1.08).message


def test_old_stamp_does_not_make_a_source_fresh():
    """Samples that arrive on time but were measured 0.2 s ago become stale."""
    feed = _feed()
    feed.take(np.ones(3), 1.0, stamp=50.0)
    for k in range(1, 20):
        assert not feed.take(np.ones(3), 1.0 + 0.02 * k, stamp=50.0 + 0.02 * k, delay=0.2)
    feed.poll(1.38)
    assert feed.poll(1.39).cause == "pose_stale"


def test_order_is_judged_anew_after_the_clock_jumped_back():
    """One fault, then the source lives again."""
    feed = _feed()
    feed.take(np.ones(3), 1.0, stamp=50.0)
    feed.take(np.ones(3), 1.02, stamp=20.0)
    assert feed.poll(1.02).cause == "pose_order"
    assert not feed.take(np.ones(3), 1.03, stamp=20.0)  # the same sample once more
    assert feed.take(np.ones(3), 1.04, stamp=20.02)
    assert feed.poll(1.04) is None


def test_unchanged_time_needs_repeats():
    """Equal samples count from the first of them, three repeats at least."""
    feed = _feed()
    for k in range(3):
        feed.take(np.ones(3), 0.1 * k)
    assert feed.unchanged(0.25) == 0.0
    feed.take(np.ones(3), 0.3)
    assert feed.unchanged(0.3) == pytest.approx(0.3)
    feed.take(2 * np.ones(3), 0.4)
    assert feed.unchanged(0.4) == 0.0


def test_sample_as_old_as_allowed_is_fresh():
    """To the last digit, by its arrival and by its stamp; one tick later it is stale."""
    feed = FeedMonitor("pose", FeedConfig(stale=1.0))
    assert feed.take(np.ones(3), 1.0, stamp=50.0, delay=1.0)
    assert not feed.take(np.ones(3), 1.5, stamp=50.5, delay=1.0 + 1e-9)
    assert [feed.poll(2.0), feed.poll(2.0)] == [None, None]
    assert feed.poll(2.5) is None
    assert feed.poll(2.5).message == "pose is 1500 ms old, allowed: 1000 ms"


def test_first_late_tick_of_a_new_source_is_not_enough():
    """Two in a row are needed from the beginning."""
    feed = _feed()
    feed.take(np.ones(3), 1.0)
    assert feed.poll(1.2) is None
    assert feed.poll(1.21).cause == "pose_stale"


def test_samples_are_counted_and_faults_kept_up_to_eight():
    """Only good samples count; of a flood of bad ones the newest eight faults are told."""
    feed = _feed()
    assert feed.samples == 0
    for k in range(3):
        feed.take(np.full(3, float(k)), 1.0 + 0.01 * k)
    for _ in range(20):
        feed.take(np.full(3, np.nan), 1.03)
    assert feed.samples == 3
    causes = [fault.cause for _ in range(20) if (fault := feed.poll(1.03)) is not None]
    assert causes == 8 * ["pose_nan"]


def test_dead_sensor_is_named_with_its_time():
    """In whole milliseconds."""
    fault = _feed().frozen(0.1234)
    assert (fault.cause, fault.message) == ("pose_frozen", "pose has not changed for 123 ms")


def _watched(speed, velocity, seconds=1.0):
    watch = MotionWatch(WatchConfig())
    for k in range(round(seconds / 0.01)):
        watch.take(0.01 * k, speed, np.array([0.01 * k * velocity, 0.0, 0.0]))
    return watch.verdict()


def test_command_and_motion_are_compared():
    """Told to move and still: reported. Told nothing and moving: reported. Else silent."""
    assert _watched(0.05, 0.0) == "not_moving"
    assert _watched(0.05, 0.04) == ""
    assert _watched(0.02, 0.0) == ""  # the arm may ignore so little
    assert _watched(0.0, 0.03) == "moving_uncommanded"
    assert _watched(0.0, 0.005) == ""
    assert _watched(0.05, 0.0, seconds=0.3) == ""


def test_watch_forgets_on_reset():
    """After somebody else moved the arm the comparison starts anew."""
    watch = MotionWatch(WatchConfig())
    for k in range(100):
        watch.take(0.01 * k, 0.0, np.array([0.001 * k, 0.0, 0.0]))
    watch.reset()
    assert watch.verdict() == ""
