"""The plots of an evaluation. Each carries its caveat, so that a copied picture keeps it."""

from collections.abc import Sequence
from html import escape
from textwrap import wrap
from typing import Final

from plotly.graph_objects import Figure, Scatter

from ..report.colours import FULL as FULL_COLOUR
from ..report.colours import PRUNED
from .condition import FULL
from .measures import Measures
from .summary import ALL, Row, Summary

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
