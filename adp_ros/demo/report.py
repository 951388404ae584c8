"""The report of a demonstration."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from ..report.numbers import Segment, segments
from ..report.run_log import Picture, RunLog
from .summary import Summary
from .video import VideoLog

MOST_PICTURES: Final = 12


def complete_log(
    log: RunLog, summary: Summary, facts: Mapping[str, str], pictures: tuple[Picture, ...]
) -> RunLog:
    """Return the log with what only the whole demonstration knows."""
    known = {"task": summary.task, "seed": str(summary.seed), "moved by": summary.policy}
    return replace(log, outcome=summary.result, facts={**known, **facts}, pictures=pictures)


def decision_pictures(
    log: RunLog, video: VideoLog, start: float, crop_area: float
) -> tuple[Picture, ...]:
    """Return what the policy saw when the gate changed its state.

    Args:
        log: The run.
        video: Its pictures.
        start: Stamp at which the run began, in [s].
        crop_area: Share of the picture's area that the policy looks at.

    Returns:
        At most 12, evenly chosen from all changes; empty when there was no picture.
    """
    if video.pictures == 0:
        return ()
    changes = _changes(segments(log.windows, log.gates))
    step = max(1, -(-len(changes) // MOST_PICTURES))
    return tuple(
        Picture(
            part.record.time, video.drawn_jpeg(start + part.record.time, crop_area), _caption(part)
        )
        for part in changes[::step]
    )


def _changes(parts: Sequence[Segment]) -> list[Segment]:
    states = [part.record.pruned for part in parts]
    return [
        part
        for part, before in zip(parts, (None, *states), strict=False)
        if before is None or before is not part.record.pruned
    ]


def _caption(part: Segment) -> str:
    record, cause = part.record, part.cause
    state = f"pruned to {record.tokens_kept}" if record.pruned else f"full, {record.tokens_kept}"
    why = part.reason if cause is None else f"{cause.reason}, {1e3 * cause.motion:.1f} mm"
    return f"window {record.window} {state} tokens ({why})"
