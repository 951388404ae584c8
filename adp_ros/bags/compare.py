"""Replayed windows beside what was recorded, and how far two plans lie apart."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..adp.gate import chunk_motion
from ..errors import PolicyError
from ..geometry import compose, rotvec_from_rotation
from ..policies.window import decision_columns, finite
from ..types import ActionConvention, FloatArray, Pose
from .contents import OWN_ACTIONS, Bag
from .window_replay import ReplayedWindow


@dataclass(frozen=True, slots=True)
class WindowCheck:
    """Equality of one window.

    Attributes:
        window: Its number.
        parts: What the bag has to compare with -> equal: ``actions``, bit for bit, unless another
            policy moved the arm; ``kept tokens``, in their order; every number and word of the
            ``gate``'s decision.
        largest: Largest difference of an action's number.
    """

    window: int
    parts: Mapping[str, bool]
    largest: float = 0.0


@dataclass(frozen=True, slots=True)
class Equality:
    """Counts over a bag.

    Attributes:
        windows: In the bag.
        replayed: Of them, replayed at all.
        equal: Windows in which all that could be compared is equal.
        different: Windows in which something differs.
        largest: Largest difference of an action's number.
        first: Number of the first window that differs, None when none does.
        parts: Of windows that differ, which part differs -> in how many.
    """

    windows: int
    replayed: int
    equal: int
    different: int
    largest: float
    first: int | None
    parts: Mapping[str, int]


def check_windows(bag: Bag, replayed: Sequence[ReplayedWindow]) -> list[WindowCheck]:
    """Compare every window with its recording."""
    checks, before = [], None
    for window in replayed:
        checks.append(_check(bag, window, before))
        if window.result is not None:
            before = window.recorded.stamp
    return checks


def count(checks: Sequence[WindowCheck], replayed: Sequence[ReplayedWindow]) -> Equality:
    """Summarise the checks."""
    different = [check for check in checks if not all(check.parts.values())]
    return Equality(
        windows=len(checks),
        replayed=sum(window.result is not None for window in replayed),
        equal=sum(bool(check.parts) and all(check.parts.values()) for check in checks),
        different=len(different),
        largest=max((check.largest for check in checks), default=0.0),
        first=different[0].window if different else None,
        parts=dict(Counter(n for c in different for n, equal in c.parts.items() if not equal)),
    )


def _check(bag: Bag, replayed: ReplayedWindow, before: int | None) -> WindowCheck:
    recorded, result = replayed.recorded, replayed.result
    parts: dict[str, bool] = {}
    largest = 0.0
    if result is None:
        return WindowCheck(recorded.window, parts)
    if recorded.policy in OWN_ACTIONS and not replayed.repeated:
        own = result.planned.actions
        parts["actions"] = np.array_equal(own, recorded.actions)
        same_shape = own.shape == recorded.actions.shape
        largest = float(np.abs(own - recorded.actions).max()) if same_shape else float("inf")
    if recorded.audit.tokens_total and not replayed.repeated:
        parts["kept tokens"] = recorded.audit.kept == result.audit.kept
    if result.decision is not None:
        closed = result.decision.window
        stamp = recorded.stamp if closed == result.window else before
        if (noted := bag.gates.get((stamp or 0, closed))) is not None:
            now = finite(decision_columns(result.decision))  # thresholds that neither has are equal
            parts["gate"] = now == finite(decision_columns(noted))
    return WindowCheck(recorded.window, parts, largest)


DIMENSIONS: Final = (
    *("dx_mm", "dy_mm", "dz_mm"),
    *("droll_deg", "dpitch_deg", "dyaw_deg"),
    "gripper",
)
METRICS: Final = (
    *DIMENSIONS,
    "l1_normalized",
    "cosine_translation",
    "cosine_rotation",
    "end_point_mm",
    "end_angle_deg",
    "gripper_agrees",
)
_SCALE: Final = (*(1e3,) * 3, *(np.degrees(1.0),) * 3, 1.0)
_RESAMPLES: Final = 2000
_OPEN: Final = 0.5  # gripper from which it counts as open


@dataclass(frozen=True, slots=True)
class ComparedChunk:
    """One chunk of a comparison.

    Attributes:
        actions: Shape (T, 7), in [m], [rad] and 0 to 1.
        normalized: The same as the head gave it, shape (T, 7).
        convention: Frames and rotation order.
        pruned: The gate wanted it pruned.
    """

    actions: FloatArray
    normalized: NDArray[np.float32]
    convention: ActionConvention
    pruned: bool


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over windows with its 95 % confidence interval; NaN when no window has a value."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class PhaseDifference:
    """Difference over the windows of one phase.

    Attributes:
        windows: Their number.
        metrics: Name out of :data:`METRICS` -> estimate. Absolute differences per dimension;
            L1 of the head's outputs; cosine of each step's motion; distance and angle between
            the ends of the chunks; share of the steps with the gripper on the same side.
    """

    windows: int
    metrics: Mapping[str, Estimate]


def action_difference(
    baseline: Sequence[ComparedChunk], other: Sequence[ComparedChunk], seed: int = 0
) -> dict[str, PhaseDifference]:
    """Compare chunks window by window.

    Args:
        baseline: Chunks to compare with.
        other: As many chunks, planned from the same pictures.
        seed: Of the resampling that gives the confidence intervals.

    Returns:
        Phase -> difference: ``all``; ``pruned`` and ``full`` by the state in `other`; ``fast``
        and ``slow`` by the baseline's path length, above its median or not. Phases without
        windows are left out.

    Raises:
        PolicyError: The numbers of windows or actions differ.
    """
    if len(baseline) != len(other) or not baseline:
        raise PolicyError(f"{len(baseline)} and {len(other)} chunks can't be compared")
    values = np.stack([_window(a, b) for a, b in zip(baseline, other, strict=True)])  # (N, M)
    pruned = np.array([chunk.pruned for chunk in other])
    paths = np.array([chunk_motion(chunk.actions, "sum") for chunk in baseline])
    fast = paths > np.median(paths)
    phases = {
        "all": np.ones(len(values), bool),
        "pruned": pruned,
        "full": ~pruned,
        "fast": fast,
        "slow": ~fast,
    }
    random = np.random.default_rng(seed)
    return {name: _phase(values[chosen], random) for name, chosen in phases.items() if chosen.any()}


def _window(a: ComparedChunk, b: ComparedChunk) -> FloatArray:
    """Return the metrics of one window, in the order of METRICS; NaN where one has no meaning."""
    if a.actions.shape != b.actions.shape:
        raise PolicyError(
            f"chunks of shape {a.actions.shape} and {b.actions.shape} differ in length"
        )
    absolute = np.abs(a.actions - b.actions).mean(axis=0) * _SCALE
    normalized = float(np.abs(a.normalized.astype(float) - b.normalized.astype(float)).mean())
    ends = [_end(chunk) for chunk in (a, b)]
    turn = rotvec_from_rotation(ends[0].rotation.T @ ends[1].rotation)
    opened = (a.actions[:, 6] > _OPEN) == (b.actions[:, 6] > _OPEN)
    return np.array(
        [
            *absolute,
            normalized,
            _cosine(a.actions[:, :3], b.actions[:, :3]),
            _cosine(a.actions[:, 3:6], b.actions[:, 3:6]),
            1e3 * float(np.linalg.norm(ends[0].position - ends[1].position)),
            float(np.degrees(np.linalg.norm(turn))),
            float(opened.mean()),
        ]
    )


def _end(chunk: ComparedChunk) -> Pose:
    """Return where a chunk leads from the origin; the distance of two ends hardly needs more."""
    pose = Pose(np.zeros(3), np.eye(3))
    for action in chunk.actions:
        pose = compose(pose, action, chunk.convention)
    return pose


def _cosine(a: FloatArray, b: FloatArray) -> float:
    """Return the mean cosine of the steps that move in both, NaN when none does."""
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    moving = lengths > 0.0
    if not moving.any():
        return float("nan")
    return float(((a * b).sum(axis=1)[moving] / lengths[moving]).mean())


def _phase(values: FloatArray, random: np.random.Generator) -> PhaseDifference:
    """Estimate each metric; neighbouring windows are alike, so that blocks are drawn."""
    count = len(values)
    known = ~np.isnan(values)
    filled = np.where(known, values, 0.0)
    length = int(np.ceil(count ** (1 / 3)))
    blocks = int(np.ceil(count / length))
    starts = random.multinomial(blocks, np.full(count, 1 / count), size=_RESAMPLES)  # (R, N)
    weights = sum(np.roll(starts, shift, axis=1) for shift in range(length))  # (R, N)
    with np.errstate(invalid="ignore"):
        drawn = (weights @ filled) / (weights @ known)  # (R, M)
        means = filled.sum(axis=0) / known.sum(axis=0)
    metrics = {}
    for i, name in enumerate(METRICS):
        usable = drawn[:, i][~np.isnan(drawn[:, i])]
        low, high = np.percentile(usable, (2.5, 97.5)) if len(usable) else (np.nan, np.nan)
        metrics[name] = Estimate(float(means[i]), float(low), float(high))
    return PhaseDifference(count, metrics)
