"""The evaluation as one HTML page that opens offline; videos lie beside it."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from textwrap import wrap
from typing import Any, Final

from plotly.graph_objects import Figure, Scatter
from plotly.io import to_html
from plotly.offline import get_plotlyjs

from ..evaluation.conditions import FULL
from ..evaluation.summary import ALL, PAPER_SHARE, Measures, Row, Summary
from .evaluation_tables import TextTable, tables
from .figures import FULL as FULL_COLOUR
from .figures import PRUNED
from .page import STYLE

COLOURS: Final = ("#4e79a7", "#e15759", "#59a14f", "#b07aa1", "#9c755f", "#17a2a2", "#edc948")
_WIDTH: Final = 105  # characters of a line below a plot


def success_plot(summary: Summary, scene: str) -> Figure:
    """Draw the success rate of each condition: all tasks, and each of them."""
    tasks = tuple(dict.fromkeys(r.task for r in summary.rows if r.task != ALL))
    names = (ALL, *tasks) if len(tasks) > 1 else tasks
    figure = Figure()
    for number, task in enumerate(names):
        shift = 0.7 * ((number + 0.5) / len(names) - 0.5)
        rows = [summary.row(scene, name, task) for name in summary.conditions]
        places = [place + shift for place, row in enumerate(rows) if row is not None]
        colour = "#222222" if task == ALL else COLOURS[number % len(COLOURS)]
        size = 10 if task == ALL else 6
        figure.add_trace(_points(places, [r for r in rows if r], task, colour, size))
    conditions = [escape(name) for name in summary.conditions]
    ticks = list(range(len(conditions)))
    figure.update_xaxes(tickvals=ticks, ticktext=conditions)
    figure.update_yaxes(title_text="success [%], exact 95 % interval", range=[-3, 103])
    return _finish(figure, summary.caveat)


def cost_plot(summary: Summary, scene: str) -> Figure:
    """Draw success over the FLOPs that a condition takes."""
    figure = Figure()
    for name in summary.conditions:
        row = summary.row(scene, name)
        if row is not None and row.measures.flops_share is not None:
            colour = FULL_COLOUR if name == FULL else PRUNED
            trace = _points([100 * row.measures.flops_share], [row], name, colour, 10)
            trace.update(mode="markers+text", text=[escape(name)], textposition="middle right")
            figure.add_trace(trace)
    figure.update_xaxes(title_text="FLOPs of language model and scoring [% of full vision]")
    figure.update_yaxes(title_text="success [%], exact 95 % interval", range=[-3, 103])
    figure.update_layout(showlegend=False)
    return _finish(figure, summary.caveat)


def scenes_plot(summary: Summary) -> Figure:
    """Draw success in each variant of the scene."""
    figure = Figure()
    scenes = list(summary.scenes)
    for number, name in enumerate(summary.conditions):
        rows = [summary.row(scene, name) for scene in scenes]
        shift = 0.5 * ((number + 0.5) / len(summary.conditions) - 0.5)
        places = [place + shift for place, row in enumerate(rows) if row is not None]
        colour = COLOURS[number % len(COLOURS)]
        figure.add_trace(_points(places, [r for r in rows if r], name, colour, 8))
    figure.update_xaxes(tickvals=list(range(len(scenes))), ticktext=list(map(escape, scenes)))
    figure.update_yaxes(title_text="success [%], exact 95 % interval", range=[-3, 103])
    return _finish(figure, summary.caveat)


def _points(
    places: Sequence[float], rows: Sequence[Row], name: str, colour: str, size: int
) -> Scatter:
    measures = [row.measures for row in rows]
    return Scatter(
        x=list(places),
        y=[100 * m.exact.value for m in measures],
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [100 * (m.exact.high - m.exact.value) for m in measures],
            "arrayminus": [100 * (m.exact.value - m.exact.low) for m in measures],
            "thickness": 1.2,
        },
        mode="markers",
        name=escape(name),
        marker={"color": colour, "size": size},
        hovertext=[_hover(row.condition, name, row.measures) for row in rows],
        hoverinfo="text",
    )


def _hover(condition: str, name: str, measures: Measures) -> str:
    counts = f"{measures.successes} of {measures.episodes}"
    return f"{escape(condition)}, {escape(name)}: {counts}"


def _finish(figure: Figure, caveat: str) -> Figure:
    lines = wrap(caveat, _WIDTH)
    figure.update_layout(
        height=450 + 16 * len(lines),
        template="plotly_white",
        margin={"l": 56, "r": 16, "t": 16, "b": 84 + 16 * len(lines)},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"},
    )
    figure.add_annotation(
        text="<br>".join(map(escape, lines)),
        xref="paper",
        yref="paper",
        x=0.0,
        y=0.0,
        yshift=-62,
        xanchor="left",
        yanchor="top",
        align="left",
        showarrow=False,
        font={"size": 11, "color": "#555555"},
    )
    return figure


POLICY: Final = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; media-src 'self' file:"
)
MORE_STYLE: Final = """
.note { font-size: 0.87em; color: #555; margin: 0.3em 0; max-width: 70em; }
.caveat { background: #fff4e0; border-left: 4px solid #f28e2b; padding: 6px 10px; }
.videos { display: grid; gap: 12px; grid-template-columns: repeat(auto-fill, minmax(260px, 1fr)); }
video { width: 100%; display: block; } td.number:last-child { min-width: 0; }
"""
_PLOT = {"responsive": True, "displayModeBar": False, "scrollZoom": False}


def write_page(summary: Summary, path: Path, videos: Sequence[Path]) -> None:
    """Write the page.

    Args:
        summary: The evaluation.
        path: File to write, ``.html``.
        videos: Videos in the page's folder or below it.
    """
    path.write_text(evaluation_page(summary, path.parent, videos), encoding="utf-8")


def evaluation_page(summary: Summary, folder: Path, videos: Sequence[Path]) -> str:
    """Return the page; the same results give the same text."""
    name = Path(summary.checkpoint).name or "the scripted expert"
    title = f"Evaluation of {name}"
    sections = [f"<h1>{escape(title)}</h1>", f'<p class="caveat">{escape(summary.caveat)}</p>']
    sections += [_plots(summary), *(_table(table) for table in tables(summary))]
    sections += [_videos(summary, folder, videos), _facts(summary)]
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, '
        f'initial-scale=1"><meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<title>{escape(title)}</title><style>{STYLE}{MORE_STYLE}</style>"
        f"<script>{get_plotlyjs()}</script>"
    )
    body = "\n".join(section for section in sections if section)
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def _plots(summary: Summary) -> str:
    parts = []
    for number, scene in enumerate(summary.scenes):
        parts.append(f"<h2>Success (scenes: {escape(scene)})</h2>")
        parts.append(_plot(success_plot(summary, scene), f"success{number}"))
        cost = cost_plot(summary, scene)
        if cost.data:
            parts.append(f"<h2>Success over cost (scenes: {escape(scene)})</h2>")
            parts.append(_plot(cost, f"cost{number}"))
    if len(summary.scenes) > 1:
        parts += ["<h2>Success by scene</h2>", _plot(scenes_plot(summary), "scenes")]
    return "\n".join(parts)


def _table(table: TextTable) -> str:
    rows = [_line(table.heads, "th"), *(_line(row, "td") for row in table.rows)]
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in table.notes)
    return f'<h2>{escape(table.title)}</h2><div class="wide"><table>{body}</table></div>{notes}'


def _line(cells: Sequence[str], tag: str) -> str:
    kinds = ["", *[' class="number"'] * (len(cells) - 1)]
    pairs = zip(kinds, cells, strict=True)
    return "".join(f"<{tag}{kind}>{escape(cell)}</{tag}>" for kind, cell in pairs)


def _videos(summary: Summary, folder: Path, videos: Sequence[Path]) -> str:
    if not videos:
        return ""
    items = []
    for path in videos:
        place = escape(path.relative_to(folder).as_posix(), quote=True)
        caption = f"<figcaption>{escape(path.stem)}</figcaption>"
        items.append(
            f'<figure><video controls preload="none" src="{place}"></video>{caption}</figure>'
        )
    note = f'<p class="note">Patches that were dropped are blue. {escape(summary.caveat)}</p>'
    return f'<h2>Videos</h2>{note}<div class="videos">{"".join(items)}</div>'


def _facts(summary: Summary) -> str:
    rows: list[tuple[str, str]] = [
        ("checkpoint", summary.checkpoint or "none"),
        ("fingerprint", summary.fingerprint or "none"),
        *((name, str(value)) for name, value in summary.loop.items()),
        ("revision of the code", ", ".join(summary.revisions) or "unknown"),
        ("time to compute an episode, median", f"{summary.wall:.1f} s"),
        ("share of pruned windows in the paper", str(PAPER_SHARE)),
    ]
    rows += [(f"condition {name}", _words(line)) for name, line in summary.conditions.items()]
    rows += [(f"scene {name}", _words(line)) for name, line in summary.scenes.items()]
    body = "".join(f"<tr><td>{escape(a)}</td><td>{escape(b)}</td></tr>" for a, b in rows)
    return f'<h2>Setting</h2><div class="wide"><table>{body}</table></div>'


def _words(line: Any) -> str:
    settings = {k: v for k, v in line["settings"].items() if k not in ("name", "description")}
    listed = ", ".join(f"{name} {value}" for name, value in settings.items())
    return f"{line['description']} ({listed})"


def _plot(figure: Figure, name: str) -> str:
    text = to_html(
        figure, config=_PLOT, include_plotlyjs=False, full_html=False, div_id=name, validate=False
    )
    return f'<div class="plot">{text}</div>'
