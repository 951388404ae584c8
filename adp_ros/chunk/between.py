"""What a chunk wants in a step that begins within one of its actions."""

from typing import Final

import numpy as np

from ..types import FloatArray
from .grid import ROUNDING

_MOTION: Final = 6  # numbers of an action that are a motion; the last one is the gripper


def action_between(actions: FloatArray, at: float) -> FloatArray:
    """Return the motion of one step that begins at a place between two actions.

    The step gets of each of the two actions the share that falls into it, so that steps in a row
    move exactly as far as the chunk wanted until then. Increments are small, so shares of
    rotations add up, too. The gripper is that of the action with the larger share.

    Args:
        actions: Increments of one step each and the gripper, shape (T, 7).
        at: Where the step begins, counted in actions from the start of the first; before it and
            beyond the last one the step is the first action, or the last.

    Returns:
        Shape (7,), float64.
    """
    last = len(actions) - 1
    within = min(max(at, 0.0), float(last))
    before = int(within + ROUNDING)
    share = within - before  # of the action after
    if share < ROUNDING:
        return np.array(actions[before], dtype=np.float64)
    pair = np.array(actions[before : before + 2], dtype=np.float64)  # (2, 7)
    mixed: FloatArray = pair[round(share)].copy()
    mix_motion(mixed, pair[0], pair[1], share)
    return mixed


def mix_motion(into: FloatArray, first: FloatArray, second: FloatArray, share: float) -> None:
    """Give an action the motion of two others; its gripper stays.

    Args:
        into: Action that is changed, shape (7,).
        first: An action.
        second: Another one.
        share: Of the second, 0 to 1.
    """
    into[:_MOTION] = (1.0 - share) * first[:_MOTION] + share * second[:_MOTION]
