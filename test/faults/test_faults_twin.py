"""Controller and twin in simulated time: path and press."""

import pytest

from adp_ros.faults.simulated import PressCase, follow_square, press, press_cases, press_table


def test_square_is_followed_to_a_millimetre():
    """10 cm at 5 cm/s with the twin's own dynamics: RMS under 1 mm, no step missed."""
    result = follow_square()
    assert result.rms < 1e-3 and result.largest < 3e-3 and result.missed == 0
    assert "RMS 0." in result.to_text() and result.to_json()["rms_mm"] < 1.0


def test_press_at_5_cm_per_second_stops_the_arm():
    """The torque of contact stops it, and less than 60 N are reached; a retreat lets go."""
    result = press(PressCase(retreat=0.02))
    assert result.stopped and result.joint in (2, 3, 5)
    assert 0.0 < result.time_to_stop < 0.15
    assert result.at_stop <= result.peak < 60.0
    assert result.held == pytest.approx(0.0, abs=0.1)
    table = press_table([result])
    assert "0.05" in table and len(table.splitlines()) == 3


def test_cases_cover_speeds_levels_sampling_and_retreat():
    """What the table is to show."""
    cases = press_cases()
    assert {c.speed for c in cases} == {0.02, 0.05, 0.10}
    assert {c.interval for c in cases} == {0.02, 0.1}
    assert {c.share for c in cases} == {0.5, 1.0, 2.0}
    assert {c.retreat for c in cases} == {0.0, 0.02}
