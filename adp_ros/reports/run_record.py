"""What a report is made from: a run as plain numbers, whoever watched or replayed it.

All times are in [s] since the start of the run, on one clock.

Only attributes are read, so that no ROS is needed here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from ..policies.window import STAGES


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedWindow:
    """One window: what the forward pass saw and what it cost.

    Attributes:
        time: Capture time of the window's frame.
        window: Its number in the episode.
        tokens_total: Vision tokens before pruning.
        tokens_kept: Vision tokens that entered the language model.
        flops: Cost of language model and scoring.
        flops_full: Cost of the same forward with full vision.
    """

    time: float
    window: int
    tokens_total: int
    tokens_kept: int
    flops: float
    flops_full: float

    @property
    def pruned(self) -> bool:
        """True when tokens were pruned."""
        return self.tokens_kept < self.tokens_total


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRecord:
    """One decision of the gate.

    Attributes:
        time: Capture time of the frame of the window that closed.
        window: Number of the window that closed.
        prune: True: the next window is pruned.
        reason: Why, such as ``fast``.
        rule: Name of the rule.
        motion: Motion of the window that closed, in [m].
        upper: At or above this motion the rule prunes, in [m]; NaN without one.
        lower: At or below it wants full vision, in [m]; NaN without one.
    """

    time: float
    window: int
    prune: bool
    reason: str
    rule: str
    motion: float
    upper: float
    lower: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyRecord:
    """Times of one window.

    Attributes:
        time: Capture time of the window's frame.
        window: Its number in the episode.
        stages: Stage -> [ms], in the order of the stages.
    """

    time: float
    window: int
    stages: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetyRecord:
    """State of the safety machine at one time.

    Attributes:
        time: When.
        status: ``disarmed``, ``armed``, ``running``, ``slowed`` or ``stopped``.
        cause: Stable short name, empty when nothing is wrong.
        message: The same in words.
        residual: Residual torque per joint, in [N m].
        slow: Level per joint above which the arm is slowed, in [N m].
        stop: Level per joint above which it is stopped, in [N m].
    """

    time: float
    status: str
    cause: str
    message: str
    residual: tuple[float, ...]
    slow: tuple[float, ...]
    stop: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class PathPoint:
    """Where the tool was: time, and position in the base frame in [m]."""

    time: float
    x: float
    y: float
    z: float


@dataclass(frozen=True, slots=True)
class Picture:
    """What the policy saw at a decision point.

    Attributes:
        time: Capture time.
        jpeg: Picture with the pruned patches marked, as JPEG.
        caption: What was decided, in words.
    """

    time: float
    jpeg: bytes
    caption: str


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One line of the table against another run, such as the full-vision one.

    Attributes:
        quantity: What is compared, with the unit.
        here: Value of this run, as text.
        other: Value of the other run, as text.
    """

    quantity: str
    here: str
    other: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A run.

    Attributes:
        title: Heading of the page.
        outcome: How it ended, in one line.
        facts: Name -> value of everything that identifies the run: task, checkpoint, settings.
        windows: In the order of time, as all that follows.
        gates: Decisions of the gate; empty when the policy ran without one.
        latencies: Times of the windows; empty when nobody measured them.
        safety: States of the safety machine, as often as they were noted.
        path: The tool's way.
        pictures: Frames at decision points.
        comparison: Lines beside those that the windows themselves give.
    """

    title: str
    outcome: str = ""
    facts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    windows: tuple[ReportedWindow, ...] = ()
    gates: tuple[GateRecord, ...] = ()
    latencies: tuple[LatencyRecord, ...] = ()
    safety: tuple[SafetyRecord, ...] = ()
    path: tuple[PathPoint, ...] = ()
    pictures: tuple[Picture, ...] = ()
    comparison: tuple[ComparisonRow, ...] = ()


PATH_PERIOD: Final = 0.1  # [s]; the arm's pose comes far more often than a plot needs it


@dataclass(slots=True)
class RunRecords:
    """Records in the order in which they came; see :class:`RunLog` for what each list holds."""

    windows: list[ReportedWindow] = field(default_factory=list)
    gates: list[GateRecord] = field(default_factory=list)
    latencies: list[LatencyRecord] = field(default_factory=list)
    safety: list[SafetyRecord] = field(default_factory=list)
    path: list[PathPoint] = field(default_factory=list)

    def note_position(self, point: PathPoint) -> None:
        """Keep a position unless the last one is less than 0.1 s older."""
        if not self.path or point.time >= self.path[-1].time + PATH_PERIOD:
            self.path.append(point)

    def run_log(self, title: str) -> RunRecord:
        """Return what was collected so far."""
        return RunRecord(
            title=title,
            windows=tuple(self.windows),
            gates=tuple(self.gates),
            latencies=tuple(self.latencies),
            safety=tuple(self.safety),
            path=tuple(self.path),
        )


STATUS_NAMES: Final = ("disarmed", "armed", "running", "slowed", "stopped")
"""Of adp_ros/SafetyState, by number."""


def window_record(message: Any, time: float) -> ReportedWindow:
    """Read the audit of one window, `time` [s] into the run."""
    return ReportedWindow(
        time=time,
        window=int(message.window),
        tokens_total=int(message.tokens_total),
        tokens_kept=int(message.tokens_kept),
        flops=float(message.flops),
        flops_full=float(message.flops_full),
    )


def gate_record(message: Any, time: float) -> GateRecord:
    """Read one decision of the gate."""
    return GateRecord(
        time=time,
        window=int(message.window),
        prune=bool(message.next_state),
        reason=str(message.reason),
        rule=str(message.rule),
        motion=float(message.motion),
        upper=float(message.upper),
        lower=float(message.lower),
    )


def latency_record(message: Any, time: float) -> LatencyRecord:
    """Read the times of one window."""
    times = (
        message.frame_age, message.preprocess, message.vision, message.scoring,
        message.llm, message.head, message.total, message.frame_to_chunk,
    )  # fmt: skip
    stages = dict(zip(STAGES, map(float, times), strict=True))
    return LatencyRecord(time=time, window=int(message.window), stages=stages)


def safety_record(message: Any, time: float) -> SafetyRecord:
    """Read one state of the safety machine."""
    return SafetyRecord(
        time=time,
        status=STATUS_NAMES[int(message.status)],
        cause=str(message.cause),
        message=str(message.message),
        residual=tuple(map(float, message.residual_torque)),
        slow=tuple(map(float, message.slow_torque)),
        stop=tuple(map(float, message.stop_torque)),
    )
