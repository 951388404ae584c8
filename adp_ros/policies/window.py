"""One window of an episode: what was seen, kept, decided, timed and executed.

The planner makes the record; messages, bags, rollouts, evaluation, reports and displays take
their columns from it, so that each of them is named in one place. The ``read_*`` functions take
their numbers from the package's messages by attribute: no ROS is needed here.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from math import isfinite, nan
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ..adp.gate_rules import Decision, Reason
from ..adp.overlay import ALPHA, COLOR, MERGED_COLOR, draw_pruned, pruned_patches
from ..types import ACTION_SIZE, ActionConvention, FloatArray, Rgb

if TYPE_CHECKING:
    from .policy import Prediction, StageTimes

NO_PRUNER: Final = "none"  # name of the pruner of windows with full vision


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowTimes:
    """Time of each stage of one window, see :class:`.policy.StageTimes`, but in [ms].

    Attributes:
        frame_age: Capture of the picture to start of work; NaN where nobody waited for it.
        frame_to_chunk: Capture of the picture to the chunk's publication; NaN where nobody
            published it.
    """

    frame_age: float = nan
    preprocess: float
    vision: float
    scoring: float
    llm: float
    head: float
    total: float
    frame_to_chunk: float = nan

    @classmethod
    def of(cls, timing: "StageTimes") -> "WindowTimes":
        """Take the times of a forward pass, which are in [s]."""
        return cls(**{stage: 1e3 * seconds for stage, seconds in asdict(timing).items()})


STAGES: Final = tuple(item.name for item in fields(WindowTimes))


@dataclass(frozen=True, slots=True)
class MeasuredMotion:
    """How far the tool really moved in the window that ends.

    Attributes:
        path: Path length in [m]; NaN when unknown.
        net: Distance from start to end in [m]; NaN when unknown.
    """

    path: float = nan
    net: float = nan


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAudit:
    """Which vision tokens entered the language model, and what the forward pass cost.

    What :class:`.policy.Prediction` has too means the same here.

    Attributes:
        pruner: Name of the pruner, ``none`` with full vision.
        tokens_total: Vision tokens before pruning; 0 where no policy looked.
        tokens_kept: Vision tokens that entered the model as they are.
    """

    pruner: str = NO_PRUNER
    tokens_total: int = 0
    tokens_kept: int = 0
    kept: tuple[int, ...] | None = None
    kept_per_view: tuple[int, ...] = ()
    sequence_length: tuple[int, int] = (0, 0)
    flops: float = 0.0
    flops_full: float = 0.0
    merge_grid: int = 0
    merged_sizes: tuple[int, ...] = ()

    @property
    def pruned(self) -> bool:
        """True when a pruner chose the tokens."""
        return self.kept is not None or self.tokens_kept < self.tokens_total

    def draw(
        self,
        rgb: Rgb,
        crop_area: float,
        colors: tuple[Sequence[int], Sequence[int]] = (COLOR, MERGED_COLOR),
        alpha: int = ALPHA,
    ) -> Rgb:
        """Return the main camera's picture with the patches coloured that did not enter.

        Args:
            rgb: The picture, shape (H, W, 3), uint8.
            crop_area: Share of its area that the policy looks at.
            colors: Of patches that are gone, and of those that mean tokens stand for.
            alpha: Opacity of the colour, 0 to 255.
        """
        pruned = pruned_patches(self.patches, 0)
        return draw_pruned(rgb, pruned, crop_area, colors[self.merge_grid > 0], alpha)

    @property
    def patches(self) -> NDArray[np.int64] | None:
        """The kept indices, shape (k,); None with full vision."""
        return None if self.kept is None else np.array(self.kept, dtype=np.int64)

    @property
    def flops_share(self) -> float:
        """FLOPs of those with full vision; 1 where no policy looked."""
        return self.flops / self.flops_full if self.flops_full > 0 else 1.0

    @property
    def words(self) -> str:
        """What was kept."""
        if self.pruned:
            merged = len(self.merged_sizes)
            means = f" and {merged} {'means' if merged > 1 else 'mean'}" if merged else ""
            return f"pruned to {self.tokens_kept}{means} of {self.tokens_total} tokens"
        return f"full vision, {self.tokens_total} tokens"

    def columns(self) -> dict[str, Any]:
        """Return the fields of adp_ros/PruneState but header and window."""
        return {
            "pruner": self.pruner,
            "tokens_total": self.tokens_total,
            "tokens_kept": self.tokens_kept,
            "kept_per_view": list(self.kept_per_view),
            "kept_indices": list(self.kept or ()),
            "sequence_length": list(self.sequence_length),
            "flops": self.flops,
            "flops_full": self.flops_full,
            "merge_grid": self.merge_grid,
            "merged_sizes": list(self.merged_sizes),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One window. What the keeper of the record doesn't know has its default.

    Attributes:
        window: Number in the episode, from 0.
        stamp: Capture time of its picture as its messages say it, in [ns]; 0 when unknown.
        time: The same in [s] on the keeper's clock; NaN when unknown.
        asked: When it was asked for, in [s] on the same clock; NaN when unknown.
        actions: What is executed, shape (T, 7), see :class:`adp_ros.types.Chunk`; no rows when
            unknown.
        convention: Frames and rotation order of the increments.
        measured: Motion of the window before, as it was measured.
        audit: Vision tokens and cost.
        decision: What the gate decided when a window closed with this one; ``decision.window``
            says which: this one where motion comes from the commanded chunk, the one before
            where it is measured. None when none closed.
        times: Duration of each stage, None when nobody measured them.
        prediction: All that the policy returned, in the process that planned.
    """

    window: int
    stamp: int = 0
    time: float = nan
    asked: float = nan
    actions: FloatArray = field(
        default_factory=lambda: np.zeros((0, ACTION_SIZE)), compare=False, repr=False
    )
    convention: ActionConvention = field(default_factory=ActionConvention)
    measured: MeasuredMotion = field(default_factory=MeasuredMotion)
    audit: TokenAudit = field(default_factory=TokenAudit)
    decision: Decision | None = None
    times: WindowTimes | None = field(default=None, compare=False)
    prediction: "Prediction | None" = field(default=None, compare=False, repr=False)

    @property
    def pruned(self) -> bool:
        """True when a pruner chose the vision tokens."""
        return self.audit.pruned

    @property
    def planned(self) -> "Prediction":
        """The prediction, where a policy planned in this process.

        Raises:
            ValueError: None did.
        """
        if self.prediction is None:
            raise ValueError(f"window {self.window} was not planned by a policy here")
        return self.prediction


