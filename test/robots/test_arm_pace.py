"""Points at the arm's pace and reads in turn, in simulated time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adp_ros.robots.jaco2.arm_pace import PointGate, ReadSchedule, finger_speeds


@given(
    gaps=st.lists(st.floats(0.0, 0.03), min_size=1, max_size=300),
    phase=st.floats(0.0, 0.00999),
    most=st.integers(2, 6),
)
def test_queue_never_holds_more_than_allowed(gaps, phase, most):
    """Whenever points come and whenever the arm takes one: a queue of the arm, simulated."""
    gate, now, queue, taken = PointGate(most), 0.0, 0, phase
    for gap in gaps:
        now += gap
        while taken <= now:
            queue, taken = max(0, queue - 1), taken + 0.01
        if gate.admits(now):
            gate.sent(now)
            queue += 1
        assert queue <= most


def test_stream_at_the_arms_pace_passes_whole():
    """No point at 99.5 Hz is refused, nor at 100 Hz with 30 % jitter."""
    rng = np.random.default_rng(0)
    for times in (0.01005 * np.arange(1000), 0.01 * np.arange(1000) + rng.uniform(0, 3e-3, 1000)):
        gate, passed = PointGate(3), 0
        for now in times:
            if gate.admits(now):
                gate.sent(now)
                passed += 1
        assert passed >= 990


def test_gate_believes_the_arm_when_it_holds_more():
    """An arm that is behind gets no more points until it has caught up."""
    gate = PointGate(3)
    gate.found(3, 0.0)
    assert not gate.admits(0.0)
    assert gate.admits(0.0101)
    assert gate.largest == 3


def test_reads_keep_their_periods_where_there_is_time():
    """Over 10 s each is done as often as its period says, to 2 %."""
    periods = {"torques": 0.01, "pose": 0.02, "status": 0.05}
    schedule, now = ReadSchedule(periods), 0.0
    counts = dict.fromkeys(periods, 0)
    while now < 10.0:
        name = schedule.next(now)
        if name is None:
            now += max(1e-4, schedule.wait(now))
        else:
            counts[name] += 1
            now += 0.001
    for name, period in periods.items():
        assert counts[name] == pytest.approx(10.0 / period, rel=0.02)


def test_all_reads_become_slower_alike_where_there_is_not():
    """With 8 ms a read: none starves, the ratio of the rates stays."""
    periods = {"torques": 0.01, "pose": 0.02, "status": 0.05}
    schedule, now = ReadSchedule(periods), 0.0
    counts = dict.fromkeys(periods, 0)
    while now < 40.0:
        name = schedule.next(now)
        counts[name or "torques"] += name is not None
        now += 0.008 if name else 1e-4
    assert counts["torques"] / counts["pose"] == pytest.approx(2.0, rel=0.2)
    assert counts["torques"] / counts["status"] == pytest.approx(5.0, rel=0.3)


@pytest.mark.parametrize(
    ("closure", "first", "speed"),
    [(100.0, 0.0, 13600.0), (0.0, 6800.0, -13600.0), (50.0, 3400.0, 0.0), (50.0, 3390.0, 0.0)],
)
def test_fingers_follow_the_first_one(closure, first, speed):
    """Gain 2 per second on the gap in ticks, none within 20 ticks: kinova-ros' numbers."""
    assert finger_speeds(closure, np.array([first, 1.0, 2.0]), 6800.0) == (speed,) * 3
