"""The evaluation as one HTML page that opens offline; videos lie beside it."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

from plotly.graph_objects import Figure, Scatter

from ..evaluation.conditions import FULL
from ..evaluation.summary import ALL, PAPER_SHARE, EpisodeGroup, EvaluationSummary
from .evaluation_tables import tables
from .figures import FULL as FULL_COLOUR
from .page_parts import POLICY, VIDEOS_BESIDE, page_text, plot_text, table_text

COLOURS: Final = ("#4e79a7", "#e15759", "#59a14f", "#b07aa1", "#9c755f", "#17a2a2", "#edc948")
SYMBOLS: Final = ("circle", "square", "diamond", "triangle-up", "cross", "star")
_LONG: Final = 80  # characters of all labels of an axis, from which on they stand aslant


def success_plot(summary: EvaluationSummary, scene: str) -> Figure:
    """Draw the success rate of each condition: all tasks, and each of them."""
    tasks = tuple(dict.fromkeys(r.task for r in summary.rows if r.task != ALL))
    names = (ALL, *tasks) if len(tasks) > 1 else tasks
    figure = Figure()
    for number, task in enumerate(names):
        shift = 0.7 * ((number + 0.5) / len(names) - 0.5)
        rows = [summary.row(scene, name, task) for name in summary.conditions]
        colour = "#222222" if task == ALL else COLOURS[number % len(COLOURS)]
        figure.add_trace(_row(rows, shift, task, colour, 10 if task == ALL else 6))
    return _finish(figure, list(summary.conditions))


def cost_plot(summary: EvaluationSummary, scene: str) -> Figure:
    """Draw success over the FLOPs that a condition takes."""
    figure = Figure()
    for number, name in enumerate(summary.conditions):
        row = summary.row(scene, name)
        if row is not None and row.measures.flops_share is not None:
            colour = FULL_COLOUR if name == FULL else COLOURS[number % len(COLOURS)]
            trace = _points([100 * row.measures.flops_share], [row], name, colour, 10)
            trace.update(marker_symbol=SYMBOLS[number % len(SYMBOLS)])
            figure.add_trace(trace)
    figure.update_xaxes(title_text="FLOPs of language model and scoring [% of full vision]")
    return _finish(figure)


def scenes_plot(summary: EvaluationSummary) -> Figure:
    """Draw success in each variant of the scene."""
    figure = Figure()
    scenes = list(summary.scenes)
    for number, name in enumerate(summary.conditions):
        rows = [summary.row(scene, name) for scene in scenes]
        shift = 0.5 * ((number + 0.5) / len(summary.conditions) - 0.5)
        figure.add_trace(_row(rows, shift, name, COLOURS[number % len(COLOURS)], 8))
    return _finish(figure, scenes)


def _row(
    rows: Sequence[EpisodeGroup | None], shift: float, name: str, colour: str, size: int
) -> Scatter:
    """Draw groups side by side, those that there are."""
    places = [place + shift for place, row in enumerate(rows) if row is not None]
    return _points(places, [row for row in rows if row is not None], name, colour, size)


def _points(
    places: Sequence[float], rows: Sequence[EpisodeGroup], name: str, colour: str, size: int
) -> Scatter:
    measures = [row.measures for row in rows]
    hover = [
        f"{escape(row.condition)}, {escape(name)}: {m.successes} of {m.episodes}"
        for row, m in zip(rows, measures, strict=True)
    ]
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
        hovertext=hover,
        hoverinfo="text",
    )


def _finish(figure: Figure, labels: Sequence[str] = ()) -> Figure:
    """Give a plot its axes: success upwards, and names along x where there are any."""
    if labels:
        aslant = 30 if sum(map(len, labels)) > _LONG else 0
        figure.update_xaxes(
            tickvals=list(range(len(labels))),
            ticktext=list(map(escape, labels)),
            tickangle=aslant,
            automargin=True,
        )
    figure.update_yaxes(
        title_text="success in simulation [%], exact 95 % interval", range=[-3, 103]
    )
    figure.update_layout(
        height=480,
        template="plotly_white",
        margin={"l": 56, "r": 16, "t": 16, "b": 56},
        showlegend=True,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "font": {"size": 11}},
    )
    return figure


def write_page(summary: EvaluationSummary, path: Path, videos: Sequence[Path]) -> None:
    """Write the page to a file, ``.html``; the videos lie in its folder or below it."""
    path.write_text(evaluation_page(summary, path.parent, videos), encoding="utf-8")


def evaluation_page(summary: EvaluationSummary, folder: Path, videos: Sequence[Path]) -> str:
    """Return the page; the same results give the same text."""
    name = Path(summary.checkpoint).name or "the scripted expert"
    title = f"Evaluation of {name}"
    sections = [f"<h1>{escape(title)}</h1>", f'<p class="caveat">{escape(summary.caveat)}</p>']
    sections += _plots(summary)
    sections += [table_text(t.title, t.heads, t.rows, notes=t.notes) for t in tables(summary)]
    sections += [_videos(folder, videos), _facts(summary)]
    return page_text(title, sections, POLICY + VIDEOS_BESIDE)


def _plots(summary: EvaluationSummary) -> list[str]:
    parts = []
    for number, scene in enumerate(summary.scenes):
        parts.append(f"<h2>Success (scenes: {escape(scene)})</h2>")
        parts.append(plot_text(success_plot(summary, scene), f"success{number}"))
        cost = cost_plot(summary, scene)
        if cost.data:
            parts.append(f"<h2>Success over cost (scenes: {escape(scene)})</h2>")
            parts.append(plot_text(cost, f"cost{number}"))
    if len(summary.scenes) > 1:
        parts += ["<h2>Success by scene</h2>", plot_text(scenes_plot(summary), "scenes")]
    return parts


def _videos(folder: Path, videos: Sequence[Path]) -> str:
    if not videos:
        return ""
    items = []
    for path in videos:
        place = escape(path.relative_to(folder).as_posix(), quote=True)
        caption = f"<figcaption>{escape(path.stem)}</figcaption>"
        items.append(
            f'<figure><video controls preload="none" src="{place}"></video>{caption}</figure>'
        )
    note = '<p class="note">Patches that were dropped are blue.</p>'
    return f'<h2>Videos</h2>{note}<div class="grid videos">{"".join(items)}</div>'


def _facts(summary: EvaluationSummary) -> str:
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
    return table_text("Setting", (), rows, numbers=False)


def _words(line: Any) -> str:
    settings = {k: v for k, v in line["settings"].items() if k not in ("name", "description")}
    listed = ", ".join(f"{name} {value}" for name, value in settings.items())
    return f"{line['description']} ({listed})"
