"""What is going on, at a glance: one view model for the terminal and for rqt, and its words."""

from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite, isnan
from types import MappingProxyType
from typing import Any, Final

from ..adp.gate_rules import Reason
from ..health import Level
from .numbers import Segment, StagePercentiles, segments, stage_percentiles
from .run_record import GateRecord, LatencyRecord, ReportedWindow, SafetyRecord

WINDOWS: Final = 60  # windows that a display looks back on
LATENCIES: Final = 100
SILENT_AFTER: Final = 3.0  # [s]; diagnostics come once a second, the safety state ten times


@dataclass(frozen=True, slots=True)
class Component:
    """Health of one component, as its node published it.

    Attributes:
        name: Such as ``controller_node: stream``.
        level: As published, or stale when it was not heard for 3 s.
        message: In words.
    """

    name: str
    level: Level
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything that is drawn.

    Attributes:
        segments: The episode's last windows with the decisions that led to them.
        gates: Its last decisions.
        latency: Times of the newest window, None before the first.
        percentiles: Of the last 100 windows.
        safety: Newest state, None before the first.
        safety_age: Since it arrived, in [s].
        components: Sorted by name.
    """

    segments: tuple[Segment, ...]
    gates: tuple[GateRecord, ...]
    latency: LatencyRecord | None
    percentiles: tuple[StagePercentiles, ...]
    safety: SafetyRecord | None
    safety_age: float
    components: tuple[Component, ...]

    @property
    def window(self) -> ReportedWindow | None:
        """Newest window, None before the first."""
        return self.segments[-1].record if self.segments else None

    @property
    def gate(self) -> GateRecord | None:
        """Newest decision, None before the first."""
        return self.gates[-1] if self.gates else None

    @property
    def heard(self) -> bool:
        """True once anything has come from the nodes."""
        return bool(self.segments or self.gates or self.components) or self.safety is not None


class MonitorModel:
    """Keeps the newest of what the nodes publish.

    Args:
        windows: How many windows and decisions to look back on.
    """

    def __init__(self, windows: int = WINDOWS) -> None:
        self._windows: deque[ReportedWindow] = deque(maxlen=windows)
        self._gates: deque[GateRecord] = deque(maxlen=windows + 1)  # the one before, too
        self._latencies: deque[LatencyRecord] = deque(maxlen=LATENCIES)
        self._safety: SafetyRecord | None = None
        self._safety_heard = 0.0
        self._components: dict[str, tuple[Component, float]] = {}

    def note_window(self, record: ReportedWindow) -> None:
        """Take a window; a lower number begins a new episode, the same one was planned again."""
        if self._windows and record.window == self._windows[-1].window:
            self._windows.pop()
        if self._windows and record.window < self._windows[-1].window:
            self._windows.clear()
            kept = [gate for gate in self._gates if gate.time >= record.time]
            self._gates.clear()
            self._gates.extend(kept)
        self._windows.append(record)

    def note_gate(self, record: GateRecord) -> None:
        """Take a decision."""
        self._gates.append(record)

    def note_latency(self, record: LatencyRecord) -> None:
        """Take the times of a window."""
        self._latencies.append(record)

    def note_safety(self, record: SafetyRecord, now: float) -> None:
        """Take a state of the safety machine that arrived at `now` [s]."""
        self._safety, self._safety_heard = record, now

    def note_component(self, component: Component, now: float) -> None:
        """Take the health of a component that arrived at `now` [s]."""
        self._components[component.name] = (component, now)

    def snapshot(self, now: float) -> Snapshot:
        """Return everything as it is at `now` [s]."""
        return Snapshot(
            segments=tuple(segments(tuple(self._windows), tuple(self._gates))),
            gates=tuple(self._gates),
            latency=self._latencies[-1] if self._latencies else None,
            percentiles=tuple(stage_percentiles(tuple(self._latencies))),
            safety=self._safety,
            safety_age=now - self._safety_heard,
            components=tuple(
                _aged(component, now - heard)
                for _, (component, heard) in sorted(self._components.items())
            ),
        )


def _aged(component: Component, age: float) -> Component:
    if age <= SILENT_AFTER:
        return component
    words = f"silent for {age:.0f} s; last: {component.message}"
    return Component(component.name, Level.STALE, words)


REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        Reason.COLD_START.value: "too few windows seen",
        Reason.FAST.value: "motion at or above the upper threshold",
        Reason.SLOW.value: "motion at or below the lower threshold",
        Reason.BETWEEN.value: "motion between the thresholds",
        Reason.REFRESH.value: "too many pruned windows in a row",
        Reason.SCHEDULE.value: "its turn in the schedule",
        Reason.RANDOM.value: "drawn at random",
        Reason.FIXED.value: "fixed by the settings",
    }
)
_MM: Final = 1e3


def gate_words(gate: GateRecord | None) -> str:
    """Say which state comes next and why."""
    if gate is None:
        return "no decision yet"
    state = "PRUNED" if gate.prune else "FULL VISION"
    why = REASONS.get(gate.reason, gate.reason)
    return f"next {state}, {gate.reason}: {why}"


def motion_words(gate: GateRecord | None) -> str:
    """Give motion and thresholds in millimetres."""
    if gate is None:
        return ""
    parts = [f"motion {_MM * gate.motion:.2f} mm"]
    for name, value in (("lower", gate.lower), ("upper", gate.upper)):
        if not isnan(value):
            parts.append(f"{name} {_MM * value:.2f}")
    return ", ".join(parts)


def token_words(window: ReportedWindow | None) -> str:
    """Give the tokens of the newest window and what they cost."""
    if window is None:
        return "no window yet"
    share = window.flops / window.flops_full if window.flops_full > 0 else 1.0
    return (
        f"window {window.window}: {window.tokens_kept} of {window.tokens_total} vision tokens, "
        f"{share:.0%} of the FLOPs"
    )


def safety_words(snapshot: Snapshot) -> str:
    """Give the state of the safety machine."""
    if snapshot.safety is None:
        return "no safety state heard: is the controller running?"
    state = snapshot.safety
    words = state.status.upper() + (f": {state.message}" if state.message else "")
    if snapshot.safety_age > SILENT_AFTER:
        words += f" (controller silent for {snapshot.safety_age:.0f} s)"
    return words


def snapshot_json(snapshot: Snapshot) -> dict[str, Any]:
    """Return the newest of everything; a number that is not finite is None."""
    found = {
        "safety": None if snapshot.safety is None else asdict(snapshot.safety),
        "safety_age_s": None if snapshot.safety is None else snapshot.safety_age,
        "gate": None if snapshot.gate is None else asdict(snapshot.gate),
        "window": None if snapshot.window is None else asdict(snapshot.window),
        "latency_ms": None if snapshot.latency is None else dict(snapshot.latency.stages),
        "components": [
            {"name": c.name, "level": c.level.name.lower(), "message": c.message}
            for c in snapshot.components
        ],
    }
    clean: dict[str, Any] = _finite(found)
    return clean


def snapshot_line(snapshot: Snapshot) -> str:
    """Return the newest of everything in one line, for logs."""
    words = (
        safety_words(snapshot),
        token_words(snapshot.window),
        gate_words(snapshot.gate),
        motion_words(snapshot.gate),
    )
    return " | ".join(word for word in words if word)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
