"""The report's plots."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from html import escape
from typing import Final

import numpy as np
from plotly.graph_objects import Bar, Figure, Scatter
from plotly.subplots import make_subplots

from ..adp.gate_rules import Decision, Reason
from ..policies.window import Window
from .numbers import FIRST, Segment, segments, torque_share
from .run_record import RunRecord

FULL: Final = "#2a78b5"
PRUNED: Final = "#f28e2b"
GOOD: Final = "#59a14f"
CAUTION: Final = "#d8a800"
BAD: Final = "#d62728"
QUIET: Final = "#8a8a8a"
_REASONS: Final[Mapping[str, str]] = {
    Reason.FAST.value: PRUNED,
    Reason.SLOW.value: FULL,
    Reason.BETWEEN.value: "#b8b8b8",
    Reason.STEADY.value: "#dcdcdc",
    Reason.REFRESH.value: "#9c5fb5",
    Reason.COLD_START.value: "#d9d3a7",
    FIRST: "#d9d3a7",
}
_OTHER: Final = "#76b7b2"


def state_colour(pruned: bool) -> str:
    """Return the colour of a gate state."""
    return PRUNED if pruned else FULL


def reason_colour(reason: str) -> str:
    """Return the colour of a reason."""
    return _REASONS.get(reason, _OTHER)


def status_colour(status: str) -> str:
    """Return the colour of a state of the safety machine."""
    colours = {"armed": GOOD, "running": GOOD, "slowed": CAUTION, "stopped": BAD}
    return colours.get(status, QUIET)


STATE_NAMES: Final = (("full vision", FULL), ("pruned", PRUNED))
JOINT_COLOURS: Final = ("#4e79a7", "#e15759", "#59a14f", "#b07aa1", "#9c755f", "#17a2a2")
STAGE_COLOURS: Final[Mapping[str, str]] = {
    "preprocess": "#bab0ac",
    "vision": "#59a14f",
    "scoring": "#edc948",
    "llm": "#4e79a7",
    "head": "#e15759",
}
ROWS: Final = ("gate", "motion [mm]", "vision tokens", "time [ms]", "residual torque [% of stop]")
HEIGHTS: Final = (0.12, 0.27, 0.15, 0.23, 0.23)
TORQUE_POINTS: Final = 1200
LAST_STATE: Final = 0.3  # [s] for which the run's last state is shown
_MM = 1e3


def timeline(log: RunRecord) -> Figure:
    """Draw gate, motion, tokens, times and torques over one common axis of time."""
    figure = make_subplots(
        rows=len(ROWS),
        cols=1,
        shared_xaxes=True,
        vertical_spacing=0.045,
        row_heights=list(HEIGHTS),
        subplot_titles=ROWS,
    )
    parts = segments(log.windows, log.safety)
    _draw_states(figure, parts)
    _draw_motion(figure, log.windows)
    _draw_tokens(figure, parts)
    _draw_times(figure, parts)
    _draw_torques(figure, log)
    for step in log.steps:
        figure.add_vline(step.time, line={"color": QUIET, "width": 2, "dash": "dashdot"})
    figure.update_xaxes(title_text="time [s]", row=len(ROWS), col=1)
    figure.update_layout(
        height=1000,
        barmode="stack",
        bargap=0,
        hovermode="closest",
        showlegend=False,  # it would eat the rows on a phone: the page has its own
        margin={"l": 52, "r": 12, "t": 34, "b": 44},
        template="plotly_white",
    )
    figure.update_yaxes(fixedrange=True)
    figure.update_annotations(x=0.0, xanchor="left", yshift=7, font={"size": 13})
    return figure


def timeline_key(log: RunRecord) -> list[tuple[str, str]]:
    """Return (name, colour) of what the timeline shows, from top to bottom."""
    reasons = dict.fromkeys(part.reason for part in segments(log.windows, log.safety))
    key = list(STATE_NAMES)
    key += [(f"why: {reason}", reason_colour(reason)) for reason in reasons]
    if any(window.times is not None for window in log.windows):
        key += [*STAGE_COLOURS.items(), ("frame to chunk", "#222222")]
    joints = torque_share(log.safety, 1)[1].shape[1]
    return key + [(f"joint {i + 1}", _joint_colour(i)) for i in range(joints)]


def paths(log: RunRecord) -> tuple[Figure, Figure]:
    """Draw the tool's way from above and from the side, coloured by the gate's state."""
    return _path(log, "y", "from above"), _path(log, "z", "from the side")


def _draw_states(figure: Figure, parts: Sequence[Segment]) -> None:
    for (name, colour), pruned in zip(STATE_NAMES, (False, True), strict=True):
        chosen = [part for part in parts if part.record.pruned is pruned]
        figure.add_trace(_lane("state", name, colour, chosen), row=1, col=1)
    for reason in dict.fromkeys(part.reason for part in parts):
        chosen = [part for part in parts if part.reason == reason]
        colour = reason_colour(reason)
        figure.add_trace(_lane("why", f"why: {escape(reason)}", colour, chosen), row=1, col=1)
    figure.update_yaxes(categoryorder="array", categoryarray=["why", "state"], row=1, col=1)


def _lane(lane: str, name: str, colour: str, parts: Sequence[Segment]) -> Bar:
    return Bar(
        orientation="h",
        base=[part.record.time for part in parts],
        x=[part.length for part in parts],
        y=[lane] * len(parts),
        width=0.9,
        name=name,
        marker={"color": colour, "line": {"width": 0.5, "color": "white"}},
        hovertext=[_window_text(part) for part in parts],
        hoverinfo="text",
    )


def _window_text(part: Segment) -> str:
    record, audit = part.record, part.record.audit
    text = f"window {record.window} at {record.time:.2f} s<br>"
    text += f"{audit.tokens_kept} of {audit.tokens_total} vision tokens"
    return text + ("" if part.cause is None else "<br>" + _gate_text(part.cause))


def _gate_text(gate: Decision) -> str:
    text = f"{escape(gate.reason)}: motion {_MM * gate.motion:.2f} mm in window {gate.window}"
    for name, value in (("upper", gate.upper), ("lower", gate.lower)):
        text += "" if np.isnan(value) else f", {name} {_MM * value:.2f} mm"
    return f"{text} ({escape(gate.rule)})"


def _draw_motion(figure: Figure, windows: Sequence[Window]) -> None:
    decided = [(window.time, window.decision) for window in windows if window.decision is not None]
    times, gates = [time for time, _ in decided], [gate for _, gate in decided]
    for name, values, dash in (
        ("upper: prune from here", [_MM * gate.upper for gate in gates], "dash"),
        ("lower: full vision up to here", [_MM * gate.lower for gate in gates], "dot"),
    ):
        line = {"color": "#555555", "width": 1, "dash": dash, "shape": "hv"}
        trace = Scatter(x=times, y=values, mode="lines", name=name, line=line, hoverinfo="skip")
        figure.add_trace(trace, row=2, col=1)
    motions = Scatter(
        x=times,
        y=[_MM * gate.motion for gate in gates],
        mode="lines+markers",
        name="motion, dot: next state",
        line={"color": "#999999", "width": 1},
        marker={"color": [state_colour(gate.prune) for gate in gates], "size": 7},
        hovertext=[f"next {'pruned' if g.prune else 'full'}, {_gate_text(g)}" for g in gates],
        hoverinfo="text",
    )
    figure.add_trace(motions, row=2, col=1)
    figure.update_yaxes(rangemode="tozero", row=2, col=1)


def _draw_tokens(figure: Figure, parts: Sequence[Segment]) -> None:
    tokens = Bar(
        x=[(part.record.time + part.end) / 2 for part in parts],
        width=[part.length for part in parts],
        y=[part.record.audit.tokens_kept for part in parts],
        marker={"color": [state_colour(part.record.pruned) for part in parts]},
        hovertext=[_window_text(part) for part in parts],
        hoverinfo="text",
    )
    figure.add_trace(tokens, row=3, col=1)


def _draw_times(figure: Figure, parts: Sequence[Segment]) -> None:
    timed = [(part, asdict(t)) for part in parts if (t := part.record.times) is not None]
    middles = [part.record.time + part.length / 2 for part, _ in timed]
    for stage, colour in STAGE_COLOURS.items():
        trace = Bar(
            x=middles,
            y=[times[stage] for _, times in timed],
            width=[part.length for part, _ in timed],
            name=stage,
            marker={"color": colour},
            hovertemplate=f"{stage} %{{y:.1f}} ms<extra></extra>",
        )
        figure.add_trace(trace, row=4, col=1)
    ages = [times["frame_to_chunk"] for _, times in timed]
    line = {"color": "#222222", "width": 1}
    name = "frame to chunk"
    figure.add_trace(Scatter(x=middles, y=ages, mode="lines", name=name, line=line), row=4, col=1)


def _draw_torques(figure: Figure, log: RunRecord) -> None:
    times, shares = torque_share(log.safety, TORQUE_POINTS)
    for joint in range(shares.shape[1]):
        trace = Scatter(
            x=times.tolist(),
            y=(100.0 * shares[:, joint]).tolist(),
            mode="lines",
            name=f"joint {joint + 1}",
            line={"width": 1, "color": _joint_colour(joint)},
        )
        figure.add_trace(trace, row=5, col=1)
    if shares.size:
        figure.add_hline(100.0, line={"color": BAD, "width": 1}, row=5, col=1)
    for start, end, status in _stops(log):
        colour = BAD if status == "stopped" else CAUTION
        shade = {"fillcolor": colour, "opacity": 0.25, "line_width": 0}
        figure.add_vrect(start, end, **shade, row=5, col=1)
    figure.update_yaxes(rangemode="tozero", row=5, col=1)


def _joint_colour(joint: int) -> str:
    return JOINT_COLOURS[joint % len(JOINT_COLOURS)]


def _stops(log: RunRecord) -> list[tuple[float, float, str]]:
    spans: list[tuple[float, float, str]] = []
    ends = [state.time for state in log.safety[1:]]
    ends += [state.time + LAST_STATE for state in log.safety[-1:]]
    for state, end in zip(log.safety, ends, strict=True):
        if state.status not in ("slowed", "stopped"):
            continue
        if spans and spans[-1][1] == state.time and spans[-1][2] == state.status:
            spans[-1] = (spans[-1][0], end, state.status)
        else:
            spans.append((state.time, end, state.status))
    return spans


def _path(log: RunRecord, axis: str, title: str) -> Figure:
    times = np.array([point.time for point in log.path])
    across = np.array([point.x for point in log.path])
    up = np.array([point.y if axis == "y" else point.z for point in log.path])
    windows = log.planned
    place = np.searchsorted([window.time for window in windows], times, side="right") - 1
    pruned = np.array([i >= 0 and windows[i].pruned for i in place.tolist()], dtype=np.bool_)
    figure = Figure()
    for (name, colour), chosen in zip(STATE_NAMES, (~pruned, pruned), strict=True):
        line = {"color": colour, "width": 2}
        shown = np.where(chosen, up, np.nan).tolist()
        trace = Scatter(x=across.tolist(), y=shown, mode="lines", name=name, line=line)
        figure.add_trace(trace)
    figure.update_layout(
        title={"text": title, "font": {"size": 13}},
        height=380,
        showlegend=False,
        margin={"l": 52, "r": 12, "t": 40, "b": 44},
        template="plotly_white",
    )
    figure.update_xaxes(title_text="x [m]", constrain="domain")
    figure.update_yaxes(title_text=f"{axis} [m]", scaleanchor="x", scaleratio=1, constrain="domain")
    return figure
