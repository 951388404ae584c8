"""The report of a demonstration."""

from collections.abc import Mapping
from dataclasses import replace

from ..report.decisions import decision_caption, decision_points
from ..report.run_log import Picture, RunLog
from .comparison import TITLE
from .summary import Summary
from .video import VideoLog


def complete_log(
    log: RunLog, summary: Summary, facts: Mapping[str, str], pictures: tuple[Picture, ...]
) -> RunLog:
    """Return the log with what only the whole demonstration knows."""
    known = {"task": summary.task, "seed": str(summary.seed), "moved by": summary.policy, **facts}
    log = replace(log, outcome=summary.result, facts=known, pictures=pictures)
    if summary.comparison is None:
        return log
    noted = {**known, TITLE: summary.comparison.note}
    return replace(log, facts=noted, comparison=summary.comparison.report_rows())


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
    return tuple(
        Picture(
            part.record.time,
            video.drawn_jpeg(start + part.record.time, crop_area),
            decision_caption(part),
        )
        for part in decision_points(log)
    )
