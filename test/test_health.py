"""Health of components: levels that do not flap; durations and rates, against numpy."""

import math
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adp_ros.health import (
    HOLD,
    DurationMeter,
    Health,
    Level,
    MachineUse,
    RateMeter,
    RollingPercentiles,
    Steady,
    format_value,
    latency_values,
    worst,
)

OK = Health(Level.OK, "30 Hz", {"rate_hz": 30.0})
WARN = Health(Level.WARN, "12 Hz", {"rate_hz": 12.0})
ERROR = Health(Level.ERROR, "no pictures")


def levels(states, period=1.0):
    """Levels that are published when these states are asked for once per period."""
    steady = Steady()
    return [steady.take(state, i * period).level for i, state in enumerate(states)]


def test_warning_that_comes_and_goes_is_one_warning():
    """OK and WARN in turn, once a second: from the first warning on it is WARN."""
    assert levels([OK, WARN, OK, WARN, OK, OK, WARN]) == [Level.OK] + [Level.WARN] * 6


def test_warning_ends_after_four_quiet_reports():
    """The fifth report after the last warning is OK again."""
    found = levels([WARN] + [OK] * 6)
    assert found == [Level.WARN] * 5 + [Level.OK] * 2
    assert 4.0 < HOLD < 5.0


def test_held_warning_says_what_it_was_and_carries_new_values():
    """The message has both, the values are those of now."""
    steady = Steady()
    steady.take(WARN, 10.0)
    held = steady.take(OK, 12.0)
    assert held == Health(Level.WARN, "30 Hz; 2 s ago: 12 Hz", OK.values)


@pytest.mark.parametrize("state", [ERROR, Health(Level.STALE, "silent")])
def test_errors_come_and_go_at_once(state):
    """An error is published at once and ends at once, also during a held warning."""
    assert levels([OK, state, OK]) == [Level.OK, state.level, Level.OK]
    assert levels([WARN, state, OK]) == [Level.WARN, state.level, Level.WARN]


def test_worst_state_counts():
    """Of several states the first of the worst; nothing at all is OK."""
    assert worst([OK, WARN, ERROR, WARN]) is ERROR
    assert worst([OK, WARN, Health(Level.WARN, "d")]) is WARN
    stale = Health(Level.STALE, "c")
    assert worst([OK, stale, WARN]) is stale
    assert worst([]).level is Level.OK


def test_values_are_written_short():
    """Six digits, flags in lower case, words as they are."""
    values = [True, False, 0.123456789, 7, "none", float("nan")]
    assert [format_value(v) for v in values] == ["true", "false", "0.123457", "7", "none", "nan"]


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


@pytest.mark.parametrize(
    ("taken", "waited", "busy"),
    [(0.1, 0.01, False), (0.5, 0.0, False), (0.6, 0.0, True), (0.0, 0.06, True)],
)
def test_busy_machine_is_told_from_a_free_one(taken, waited, busy):
    """More than a quarter of the cores, or 5 % of the time without one, is too much."""
    use = MachineUse(cores=2, taken=taken, waited=waited, precedence="at normal priority")
    assert use.busy is busy
    assert use.words == (
        f"other programs took {taken:.1f} of 2 cores, the controller waited {waited:.0%} of the "
        "time for one, at normal priority"
    )