def decision_columns(decision: Decision) -> dict[str, Any]:
    """Return the fields of adp_ros/GateState but the header; states are bool."""
    return {
        "window": decision.window,
        "state": decision.state,
        "next_state": decision.prune,
        "rule": decision.rule,
        "reason": str(decision.reason),
        "motion": decision.motion,
        "upper": decision.upper,
        "lower": decision.lower,
        "pruned_run": decision.pruned_run,
    }


def read_decision(message: Any) -> Decision:
    """Read adp_ros/GateState; the motions that were compared are not in it."""
    prune, reason = bool(message.next_state), str(message.reason)
    return Decision(
        prune=prune,
        reason=reason,
        rule=str(message.rule),
        window=int(message.window),
        state=bool(message.state),
        motion=float(message.motion),
        upper=float(message.upper),
        lower=float(message.lower),
        compared=(),
        rule_prune=prune or reason == Reason.REFRESH,
        pruned_run=int(message.pruned_run),
    )


def read_audit(message: Any) -> TokenAudit:
    """Read adp_ros/PruneState."""
    first, last = message.sequence_length
    kept = tuple(int(i) for i in message.kept_indices)
    merges = hasattr(message, "merge_grid")  # bags from before merging have none
    return TokenAudit(
        pruner=str(message.pruner),
        tokens_total=int(message.tokens_total),
        tokens_kept=int(message.tokens_kept),
        kept=kept or None,
        kept_per_view=tuple(int(n) for n in message.kept_per_view),
        sequence_length=(int(first), int(last)),
        flops=float(message.flops),
        flops_full=float(message.flops_full),
        merge_grid=int(message.merge_grid) if merges else 0,
        merged_sizes=tuple(int(n) for n in message.merged_sizes) if merges else (),
    )


def read_times(message: Any) -> WindowTimes:
    """Read adp_ros/InferenceLatency; its statistics are left to who needs them."""
    return WindowTimes(**{stage: float(getattr(message, stage)) for stage in STAGES})


def stamp_of(message: Any) -> int:
    """Return the stamp of a message's header, in [ns]; 0 when it was not filled in."""
    stamp = message.header.stamp
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def finite(value: Any) -> Any:
    """Return a value that JSON can say: numbers that are not finite become null."""
    if isinstance(value, dict):
        return {name: finite(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [finite(entry) for entry in value]
    if isinstance(value, float) and not isfinite(value):
        return None
    return value
