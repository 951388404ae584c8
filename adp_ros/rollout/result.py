"""What came of a rollout."""

from dataclasses import dataclass, field
from enum import Enum
from math import nan

from ..chunk import ChunkCounters
from .chunker import PlannedChunk
from .view import View


class Ending(str, Enum):
    """Why a rollout ended."""

    SUCCESS = "success"
    TIME_LIMIT = "time_limit"
    SAFETY_STOP = "safety_stop"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class SafetyEvent:
    """One change of the controller's state.

    Attributes:
        time: In [s] since the episode began.
        status: The new state, such as ``slowed`` or ``stopped``.
        cause: Stable short name, empty when nothing is wrong.
        message: The same in words.
    """

    time: float
    status: str
    cause: str
    message: str


@dataclass(frozen=True, slots=True)
class WindowRecord:
    """One planned window. All but the first three are empty where no policy planned.

    Attributes:
        window: Its number.
        time: When it was asked for, in [s] since the episode began.
        pruned: Vision tokens were dropped.
        motion: Motion of the window that closed with this one, in [m]; NaN when none did.
        decision: The gate's reason for the state of the window after the one that closed; empty
            when none did.
        next_pruned: That state.
        tokens_kept: Vision tokens that entered the language model.
        tokens_total: Those that the picture gave.
        flops: Language model and scoring.
        flops_full: The same with full vision.
        forward: Wall time of the forward pass, in [s]; takes no part in comparisons.
    """

    window: int
    time: float
    pruned: bool
    motion: float = nan
    decision: str = ""
    next_pruned: bool = False
    tokens_kept: int = 0
    tokens_total: int = 0
    flops: float = 0.0
    flops_full: float = 0.0
    forward: float = field(default=0.0, compare=False)


def record_window(view: View, planned: PlannedChunk, now: float) -> WindowRecord:
    """Sum up a window that was asked for at a time ``now`` [s] since the episode began."""
    result = planned.result
    if result is None:
        return WindowRecord(view.window, now, planned.pruned)
    decision, report = result.decision, result.report
    return WindowRecord(
        window=view.window,
        time=now,
        pruned=planned.pruned,
        motion=nan if decision is None else decision.motion,
        decision="" if decision is None else str(decision.reason),
        next_pruned=False if decision is None else decision.prune,
        tokens_kept=report.tokens_kept,
        tokens_total=report.tokens_total,
        flops=report.flops,
        flops_full=report.flops_full,
        forward=result.prediction.timing.total,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutResult:
    """What came of a rollout.

    Attributes:
        success: The task was done in time.
        progress: Share of the task that was done at the end, 0 to 1.
        time: Simulated time from the start to the end, in [s].
        path_length: Way of the tool, in [m].
        ending: Why it ended.
        steps: Policy steps executed.
        steps_missed: Steps that were due while nothing was planned.
        windows: Every planned window.
        safety: Changes of the controller's state after the start.
        peak_force: Largest sum of forces between arm and scene, in [N]; 30 looks a second.
        counters: Counts of the controller's chunk buffer.
        wall: Time that it took to compute, in [s]; takes no part in comparisons.
    """

    success: bool
    progress: float
    time: float
    path_length: float
    ending: Ending
    steps: int
    steps_missed: int
    windows: tuple[WindowRecord, ...]
    safety: tuple[SafetyEvent, ...]
    peak_force: float
    counters: ChunkCounters
    wall: float = field(default=0.0, compare=False)

    @property
    def stop(self) -> str:
        """Cause of the safety stop, empty when there was none."""
        return self.safety[-1].cause if self.ending is Ending.SAFETY_STOP else ""
