"""What is going on, at a glance: one view model for the terminal and for rqt, and its words."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isnan
from typing import Any, Final

from ..adp.gate_rules import Decision, Reason
from ..health import LatencySummary, Level
from ..policies.window import Window, WindowTimes, decision_columns, finite
from .numbers import Segment, segments, stage_times
from .run_record import SafetyRecord, WindowLog

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
        windows: The episode's last windows, with all parts that were heard.
        segments: Those that were planned, with the decisions that led to them.
        stages: Times of the last 100 windows, in [ms].
        safety: Newest state, None before the first.
        safety_age: Since it arrived, in [s].
        components: Sorted by name.
    """

    windows: tuple[Window, ...]
    segments: tuple[Segment, ...]
    stages: Mapping[str, LatencySummary]
    safety: SafetyRecord | None
    safety_age: float
    components: tuple[Component, ...]

    @property
    def window(self) -> Window | None:
        """Newest window that was planned, None before the first."""
        return self.segments[-1].record if self.segments else None

    @property
    def decided(self) -> Window | None:
        """Newest window with a decision, None before the first."""
        return next((w for w in reversed(self.windows) if w.decision is not None), None)

    @property
    def gate(self) -> Decision | None:
        """Newest decision, None before the first."""
        return None if self.decided is None else self.decided.decision

    @property
    def times(self) -> WindowTimes | None:
        """Times of the newest window that was measured, None before the first."""
        timed = (w.times for w in reversed(self.windows) if w.times is not None)
        return next(timed, None)

    @property
    def heard(self) -> bool:
        """True once anything has come from the nodes."""
        return bool(self.windows or self.components) or self.safety is not None


class MonitorModel:
    """Keeps the newest of what the nodes publish, so many windows and decisions back."""

    def __init__(self, windows: int = WINDOWS) -> None:
        self._shown = windows
        self._log = WindowLog(max(windows + 1, LATENCIES))  # the one before, too
        self._safety: SafetyRecord | None = None
        self._safety_heard = 0.0
        self._components: dict[str, tuple[Component, float]] = {}

    def note_window(self, part: Window) -> None:
        """Take a part of a window; a lower number begins a new episode."""
        self._log.note(part)

    def note_safety(self, record: SafetyRecord, now: float) -> None:
        """Take a state of the safety machine that arrived at `now` [s]."""
        self._safety, self._safety_heard = record, now

    def note_component(self, component: Component, now: float) -> None:
        """Take the health of a component that arrived at `now` [s]."""
        self._components[component.name] = (component, now)

    def snapshot(self, now: float) -> Snapshot:
        """Return everything as it is at `now` [s]."""
        windows = self._log.windows()
        episode = _last_episode(windows)
        return Snapshot(
            windows=episode[-self._shown - 1 :],
            segments=tuple(segments(episode)[-self._shown :]),
            stages=stage_times(windows[-LATENCIES:]),
            safety=self._safety,
            safety_age=now - self._safety_heard,
            components=tuple(
                _aged(*self._components[name], now) for name in sorted(self._components)
            ),
        )


def _last_episode(windows: Sequence[Window]) -> tuple[Window, ...]:
    """Return the windows since the number last went down; of one planned again the newest."""
    found: dict[int, Window] = {}
    for window in windows:
        if found and window.window < next(reversed(found)):
            found = {}
        found[window.window] = window
    return tuple(found.values())


def _aged(component: Component, heard: float, now: float) -> Component:
    if now - heard <= SILENT_AFTER:
        return component
    words = f"silent for {now - heard:.0f} s; last: {component.message}"
    return Component(component.name, Level.STALE, words)


REASONS: Final[Mapping[str, str]] = {
    Reason.COLD_START.value: "too few windows seen",
    Reason.FAST.value: "motion at or above the upper threshold",
    Reason.SLOW.value: "motion at or below the lower threshold",
    Reason.BETWEEN.value: "motion between the thresholds",
    Reason.STEADY.value: "motion nearly as before",
    Reason.REFRESH.value: "too many pruned windows in a row",
    Reason.SCHEDULE.value: "its turn in the schedule",
    Reason.RANDOM.value: "drawn at random",
    Reason.FIXED.value: "fixed by the settings",
}
_MM: Final = 1e3


def gate_words(gate: Decision | None) -> str:
    """Say which state comes next and why."""
    if gate is None:
        return "no decision yet"
    state = "PRUNED" if gate.prune else "FULL VISION"
    why = REASONS.get(gate.reason, gate.reason)
    return f"next {state}, {gate.reason}: {why}"


def motion_words(gate: Decision | None) -> str:
    """Give motion and thresholds in millimetres."""
    if gate is None:
        return ""
    parts = [f"motion {_MM * gate.motion:.2f} mm"]
    for name, value in (("lower", gate.lower), ("upper", gate.upper)):
        if not isnan(value):
            parts.append(f"{name} {_MM * value:.2f}")
    return ", ".join(parts)


def token_words(window: Window | None) -> str:
    """Give the tokens of the newest window and what they cost."""
    if window is None:
        return "no window yet"
    audit = window.audit
    return (
        f"window {window.window}: {audit.tokens_kept} of {audit.tokens_total} vision tokens, "
        f"{audit.flops_share:.0%} of the FLOPs"
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
    window, decided, times = snapshot.window, snapshot.decided, snapshot.times
    safety = None if snapshot.safety is None else asdict(snapshot.safety)
    gate = part = None
    if decided is not None and decided.decision is not None:
        columns = decision_columns(decided.decision)
        gate = {"time": decided.time, "prune": columns.pop("next_state"), **columns}
    if window is not None:
        columns = window.audit.columns()
        names = ("pruner", "tokens_total", "tokens_kept", "flops", "flops_full")
        part = {"time": window.time, "window": window.window} | {n: columns[n] for n in names}
    found = {
        "safety": safety,
        "safety_age_s": None if safety is None else snapshot.safety_age,
        "gate": gate,
        "window": part,
        "latency_ms": None if times is None else asdict(times),
        "components": [
            {"name": c.name, "level": c.level.name.lower(), "message": c.message}
            for c in snapshot.components
        ],
    }
    clean: dict[str, Any] = finite(found)
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
