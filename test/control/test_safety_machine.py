"""The state machine against its table, written down by hand a second time."""

import pytest

from adp_ros.control.safety_machine import TRANSITIONS, Event, Machine, Status

D, A, R, S, X = Status.DISARMED, Status.ARMED, Status.RUNNING, Status.SLOWED, Status.STOPPED
H = Status.HOMING
# Rows: state; columns: event. What is not here must not change the state.
EXPECTED = {
    Event.FEEDBACK_GOOD: {D: A},
    Event.FEEDBACK_BAD: {A: D, R: X, S: X, H: X},
    Event.TORQUE_SLOW: {R: S},
    Event.TORQUE_CLEAR: {S: R},
    Event.TORQUE_STOP: {A: X, R: X, S: X, H: X},
    Event.START: {A: R},
    Event.STOP: {D: X, A: X, R: X, S: X, H: X},
    Event.NODE_LOST: {R: X, S: X, H: X},
    Event.GUARD: {R: X, S: X, H: X},
    Event.HOME: {A: H},
    Event.ARRIVED: {H: A},
    Event.RESET: {X: D},
}


@pytest.mark.parametrize("event", list(Event), ids=str)
@pytest.mark.parametrize("status", list(Status), ids=lambda s: s.name)
def test_every_pair_of_state_and_event_does_what_the_table_says(status, event):
    """All 72 pairs, those without transition included."""
    machine = Machine()
    machine.status = status
    target = EXPECTED[event].get(status)
    assert machine.fire(event, 1.0, "why", "because") is (target is not None)
    assert machine.status is (target if target is not None else status)
    if target is not None:
        assert (machine.last.source, machine.last.event, machine.last.target) == (
            status,
            event,
            target,
        )
        assert (machine.last.time, machine.last.cause, machine.last.message) == (
            1.0,
            "why",
            "because",
        )
    assert machine.stops == (target is X)


def test_table_has_no_other_transition():
    """The published table is exactly the expected one."""
    assert dict(TRANSITIONS) == {(s, e): t for e, row in EXPECTED.items() for s, t in row.items()}


def test_only_reset_leaves_the_latch_and_only_start_and_home_lead_to_motion():
    """Read off the table itself."""
    assert {e for (s, e) in TRANSITIONS if s is X} == {Event.RESET}
    into_motion = {(s, e) for (s, e), t in TRANSITIONS.items() if t.moving and not s.moving}
    assert into_motion == {(A, Event.START), (A, Event.HOME)}


def test_states_are_numbered_as_in_the_message():
    """0 disarmed to 4 stopped, 5 homing; the policy moves the arm while running and slowed."""
    assert [s.value for s in (D, A, R, S, X, H)] == [0, 1, 2, 3, 4, 5]
    assert [s.moving for s in (D, A, R, S, X, H)] == [False, False, True, True, False, True]
    assert [s.executing for s in (D, A, R, S, X, H)] == [False, False, True, True, False, False]
    machine = Machine()
    assert machine.status is D and not machine.latched
    machine.fire(Event.STOP, 0.0)
    assert machine.latched


def test_new_machine_has_no_past_and_every_stop_is_counted():
    """An event without cause leaves an empty one."""
    machine = Machine()
    assert machine.last is None and machine.stops == 0
    for count in (1, 2, 3):
        machine.fire(Event.STOP, 0.0)
        assert machine.stops == count
        assert (machine.last.cause, machine.last.message) == ("", "")
        machine.fire(Event.RESET, 1.0)
