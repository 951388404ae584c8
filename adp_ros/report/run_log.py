"""What a report is made from: a run as plain numbers, whoever watched or replayed it.

All times are in [s] since the start of the run, on one clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowRecord:
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
class RunLog:
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
    windows: tuple[WindowRecord, ...] = ()
    gates: tuple[GateRecord, ...] = ()
    latencies: tuple[LatencyRecord, ...] = ()
    safety: tuple[SafetyRecord, ...] = ()
    path: tuple[PathPoint, ...] = ()
    pictures: tuple[Picture, ...] = ()
    comparison: tuple[ComparisonRow, ...] = ()
