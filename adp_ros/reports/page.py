"""The report as one HTML page, with everything in it that it shows."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Final

from plotly.graph_objects import Figure
from plotly.io import to_html
from plotly.offline import get_plotlyjs

from ..evaluation.video import VideoLog
from .figures import STATE_NAMES, paths, timeline, timeline_key
from .numbers import (
    decision_caption,
    decision_points,
    full_vision_rows,
    safety_events,
    stage_percentiles,
)
from .run_record import Picture, RunRecord
from .summary import TITLE, Summary

# Nothing may be loaded from anywhere: what the page needs is inside.
POLICY: Final = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
)
STYLE: Final = """
:root { color-scheme: light; }
body { font: 15px/1.45 system-ui, sans-serif; color: #222; background: #fff;
       margin: 0 auto; padding: 0 12px 32px; max-width: 1200px; }
h1 { font-size: 1.5em; margin: 0.7em 0 0.1em; } h2 { font-size: 1.15em; margin: 1.6em 0 0.3em; }
.tiles { display: grid; gap: 8px; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); }
.tile { background: #f3f5f7; border-radius: 6px; padding: 8px 10px; }
.tile b { display: block; font-size: 1.35em; }
.pair { display: grid; gap: 12px; grid-template-columns: 1fr 1fr; }
@media (max-width: 700px) { .pair { grid-template-columns: 1fr; } }
.pictures { display: grid; gap: 12px;
       grid-template-columns: repeat(auto-fill, minmax(165px, 1fr)); }
.pair > div, .plot { min-width: 0; overflow: hidden; }
.key { display: flex; flex-wrap: wrap; gap: 2px 14px; font-size: 0.85em; }
.key i { display: inline-block; width: 0.8em; height: 0.8em; margin-right: 5px; }
figure { margin: 0; } img { width: 100%; display: block; border-radius: 4px; }
figcaption { font-size: 0.85em; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; } td, th { padding: 3px 12px 3px 0; text-align: left;
       border-bottom: 1px solid #e4e7ea; vertical-align: top; }
td:last-child { overflow-wrap: anywhere; min-width: 7em; }
td.number:last-child { min-width: 0; }
td.number, th.number { text-align: right; white-space: nowrap; }
"""
_PLOT = {"responsive": True, "displayModeBar": False, "scrollZoom": False}


def write_report(log: RunRecord, path: Path) -> None:
    """Write the page.

    Args:
        log: The run.
        path: File to write, ``.html``.
    """
    path.write_text(report_page(log), encoding="utf-8")


def report_page(log: RunRecord) -> str:
    """Return the page; the same run gives the same text."""
    sections = [
        f"<h1>{escape(log.title)}</h1><p>{escape(log.outcome)}</p>",
        _tiles(log),
        _timeline(log),
        _comparison(log),
        _latency(log),
        _paths(log),
        _events(log),
        _pictures(log),
        _facts(log),
    ]
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, '
        f'initial-scale=1"><meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<title>{escape(log.title)}</title><style>{STYLE}</style>"
        f"<script>{get_plotlyjs()}</script>"
    )
    body = "\n".join(section for section in sections if section)
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def _tiles(log: RunRecord) -> str:
    pruned = sum(record.pruned for record in log.windows)
    tiles = [("windows pruned", f"{pruned} of {len(log.windows)}")]
    full = sum(record.flops_full for record in log.windows)
    if full > 0:
        saved = 1.0 - sum(record.flops for record in log.windows) / full
        tiles.append(("FLOPs saved", f"{saved:.1%}"))
    for row in stage_percentiles(log.latencies):
        if row.stage == "frame_to_chunk":
            tiles.append(("frame to chunk, p50 / p99", f"{row.p50:.0f} / {row.p99:.0f} ms"))
    events = [e for e in safety_events(log.safety) if e.status in ("slowed", "stopped")]
    stops = sum(event.status == "stopped" for event in events)
    tiles.append(("slowed / stopped", f"{len(events) - stops} / {stops}"))
    inner = "".join(
        f'<div class="tile"><b>{escape(value)}</b>{escape(name)}</div>' for name, value in tiles
    )
    return f'<div class="tiles">{inner}</div>'


def _timeline(log: RunRecord) -> str:
    if not log.windows:
        return "<p>No window was planned.</p>"
    note = (
        "<p>Drag to zoom all rows together, double-click to go back. Every window says why. "
        "Dashed and dotted: motion from which the gate prunes, and up to which it wants full "
        "vision; a dot has the colour of the next window.</p>"
    )
    key = _key(timeline_key(log))
    return f'<h2>Timeline</h2>{note}{key}<div class="plot">{_plot(timeline(log), "timeline")}</div>'


def _comparison(log: RunRecord) -> str:
    rows = [(row.quantity, row.here, row.other) for row in full_vision_rows(log)]
    return _section("Against full vision", ("quantity", "this run", "full vision"), rows)


def _latency(log: RunRecord) -> str:
    rows = [
        (row.stage, *(f"{value:.1f}" for value in (row.p50, row.p95, row.p99, row.maximum)))
        for row in stage_percentiles(log.latencies)
    ]
    return _section("Latency per window [ms]", ("stage", "p50", "p95", "p99", "max"), rows)


def _paths(log: RunRecord) -> str:
    if not log.path:
        return ""
    plots = (_plot(figure, f"path{i}") for i, figure in enumerate(paths(log)))
    inner = "".join(f"<div>{plot}</div>" for plot in plots)
    return f'<h2>Way of the tool</h2>{_key(STATE_NAMES)}<div class="pair">{inner}</div>'


def _events(log: RunRecord) -> str:
    rows = [
        (f"{event.time:.2f}", event.status, event.cause, event.message)
        for event in safety_events(log.safety)
    ]
    return _section("Safety", ("time [s]", "status", "cause", "message"), rows, numbers=0)


def _pictures(log: RunRecord) -> str:
    if not log.pictures:
        return ""
    figures = []
    for picture in log.pictures:
        data = b64encode(picture.jpeg).decode("ascii")
        caption = escape(f"{round(picture.time, 1) + 0.0:.1f} s: {picture.caption}")
        image = f'<img alt="{caption}" src="data:image/jpeg;base64,{data}">'
        figures.append(f"<figure>{image}<figcaption>{caption}</figcaption></figure>")
    return f'<h2>Decision points</h2><div class="pictures">{"".join(figures)}</div>'


def _facts(log: RunRecord) -> str:
    return _section("Run", ("name", "value"), list(log.facts.items()), numbers=0)


def _section(
    title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], numbers: int | None = None
) -> str:
    """Return a table; all but the first `numbers` columns are aligned as numbers."""
    if not rows:
        return ""
    right = len(heads) - 1 if numbers is None else numbers

    def line(cells: Sequence[str], tag: str) -> str:
        kinds = [""] * (len(heads) - right) + [' class="number"'] * right
        cell_texts = zip(kinds, cells, strict=True)
        return "".join(f"<{tag}{kind}>{escape(text)}</{tag}>" for kind, text in cell_texts)

    body = "".join(f"<tr>{line(row, 'td')}</tr>" for row in rows)
    table = f"<table><tr>{line(heads, 'th')}</tr>{body}</table>"
    return f'<h2>{escape(title)}</h2><div class="wide">{table}</div>'


def _key(entries: Sequence[tuple[str, str]]) -> str:
    items = "".join(
        f'<span><i style="background:{colour}"></i>{escape(name)}</span>'
        for name, colour in entries
    )
    return f'<div class="key">{items}</div>'


def _plot(figure: Figure, name: str) -> str:
    text = to_html(
        figure, config=_PLOT, include_plotlyjs=False, full_html=False, div_id=name, validate=False
    )
    return str(text)


def complete_log(
    log: RunRecord, summary: Summary, facts: Mapping[str, str], pictures: tuple[Picture, ...]
) -> RunRecord:
    """Return the log with what only the whole demonstration knows."""
    known = {"task": summary.task, "seed": str(summary.seed), "moved by": summary.policy, **facts}
    log = replace(log, outcome=summary.result, facts=known, pictures=pictures)
    if summary.comparison is None:
        return log
    noted = {**known, TITLE: summary.comparison.note}
    return replace(log, facts=noted, comparison=summary.comparison.report_rows())


def decision_pictures(
    log: RunRecord, video: VideoLog, start: float, crop_area: float
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
