"""Commanded but not moving, moving though not commanded: judged over half a second."""

import numpy as np
import pytest

from adp_ros.control.feeds import MotionWatch, WatchConfig
from adp_ros.errors import ConfigError


def _watch(speed, way, *, seconds=0.6, start=10.0, config=None):
    """A watch after some time at a commanded speed, the tool going a way in [m] altogether."""
    watch = MotionWatch(config or WatchConfig())
    count = round(seconds / 0.01)
    for k in range(count + 1):
        watch.take(start + 0.01 * k, speed, np.array([0.0, way * k / count, 0.0]))
    return watch


@pytest.mark.parametrize(
    ("speed", "way", "verdict"),
    [
        (0.05, 0.0, "not_moving"),
        (0.05, 0.003, "not_moving"),  # 2.5 mm in the last half second
        (0.05, 0.004, ""),  # 3.3 mm
        (0.02, 0.0, ""),  # the arm may ignore so little
        (0.0, 0.0, ""),
        (0.0, 0.006, ""),  # 5 mm in half a second: it may settle
        (0.0, 0.008, "moving_uncommanded"),  # 6.7 mm
    ],
)
def test_verdict(speed, way, verdict):
    """3 mm are motion where some is commanded, 6 mm where none is."""
    assert _watch(speed, way).verdict() == verdict


def test_nothing_is_said_before_the_window_is_full():
    """90 % of half a second must have been seen; less proves nothing."""
    assert MotionWatch(WatchConfig()).verdict() == ""
    assert _watch(0.05, 0.0, seconds=0.43).verdict() == ""
    assert _watch(0.05, 0.0, seconds=0.46).verdict() == "not_moving"


def _two_samples(speed, way, config=None):
    """A watch that has seen the ends of the shortest window that counts, 90 % of 0.5 s."""
    watch = MotionWatch(config or WatchConfig())
    watch.take(0.0, speed, np.zeros(3))
    watch.take(0.45, speed, np.array([0.0, way, 0.0]))
    return watch


@pytest.mark.parametrize(
    ("speed", "way", "verdict"),
    [
        (0.03, 0.0, ""),
        (0.03 + 1e-9, 0.0, "not_moving"),
        (0.05, 0.0625, ""),
        (0.05, 0.0625 - 1e-9, "not_moving"),
        (0.0, 0.125, ""),
        (0.0, 0.125 + 1e-9, "moving_uncommanded"),
    ],
)
def test_a_value_at_its_limit_is_allowed(speed, way, verdict):
    """Speed, displacement, and the length of the window, to the last digit."""
    assert _two_samples(speed, way, WatchConfig(moved=0.0625)).verdict() == verdict


def test_the_oldest_sample_of_the_window_counts():
    """The arm moved in the first tick of the half second and not since: it moves."""
    watch = MotionWatch(WatchConfig())
    for k in range(33):
        watch.take(k / 64, 0.05, np.array([0.0, 0.004 if k > 0 else 0.0, 0.0]))
    assert watch.verdict() == ""
    watch.take(33 / 64, 0.05, np.array([0.0, 0.004, 0.0]))
    assert watch.verdict() == "not_moving"


def test_way_is_measured_from_where_the_window_began():
    """2 mm to one side of it and 2 mm to the other are not 4 mm of motion."""
    watch = MotionWatch(WatchConfig())
    for time, place in ((0.0, 0.0), (0.2, 0.002), (0.45, -0.002)):
        watch.take(time, 0.05, np.array([place, 0.0, 0.0]))
    assert watch.verdict() == "not_moving"


def test_only_a_command_that_held_all_along_counts():
    """One tick at rest within the window, and nothing is expected of the arm."""
    watch = _watch(0.05, 0.0)
    watch.take(10.61, 0.0, np.zeros(3))
    assert watch.verdict() == ""
    watch = _watch(0.0, 0.02)
    watch.take(10.61, 0.001, np.array([0.0, 0.02, 0.0]))
    assert watch.verdict() == ""


def test_past_is_forgotten():
    """By time, and on request."""
    watch = _watch(0.05, 0.0)
    for k in range(1, 60):
        watch.take(10.6 + 0.01 * k, 0.0, np.zeros(3))
    assert watch.verdict() == ""
    watch = _watch(0.05, 0.0)
    watch.reset()
    assert watch.verdict() == ""


def test_place_is_copied():
    """A position that its owner changes later changes nothing here."""
    watch, place = MotionWatch(WatchConfig()), np.zeros(3)
    for k in range(60):
        watch.take(0.01 * k, 0.05, place)
    place[:] = 1.0
    assert watch.verdict() == "not_moving"


def test_bad_settings_are_refused_by_name():
    """A negative displacement, a window of nothing."""
    with pytest.raises(ConfigError, match="watch.moved is -1"):
        WatchConfig(moved=-1.0)
    with pytest.raises(ConfigError, match="watch.time is 0.0"):
        WatchConfig(time=0.0)
