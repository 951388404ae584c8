"""Statistics of the stages, against numpy on the same numbers."""

import threading

import numpy as np
import pytest

from adp_ros.health import DurationMeter, RateMeter
from adp_ros.policies.planner import STAGES, StageLog, WindowTimes


def times(value: float) -> WindowTimes:
    """Return stage times that are multiples of ``value``."""
    return WindowTimes(**{name: value * (i + 1) for i, name in enumerate(STAGES)})


def test_statistics_cover_the_last_hundred_windows() -> None:
    """Mean and percentiles are those of windows 51 to 150; older ones are forgotten."""
    log = StageLog()
    for value in range(1, 151):
        found = log.add(times(float(value)))
    last = np.arange(51, 151)[:, None] * np.arange(1, 9)
    np.testing.assert_allclose([s.mean for s in found], last.mean(axis=0))
    np.testing.assert_allclose([s.p50 for s in found], np.median(last, axis=0))
    np.testing.assert_allclose([s.p95 for s in found], np.percentile(last, 95, axis=0))
    np.testing.assert_allclose([s.p99 for s in found], np.percentile(last, 99, axis=0))


def test_stage_names_are_those_of_the_message() -> None:
    """The published order is frame_age first, frame_to_chunk last."""
    assert STAGES == (
        "frame_age", "preprocess", "vision", "scoring", "llm", "head", "total", "frame_to_chunk",
    )  # fmt: skip


def test_rate_is_that_of_the_recent_past() -> None:
    """30 events a second read as 30 Hz, and as 0 once they have stopped for the window."""
    meter = RateMeter(window=2.0)
    for i in range(300):
        meter.add(i / 30)
    assert meter.rate(10.0) == pytest.approx(30.0)
    assert meter.rate(12.1) == 0.0
    assert meter.count == 300


def test_meters_are_read_while_they_are_fed() -> None:
    """A reader in another thread sees whole statistics, never an error."""
    durations, rate, ended = DurationMeter(), RateMeter(), threading.Event()

    def feed() -> None:
        for i in range(3000):
            durations.add(1.0)
            rate.add(i * 1e-4)
        ended.set()

    feeder = threading.Thread(target=feed)
    feeder.start()
    while not ended.is_set():
        assert durations.summary().mean in (1.0, pytest.approx(float("nan"), nan_ok=True))
        rate.rate(0.3)
    feeder.join()
    assert rate.count == 3000 and durations.summary().count == 300
