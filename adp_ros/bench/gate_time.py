"""Duration of one decision of the gate."""

from collections.abc import Callable

import numpy as np

from ..gate import Gate, GateConfig
from ..types import FloatArray

_EPISODE = 100  # windows
_LONGEST = 0.1  # [m] motion of a window


def gate_seconds(
    clock: Callable[[], float], random: np.random.Generator, decisions: int = 2000
) -> FloatArray:
    """Time the default gate on random motion.

    Args:
        clock: Monotonic time in [s].
        random: Draws the motion.
        decisions: Decisions to time.

    Returns:
        Shape (decisions,), in [s].
    """
    gate = Gate(GateConfig())
    seconds = np.empty(decisions)
    for i, motion in enumerate(random.uniform(0.0, _LONGEST, decisions)):
        if i % _EPISODE == 0:
            gate.reset()
        begin = clock()
        gate.close_window(float(motion))
        seconds[i] = clock() - begin
    return seconds
