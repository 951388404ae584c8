"""Replayed windows beside what was recorded, and how far two plans lie apart."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..adp.gate import chunk_motion
from ..adp.gate_rules import Decision
from ..errors import PolicyError
from ..geometry import compose, rotvec_from_rotation
from ..policies.window import decision_columns
from ..types import ActionConvention, FloatArray, Pose
from .contents import OWN_ACTIONS, Contents
from .window_replay import ReplayedWindow


@dataclass(frozen=True, slots=True)
class WindowCheck:
    """Equality of one window; None where the bag has nothing to compare with.

    Attributes:
        window: Its number.
        actions: The policy's actions, bit for bit; None when another moved the arm.
        kept: The vision tokens that were kept, in their order.
        gate: Every number and word of the decision.
        largest: Largest difference of an action's number.
    """

    window: int
    actions: bool | None = None
    kept: bool | None = None
    gate: bool | None = None
    largest: float = 0.0

    @property
    def unequal(self) -> list[str]:
        """Names of what differs."""
        parts = {"actions": self.actions, "kept tokens": self.kept, "gate": self.gate}
        return [name for name, equal in parts.items() if equal is False]

    @property
    def equal(self) -> bool | None:
        """All that could be compared is equal; None when nothing could be."""
        compared = any(part is not None for part in (self.actions, self.kept, self.gate))
        return not self.unequal if compared else None


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


def check_windows(contents: Contents, replayed: Sequence[ReplayedWindow]) -> list[WindowCheck]:
    """Compare every window with its recording."""
    checks, before = [], None
    for window in replayed:
        checks.append(_check(contents, window, before))
        if window.result is not None:
            before = window.recorded.stamp
    return checks


def count(checks: Sequence[WindowCheck], replayed: Sequence[ReplayedWindow]) -> Equality:
    """Summarise the checks."""
    different = [check for check in checks if check.equal is False]
    return Equality(
        windows=len(checks),
        replayed=sum(window.result is not None for window in replayed),
        equal=sum(check.equal is True for check in checks),
        different=len(different),
        largest=max((check.largest for check in checks), default=0.0),
        first=different[0].window if different else None,
        parts=dict(Counter(name for check in different for name in check.unequal)),
    )


def _check(contents: Contents, replayed: ReplayedWindow, before: int | None) -> WindowCheck:
    recorded, result = replayed.recorded, replayed.result
    if result is None:
        return WindowCheck(recorded.window)
    actions, largest, kept, gate = None, 0.0, None, None
    if recorded.policy in OWN_ACTIONS and not replayed.repeated:
        own = result.planned.actions
        actions = np.array_equal(own, recorded.actions)
        same_shape = own.shape == recorded.actions.shape
        largest = float(np.abs(own - recorded.actions).max()) if same_shape else float("inf")
    if recorded.audit.tokens_total and not replayed.repeated:
        kept = recorded.audit.kept == result.audit.kept
    if result.decision is not None:
        closed = result.decision.window
        stamp = recorded.stamp if closed == result.window else before
        noted = contents.gates.get((stamp or 0, closed))
        gate = None if noted is None else _same_decision(result.decision, noted)
    return WindowCheck(recorded.window, actions, kept, gate, largest)


def _same_decision(now: Decision, noted: Decision) -> bool:
    mine, recorded = decision_columns(now), decision_columns(noted)
    return all(
        value == recorded[name] or _both_nan(value, recorded[name]) for name, value in mine.items()
    )


def _both_nan(a: object, b: object) -> bool:
    return isinstance(a, float) and isinstance(b, float) and isnan(a) and isnan(b)


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
