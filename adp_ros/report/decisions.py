"""Windows at which the gate changed its state: the ones worth a picture."""

from typing import Final

from .numbers import Segment, segments
from .run_log import RunLog

MOST: Final = 12


def decision_points(log: RunLog, most: int = MOST) -> list[Segment]:
    """Return the windows whose state differs from the one before, and the first of the run.

    Args:
        log: The run.
        most: No more than this, evenly chosen from all of them; pruned and full ones in turn.
    """
    parts = segments(log.windows, log.gates)
    states = [part.record.pruned for part in parts]
    changes = [
        part
        for part, before in zip(parts, (None, *states), strict=False)
        if before is None or before is not part.record.pruned
    ]
    step = max(1, -(-len(changes) // most))
    step += 1 - step % 2  # states alternate: an even step would show one of them only
    return changes[::step]


def decision_caption(part: Segment) -> str:
    """Say what the window saw and why."""
    record, cause = part.record, part.cause
    state = f"pruned to {record.tokens_kept}" if record.pruned else f"full, {record.tokens_kept}"
    why = part.reason if cause is None else f"{cause.reason}, {1e3 * cause.motion:.1f} mm"
    return f"window {record.window} {state} tokens ({why})"
