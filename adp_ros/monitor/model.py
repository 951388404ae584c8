"""View model of a running robot: takes records, gives snapshots. No ROS, no drawing, no clock."""

from collections import deque
from dataclasses import dataclass
from typing import Final

from ..health import Level
from ..report.numbers import Segment, StagePercentiles, segments, stage_percentiles
from ..report.run_log import GateRecord, LatencyRecord, SafetyRecord, WindowRecord

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
    def window(self) -> WindowRecord | None:
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
        self._windows: deque[WindowRecord] = deque(maxlen=windows)
        self._gates: deque[GateRecord] = deque(maxlen=windows + 1)  # the one before, too
        self._latencies: deque[LatencyRecord] = deque(maxlen=LATENCIES)
        self._safety: SafetyRecord | None = None
        self._safety_heard = 0.0
        self._components: dict[str, tuple[Component, float]] = {}

    def note_window(self, record: WindowRecord) -> None:
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
