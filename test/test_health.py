"""Health of components: which level counts, and that a level does not flap."""

import pytest

from adp_ros.health import HOLD, Health, Level, Steady, format_value, worst

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
    assert worst([]).level is Level.OK


def test_values_are_written_short():
    """Six digits, flags in lower case, words as they are."""
    values = [True, 0.123456789, 7, "none", float("nan")]
    assert [format_value(v) for v in values] == ["true", "0.123457", "7", "none", "nan"]
