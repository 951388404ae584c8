"""Real-time pacing of the physics, with time as a number."""

from types import SimpleNamespace

import pytest

from adp_ros.sim.shared_twin import MAX_CATCH_UP, SuccessNotice, TickPacer


def test_ticks_are_due_on_absolute_deadlines():
    """A tick that starts late does not move the deadlines after it."""
    pacer = TickPacer(0.01, 100.0)
    assert pacer.due(100.005) == 0
    assert pacer.due(100.014) == 1
    assert pacer.deadline == pytest.approx(100.02)
    assert (pacer.ticks, pacer.late, pacer.skipped) == (1, 0, 0)


def test_late_ticks_are_made_up_for_and_counted():
    """35 ms after the deadline four ticks are due, three of them late."""
    pacer = TickPacer(0.01, 0.0)
    assert pacer.due(0.0451) == 4
    assert (pacer.ticks, pacer.late, pacer.skipped) == (4, 3, 0)
    assert pacer.deadline == pytest.approx(0.05)


def test_a_long_stall_is_given_up():
    """After 1 s only a few ticks are made up for, the rest is counted as lost."""
    pacer = TickPacer(0.01, 0.0)
    assert pacer.due(1.0051) == MAX_CATCH_UP
    assert pacer.skipped == 100 - MAX_CATCH_UP
    assert pacer.due(1.0052) == 0


def test_real_time_factor_is_that_since_the_last_question():
    """Half of the ticks lost in the first second is 0.5, none in the next is 1."""
    pacer = TickPacer(0.01, 0.0)
    for _ in range(50):
        pacer.ticks += 1
    assert pacer.real_time_factor(1.0) == pytest.approx(0.5)
    pacer.ticks += 100
    assert pacer.real_time_factor(2.0) == pytest.approx(1.0)


def _seen(notice, seed, done):
    """Show a scene for some states 0.02 s apart; return what was said, with its time."""
    said = []
    for i, success in enumerate(done):
        truth = SimpleNamespace(task="wipe_table", seed=seed, time=0.02 * i, success=success)
        if line := notice.update(truth):
            said.append((i, line))
    return said


def test_success_is_said_once_per_scene_and_only_when_it_lasts():
    """A flicker says nothing; 0.2 s of success are one line with time, seed and what is next."""
    notice = SuccessNotice()
    assert _seen(notice, 7, [False, True, True, False, True] + [False] * 5) == []
    ((at, line),) = _seen(notice, 8, [False] * 10 + [True] * 40)
    assert at == 20
    assert line.startswith("task wipe_table is done after 0.2 s (seed 8); the service /sim/reset")
    assert "seed 9" in line and "next_seed" in line
    assert len(_seen(notice, 8, [True] * 30)) == 1  # the same scene once more
