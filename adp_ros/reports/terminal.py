"""The terminal's picture of a snapshot."""

from collections.abc import Sequence
from dataclasses import asdict
from math import isnan
from typing import Final

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..adp.gate_rules import Decision
from ..health import Level
from .figures import BAD, CAUTION, GOOD, QUIET, reason_colour, state_colour, status_colour
from .monitor import Snapshot, gate_words, motion_words, safety_words, token_words

CHART_ROWS: Final = 6
LABEL: Final = 8  # columns left of the timeline
EIGHTHS: Final = " ▁▂▃▄▅▆▇█"
TORQUE_BAR: Final = 12
_MM: Final = 1e3
_LEVELS: Final = {
    Level.OK: ("ok", GOOD),
    Level.WARN: ("warn", CAUTION),
    Level.ERROR: ("ERROR", BAD),
    Level.STALE: ("stale", QUIET),
}


def draw(snapshot: Snapshot, width: int) -> RenderableType:
    """Draw everything, so many columns wide."""
    status = "" if snapshot.safety is None else snapshot.safety.status
    gate = snapshot.gate
    colour = QUIET if gate is None else state_colour(gate.prune)
    return Group(
        Text(f" {safety_words(snapshot)} ", style=f"bold white on {status_colour(status)}"),
        Text(f" {gate_words(gate)} ", style=f"bold white on {colour}"),
        Text(f" {motion_words(gate)}"),
        Text(f" {token_words(snapshot.window)}"),
        timeline(snapshot, max(width - LABEL - 1, 1)),
        Columns([_latency(snapshot), _torques(snapshot)], padding=(0, 4)),
        _components(snapshot),
    )


def timeline(snapshot: Snapshot, slots: int) -> Text:
    """Draw state, reason and motion of the last windows, one column each.

    A letter names the reason: f(ast), s(low), b(etween), r(efresh), c(old start). Motion bars have
    the colour of the state that they led to; ``╌`` is the upper threshold, ``┄`` the lower one.
    """
    parts = snapshot.segments[-slots:]
    text = Text("state".ljust(LABEL), no_wrap=True)
    for part in parts:
        text.append("█", style=state_colour(part.record.pruned))
    text.append("\n" + "why".ljust(LABEL))
    for part in parts:
        letter = part.reason[:1] if part.cause is not None else "·"
        text.append(letter, style=f"black on {reason_colour(part.reason)}")
    gates = [part.record.decision for part in parts]
    shown = [v for g in gates if g is not None for v in (g.motion, g.upper) if not isnan(v)]
    highest = max(shown, default=0.0)
    for row in range(CHART_ROWS, 0, -1):
        axis = f"{_MM * highest:.1f} mm" if row == CHART_ROWS and highest > 0 else ""
        text.append("\n" + ("motion" if row == 1 else axis).ljust(LABEL))
        _chart_row(text, gates, row, highest)
    return text


def _chart_row(text: Text, gates: Sequence[Decision | None], row: int, highest: float) -> None:
    scale = CHART_ROWS / highest if highest > 0 else 0.0
    for gate in gates:
        if gate is None or isnan(gate.motion):
            text.append(" ")
            continue
        filled = min(max(gate.motion * scale - (row - 1), 0.0), 1.0)
        colour = state_colour(gate.prune)
        mark = _mark(gate, row, scale)
        if mark and filled >= 1.0:
            text.append(mark, style=f"white on {colour}")
        elif mark and filled == 0.0:
            text.append(mark, style=QUIET)
        else:
            text.append(EIGHTHS[round(filled * 8)], style=colour)


def _mark(gate: Decision, row: int, scale: float) -> str:
    for value, mark in ((gate.upper, "╌"), (gate.lower, "┄")):
        if not isnan(value) and min(int(value * scale), CHART_ROWS - 1) == row - 1:
            return mark
    return ""


def _latency(snapshot: Snapshot) -> Table:
    table = Table("latency [ms]", box=None, pad_edge=False)
    for head in ("last", "p50", "p95", "p99"):
        table.add_column(head, justify="right")
    last = {} if snapshot.times is None else asdict(snapshot.times)
    for stage, times in snapshot.stages.items():
        values = (last.get(stage, float("nan")), times.p50, times.p95, times.p99)
        table.add_row(stage, *(f"{value:.1f}" for value in values))
    return table


def _torques(snapshot: Snapshot) -> Table:
    table = Table("residual torque", box=None, pad_edge=False)
    table.add_column("of stop", justify="right")
    table.add_column("")
    state = snapshot.safety
    if state is None or len(state.residual) != len(state.stop):
        return table
    for joint, torque in enumerate(state.residual):
        share = abs(torque) / state.stop[joint]
        slow = state.slow[joint] / state.stop[joint]
        colour = GOOD if share < slow else CAUTION if share < 1.0 else BAD
        bar = Text("█" * min(round(share * TORQUE_BAR), TORQUE_BAR), style=colour)
        table.add_row(f"joint {joint + 1}: {torque:+.2f} N m", f"{share:.0%}", bar)
    return table


def _components(snapshot: Snapshot) -> Table:
    table = Table("component", "level", "message", box=None, pad_edge=False)
    for component in snapshot.components:
        word, colour = _LEVELS[component.level]
        table.add_row(Text(component.name), Text(word, style=colour), Text(component.message))
    return table
