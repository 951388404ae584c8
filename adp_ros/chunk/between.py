"""What a chunk wants in a step that begins within one of its actions."""

from typing import Final

import numpy as np

from ..types import FloatArray

_ROUNDING: Final = 1e-6  # share of an action that counts as none
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
    before = int(within + _ROUNDING)
    share = within - before  # of the action after
    if share < _ROUNDING:
        return np.array(actions[before], dtype=np.float64)
    pair = np.array(actions[before : before + 2], dtype=np.float64)  # (2, 7)
    mixed: FloatArray = pair[round(share)].copy()
    mixed[:_MOTION] = (1.0 - share) * pair[0, :_MOTION] + share * pair[1, :_MOTION]
    return mixed
