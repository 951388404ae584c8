"""Percentiles of the last durations against numpy, and how they are reported."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adp_ros.health import Health, Level, RollingPercentiles, format_value, latency_values, worst


@given(st.lists(st.floats(0.0, 10.0), min_size=1, max_size=250))
def test_statistics_are_numpys_of_the_last_hundred(values):
    """Mean, percentiles and maximum of the newest 100 values, older ones forgotten."""
    rolling = RollingPercentiles()
    for value in values:
        rolling.add(value)
    last, summary = np.array(values[-100:]), rolling.summary()
    assert summary.count == len(rolling) == len(last)
    assert summary.mean == pytest.approx(last.mean())
    assert [summary.p50, summary.p95, summary.p99] == pytest.approx(
        list(np.percentile(last, [50, 95, 99]))
    )
    assert summary.maximum == last.max()
    assert rolling.percentile(95) == pytest.approx(summary.p95)


def test_nothing_measured_is_not_a_number():
    """Neither 0 nor an error: NaN with a count of 0; the same after clearing."""
    rolling = RollingPercentiles(3)
    rolling.add(1.0)
    rolling.clear()
    summary = rolling.summary()
    assert summary.count == 0
    assert math.isnan(summary.p99) and math.isnan(rolling.percentile(50))
    with pytest.raises(ValueError, match="size is 0, at least 1 is needed"):
        RollingPercentiles(0)


def test_values_carry_the_unit_of_their_name():
    """Seconds become milliseconds, and every statistic has its own key."""
    rolling = RollingPercentiles()
    rolling.add(0.02)
    values = latency_values("request_ms", rolling.summary(), 1e3)
    assert set(values) == {f"request_ms_{k}" for k in ("mean", "p50", "p95", "p99", "max")}
    assert values["request_ms_p50"] == pytest.approx(20.0)


def test_worst_state_wins():
    """The first of the worst levels; OK when there is none."""
    ok, warn, stale = Health(Level.OK, "a"), Health(Level.WARN, "b"), Health(Level.STALE, "c")
    assert worst([ok, warn, Health(Level.WARN, "d")]) is warn
    assert worst([ok, stale, warn]) is stale
    assert worst([]).level is Level.OK


def test_values_are_written_short_and_readable():
    """Flags in lower case, numbers with six digits, words as they are."""
    assert [format_value(v) for v in (True, False, 7, 0.1234567, "sync")] == [
        "true",
        "false",
        "7",
        "0.123457",
        "sync",
    ]
