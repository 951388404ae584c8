"""Where the timeline's lanes, bars and lines lie in a widget. No Qt."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from typing import Final

from ..adp.gate_rules import Decision
from ..reports.figures import QUIET, reason_colour, state_colour
from ..reports.monitor import Snapshot, motion_words
from ..reports.numbers import Segment

LANE: Final = 22.0  # [px] height of a lane
GAP: Final = 4.0  # [px]
LEFT: Final = 64.0  # [px] for labels
MOTION_ROOM: Final = 1.15  # the chart ends above the highest value by this factor
_MM: Final = 1e3


@dataclass(frozen=True, slots=True)
class Bar:
    """A filled rectangle in [px] with a hint."""

    x: float
    y: float
    width: float
    height: float
    colour: str
    hint: str


@dataclass(frozen=True, slots=True)
class Line:
    """Connected points in [px]."""

    points: tuple[tuple[float, float], ...]
    colour: str
    dashed: bool


@dataclass(frozen=True, slots=True)
class Label:
    """A word whose left end lies on the line's middle at (x, y) in [px]."""

    x: float
    y: float
    text: str


@dataclass(frozen=True, slots=True)
class Layout:
    """Everything to draw, in the order of drawing."""

    bars: tuple[Bar, ...]
    lines: tuple[Line, ...]
    labels: tuple[Label, ...]

    def hint(self, x: float, y: float) -> str:
        """Return the hint of what lies at a point, empty when nothing does."""
        for bar in reversed(self.bars):
            if bar.x <= x < bar.x + bar.width and bar.y <= y < bar.y + bar.height:
                return bar.hint
        return ""


def layout(snapshot: Snapshot, slots: int, width: float, height: float) -> Layout:
    """Lay out state, reason and motion of the last windows, newest at the right.

    Each window has the same width, and its motion stands below its state. Motion bars have the
    colour of the state that they led to.

    Args:
        snapshot: What to show.
        slots: Windows that fit.
        width: Of the widget in [px].
        height: Of the widget in [px].
    """
    parts = snapshot.segments[-slots:]
    step = max(width - LEFT, 1.0) / slots
    columns = [(LEFT + (slots - len(parts) + i) * step, part) for i, part in enumerate(parts)]
    bars = [bar for x, part in columns for bar in _lanes(part, x, step)]
    gates = [(x, gate) for x, part in columns if (gate := part.record.decision) is not None]
    top, bottom = 2 * (LANE + GAP), height - GAP
    highest = _highest([gate for _, gate in gates])
    scale = max(bottom - top, 1.0) / (highest * MOTION_ROOM)
    bars += [_motion_bar(gate, x, step, bottom, scale) for x, gate in gates]
    lines = _thresholds(gates, step, bottom, scale)
    labels = [
        Label(2.0, LANE / 2, "state"),
        Label(2.0, LANE + GAP + LANE / 2, "why"),
        Label(2.0, (top + bottom) / 2, "motion"),
    ]
    if gates:
        labels.append(Label(2.0, bottom - highest * scale, f"{_MM * highest:.1f} mm"))
    return Layout(tuple(bars), lines, tuple(labels))


def _lanes(part: Segment, x: float, step: float) -> tuple[Bar, Bar]:
    record = part.record
    audit = record.audit
    hint = f"window {record.window}: {audit.tokens_kept} of {audit.tokens_total} tokens, "
    hint += part.reason
    if part.cause is not None:
        hint += f" ({motion_words(part.cause)})"
    inner = max(step - 1.0, 1.0)
    return (
        Bar(x, 0.0, inner, LANE, state_colour(record.pruned), hint),
        Bar(x, LANE + GAP, inner, LANE, reason_colour(part.reason), hint),
    )


def _highest(gates: Sequence[Decision]) -> float:
    values = [v for g in gates for v in (g.motion, g.upper, g.lower) if not isnan(v)]
    return max([*values, 1e-6])


def _motion_bar(gate: Decision, x: float, step: float, bottom: float, scale: float) -> Bar:
    tall = 0.0 if isnan(gate.motion) else gate.motion * scale
    hint = f"window {gate.window}: {motion_words(gate)}; next: {gate.reason}"
    inner = max(step - 1.0, 1.0)
    return Bar(x, bottom - tall, inner, tall, state_colour(gate.prune), hint)


def _thresholds(
    gates: Sequence[tuple[float, Decision]], step: float, bottom: float, scale: float
) -> tuple[Line, ...]:
    """Draw stretches in which the threshold exists and no window is missing."""
    lines = []
    for name, values in (
        ("upper", [g.upper for _, g in gates]),
        ("lower", [g.lower for _, g in gates]),
    ):
        points: list[tuple[float, float]] = []
        for (x, _), value in zip(gates, values, strict=True):
            if points and (isnan(value) or x - points[-1][0] > 0.5 * step):
                lines.append(Line(tuple(points), QUIET, dashed=name == "lower"))
                points = []
            if not isnan(value):
                points += [(x, bottom - value * scale), (x + step, bottom - value * scale)]
        if points:
            lines.append(Line(tuple(points), QUIET, dashed=name == "lower"))
    return tuple(lines)
