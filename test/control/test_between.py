"""Steps that begin within an action, against the chunk's own path."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adp_ros.control.chunk_steps import action_between

ACTIONS = np.random.default_rng(3).normal(0.0, 0.02, (8, 7))


def _path(actions, at):
    """Return where a chunk wants to be ``at`` actions after its start, by interpolation."""
    points = np.vstack([np.zeros(6), np.cumsum(actions[:, :6], axis=0)])
    return np.array([np.interp(at, np.arange(len(points)), column) for column in points.T])


@given(st.floats(0.0, 7.0))
def test_a_step_moves_as_far_as_the_chunk_wants_in_its_time(at):
    """From any place between two actions, against the interpolated path of the chunk."""
    wanted = _path(ACTIONS, at + 1.0) - _path(ACTIONS, at)
    np.testing.assert_allclose(action_between(ACTIONS, at)[:6], wanted, atol=1e-7)


@pytest.mark.parametrize("number", range(8))
def test_on_an_action_the_step_is_that_action(number):
    """Bit for bit, also when the place has the rounding error of times in seconds."""
    for at in (number, (0.1 * number + 1.1 - 1.1) / 0.1):
        assert np.array_equal(action_between(ACTIONS, at), ACTIONS[number])


def test_before_and_beyond_the_chunk_the_next_action_counts():
    """The first action may begin a little early, the last one a little late."""
    assert np.array_equal(action_between(ACTIONS, -0.6), ACTIONS[0])
    assert np.array_equal(action_between(ACTIONS, 7.3), ACTIONS[7])
    assert np.array_equal(action_between(ACTIONS[:1], 0.2), ACTIONS[0])


def test_the_gripper_is_never_mixed():
    """Half open is something else than opening later."""
    actions = np.zeros((2, 7))
    actions[1, 6] = 1.0
    assert [action_between(actions, at)[6] for at in (0.4, 0.6)] == [0.0, 1.0]


def test_the_chunk_is_left_as_it_was():
    """Also in the steps that are one action."""
    actions = ACTIONS.copy()
    for at in (0.0, 0.7):
        action_between(actions, at)[:] = 9.0
    assert np.array_equal(actions, ACTIONS)
