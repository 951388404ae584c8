"""The report of a run as one HTML page."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import replace
from html import escape
from pathlib import Path

from ..evaluation.video import VideoLog
from .figures import STATE_NAMES, paths, timeline, timeline_key
from .numbers import decision_caption, decision_points, full_vision_rows, stage_times
from .page_parts import page_text, plot_text, table_text
from .run_record import Picture, RunRecord
from .run_summary import TITLE, RunSummary, comparison_note, comparison_rows


def write_report(log: RunRecord, path: Path) -> None:
    """Write the page to a file, ``.html``."""
    path.write_text(report_page(log), encoding="utf-8")


def report_page(log: RunRecord) -> str:
    """Return the page; the same run gives the same text."""
    stages = [
        (stage, *(f"{value:.1f}" for value in (row.p50, row.p95, row.p99, row.maximum)))
        for stage, row in stage_times(log.windows).items()
    ]
    compared = [(row.quantity, row.here, row.other) for row in full_vision_rows(log)]
    events = [(f"{e.time:.2f}", e.status, e.cause, e.message) for e in log.events]
    sections = [
        f"<h1>{escape(log.title)}</h1><p>{escape(log.outcome)}</p>",
        *(f'<p class="caveat">{escape(str(step))}</p>' for step in log.steps),
        _tiles(log),
        _timeline(log),
        table_text("Against full vision", ("quantity", "this run", "full vision"), compared),
        table_text("Latency per window [ms]", ("stage", "p50", "p95", "p99", "max"), stages),
        _paths(log),
        table_text("Safety", ("time [s]", "status", "cause", "message"), events, numbers=False),
        _pictures(log),
        table_text("Run", ("name", "value"), list(log.facts.items()), numbers=False),
    ]
    return page_text(log.title, sections)


def _tiles(log: RunRecord) -> str:
    windows = log.planned
    tiles = [("windows pruned", f"{sum(w.pruned for w in windows)} of {len(windows)}")]
    full = sum(window.audit.flops_full for window in windows)
    if full > 0:
        saved = 1.0 - sum(window.audit.flops for window in windows) / full
        tiles.append(("FLOPs saved", f"{saved:.1%}"))
    if (row := stage_times(log.windows).get("frame_to_chunk")) is not None:
        tiles.append(("frame to chunk, p50 / p99", f"{row.p50:.0f} / {row.p99:.0f} ms"))
    statuses = [event.status for event in log.events]
    counts = (statuses.count("slowed"), len(log.limited), statuses.count("stopped"))
    tiles.append(("slowed / limited / stopped", " / ".join(map(str, counts))))
    inner = "".join(
        f'<div class="tile"><b>{escape(value)}</b>{escape(name)}</div>' for name, value in tiles
    )
    return f'<div class="tiles">{inner}</div>'


def _timeline(log: RunRecord) -> str:
    if not log.planned:
        return "<p>No window was planned.</p>"
    note = (
        "<p>Drag to zoom all rows together, double-click to go back. Every window says why. "
        "Dashed and dotted: motion from which the gate prunes, and up to which it wants full "
        "vision; a dot has the colour of the next window.</p>"
    )
    return f"<h2>Timeline</h2>{note}{_key(timeline_key(log))}{plot_text(timeline(log), 'timeline')}"


def _paths(log: RunRecord) -> str:
    if not log.path:
        return ""
    plots = "".join(plot_text(figure, f"path{i}") for i, figure in enumerate(paths(log)))
    return f'<h2>Way of the tool</h2>{_key(STATE_NAMES)}<div class="pair">{plots}</div>'


def _pictures(log: RunRecord) -> str:
    if not log.pictures:
        return ""
    figures = []
    for picture in log.pictures:
        data = b64encode(picture.jpeg).decode("ascii")
        caption = escape(f"{round(picture.time, 1) + 0.0:.1f} s: {picture.caption}")
        image = f'<img alt="{caption}" src="data:image/jpeg;base64,{data}">'
        figures.append(f"<figure>{image}<figcaption>{caption}</figcaption></figure>")
    return f'<h2>Decision points</h2><div class="grid">{"".join(figures)}</div>'


def _key(entries: Sequence[tuple[str, str]]) -> str:
    items = "".join(
        f'<span><i style="background:{colour}"></i>{escape(name)}</span>'
        for name, colour in entries
    )
    return f'<div class="key">{items}</div>'


def complete_log(
    log: RunRecord, summary: RunSummary, facts: Mapping[str, str], pictures: tuple[Picture, ...]
) -> RunRecord:
    """Return the log with what only the whole demonstration knows."""
    known = {"task": summary.task, "seed": str(summary.seed), "moved by": summary.policy, **facts}
    log = replace(log, outcome=summary.result, facts=known, pictures=pictures)
    if summary.comparison is None:
        return log
    noted = {**known, TITLE: comparison_note(summary.comparison)}
    return replace(log, facts=noted, comparison=comparison_rows(summary.comparison))


def decision_pictures(log: RunRecord, video: VideoLog, crop_area: float) -> tuple[Picture, ...]:
    """Return what the policy saw when the gate changed its state.

    Args:
        log: The run.
        video: Its pictures, stamped with the run's time.
        crop_area: Share of the picture's area that the policy looks at.

    Returns:
        At most 12, evenly chosen from all changes; empty when there was no picture.
    """
    if video.pictures == 0:
        return ()
    return tuple(
        Picture(
            part.record.time,
            video.drawn_jpeg(part.record.time, crop_area),
            decision_caption(part),
        )
        for part in decision_points(log)
    )
