"""What a report says in numbers, and the windows that are worth a picture."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np

from ..adp.gate_rules import Decision
from ..errors import BagError
from ..health import LatencySummary
from ..policies.window import STAGES, Window
from ..types import ACTION_SIZE, FloatArray
from .run_record import ComparisonRow, RunRecord, SafetyRecord

FIRST: Final = "first window"
NOT_HEARD: Final = "not heard"
LONGEST: Final = 3.0  # typical windows; a longer gap is a pause, not a window
MOVING: Final = ("running", "slowed")  # states in which windows are executed


@dataclass(frozen=True, slots=True)
class Segment:
    """One window on the timeline.

    Attributes:
        record: The window.
        end: Time at which the next window begins, or at which the arm was stopped; no more than
            three typical lengths later.
        cause: Decision that gave the window its state; None for the first of an episode, and
            when it was not heard.
    """

    record: Window
    end: float
    cause: Decision | None

    @property
    def reason(self) -> str:
        """Why the window has its state."""
        if self.cause is not None:
            return str(self.cause.reason)
        return FIRST if self.record.window == 0 else NOT_HEARD

    @property
    def length(self) -> float:
        """Time that it takes, in [s]."""
        return self.end - self.record.time


def segments(windows: Sequence[Window], safety: Sequence[SafetyRecord] = ()) -> list[Segment]:
    """Give each window that was planned its end and the decision that led to it.

    Args:
        windows: With all parts that were heard, in the order of time. Window numbers begin again
            with each episode: a decision explains windows of its own episode only.
        safety: States of the safety machine, in the order of time.
    """
    causes: list[tuple[Window, Decision | None]] = []
    decided: dict[int, Decision] = {}
    for window in windows:
        if window.window == 0:
            decided = {}
        if window.audit.tokens_total:
            causes.append((window, decided.get(window.window - 1)))
        if window.decision is not None:
            decided[window.decision.window] = window.decision
    ends = _ends([window.time for window, _ in causes], safety)
    return [Segment(window, end, cause) for (window, cause), end in zip(causes, ends, strict=True)]


def _ends(starts: Sequence[float], safety: Sequence[SafetyRecord]) -> list[float]:
    """Return where windows end that begin at these times."""
    if not starts:
        return []
    gaps = np.diff(starts)
    typical = float(np.median(gaps)) if len(gaps) else 1.0
    ends = np.minimum([*starts[1:], starts[-1] + typical], np.add(starts, LONGEST * typical))
    stops = np.array([*_stops(safety), np.inf])
    ends = np.minimum(ends, stops[np.searchsorted(stops, starts, side="right")])
    return [float(end) for end in np.maximum(ends, starts)]


def _stops(safety: Sequence[SafetyRecord]) -> list[float]:
    """Return when the arm ceased to be moved."""
    pairs = zip(safety, safety[1:], strict=False)
    return [b.time for a, b in pairs if a.status in MOVING and b.status not in MOVING]


def stage_times(windows: Sequence[Window]) -> dict[str, LatencySummary]:
    """Return the times in [ms] of each stage that was measured, in the order of the stages."""
    times = [asdict(window.times) for window in windows if window.times is not None]
    known = {stage: [t[stage] for t in times if np.isfinite(t[stage])] for stage in STAGES}
    return {stage: LatencySummary.of(values) for stage, values in known.items() if values}


def torque_share(states: Sequence[SafetyRecord], bins: int) -> tuple[FloatArray, FloatArray]:
    """Return residual torques as shares of the level that stops the arm.

    Args:
        states: With torques and levels of as many joints each.
        bins: No more points than this; of neighbours the largest is kept, never a mean.

    Returns:
        Times, shape (n,), and shares, shape (n, joints).
    """
    known = [state for state in states if state.residual and len(state.residual) == len(state.stop)]
    if not known:
        return np.zeros(0), np.zeros((0, 0))
    times = np.array([state.time for state in known])
    residual = np.array([state.residual for state in known])  # (N, J)
    shares = np.abs(residual) / np.array([state.stop for state in known])
    parts = np.array_split(np.arange(len(known)), min(bins, len(known)))
    return (
        np.array([times[part[0]] for part in parts]),
        np.array([shares[part].max(axis=0) for part in parts]),
    )


def full_vision_rows(log: RunRecord) -> list[ComparisonRow]:
    """Return the table of this run against the same windows with full vision.

    FLOPs are counted for every window both ways; times are those of the run's own pruned and
    full windows, so that they exist only where both do.
    """
    rows, audits = [], [window.audit for window in log.planned]
    if audits:
        here = float(np.mean([audit.flops for audit in audits]))
        full = float(np.mean([audit.flops_full for audit in audits]))
        quantity = "FLOPs per window, mean [GFLOP]"
        rows.append(ComparisonRow(quantity, f"{here / 1e9:,.2f}", f"{full / 1e9:,.2f}"))
        here = float(np.mean([audit.tokens_kept for audit in audits]))
        full = float(np.mean([audit.tokens_total for audit in audits]))
        rows.append(ComparisonRow("vision tokens per window, mean", f"{here:.1f}", f"{full:.1f}"))
    rows += _time_rows(log)
    return [*rows, *log.comparison]


def _time_rows(log: RunRecord) -> list[ComparisonRow]:
    timed = [(window.pruned, window.times) for window in log.planned if window.times is not None]
    pruned, full = ([times for state, times in timed if state is kind] for kind in (True, False))
    if not pruned or not full:
        return []
    rows = []
    for stage in ("llm", "total"):
        medians = (np.median([asdict(t)[stage] for t in times]) for times in (pruned, full))
        quantity = f"{stage}, median of pruned and of full windows [ms]"
        rows.append(ComparisonRow(quantity, *(f"{value:.1f}" for value in medians)))
    return rows


MOST: Final = 12


def decision_points(log: RunRecord, most: int = MOST) -> list[Segment]:
    """Return the windows whose state differs from the one before, and the first of the run.

    No more than `most`, evenly chosen from all of them; pruned and full ones in turn.
    """
    parts = segments(log.windows, log.safety)
    states = [part.record.pruned for part in parts]
    changes = [
        part
        for part, before in zip(parts, (None, *states), strict=False)
        if before is None or before is not part.record.pruned
    ]
    step = max(1, -(-len(changes) // most))
    step += 1 - step % 2  # states alternate: an even step would show one of them only
    return changes[::step]


def decision_caption(part: Segment) -> str:
    """Say what the window saw and why."""
    record, cause = part.record, part.cause
    kept = record.audit.tokens_kept
    state = f"pruned to {kept}" if record.pruned else f"full, {kept}"
    why = part.reason if cause is None else f"{cause.reason}, {1e3 * cause.motion:.1f} mm"
    return f"window {record.window} {state} tokens ({why})"


Actions = Mapping[tuple[int, int], FloatArray]
"""(stamp in [ns], window) -> the policy's actions, shape (T, 7)."""


def read_replay(path: Path) -> Actions:
    """Read the policy's actions from a log of ``adp-ros replay``.

    Raises:
        BagError: It is no such log, or no policy ran for it.
    """
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        windows = [line for line in lines if line["kind"] == "window" and "policy_actions" in line]
        found = {
            (int(line["stamp_ns"]), int(line["window"])): _array(line["policy_actions"])
            for line in windows
            if not line["repeated"]
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BagError(f"{path} is no log of adp-ros replay: {error}") from error
    if not found:
        raise BagError(f"{path}: no window in it was planned by a policy")
    return found


def _array(numbers: object) -> FloatArray:
    actions = np.array(numbers, dtype=np.float64)
    if actions.ndim != 2 or actions.shape[1] != ACTION_SIZE:
        raise ValueError(f"actions of shape {actions.shape}, (steps, {ACTION_SIZE}) is needed")
    return actions


def action_rows(here: Actions, other: Actions) -> list[ComparisonRow]:
    """Return mean differences over the windows that both have.

    The end point is the sum of a chunk's translations: where it would take the tool.

    Raises:
        BagError: They have no window in common.
    """
    common = [key for key in here if key in other and here[key].shape == other[key].shape]
    if not common:
        raise BagError("the two replay logs have no window in common: are they of one bag?")
    pairs = [(here[key], other[key]) for key in common]
    ends = [float(np.linalg.norm((a - b)[:, :3].sum(axis=0))) for a, b in pairs]
    differences = np.concatenate([np.abs(a - b) for a, b in pairs])  # (N T, 7)
    cosines = [_chunk_cosine(a[:, :6].ravel(), b[:, :6].ravel()) for a, b in pairs]
    count = f"over {len(common)} windows"
    return [
        _row(f"translation, mean L1 per axis [mm], {count}", 1e3 * differences[:, :3].mean()),
        _row("rotation, mean L1 per axis [mrad]", 1e3 * differences[:, 3:6].mean()),
        _row("gripper, mean L1", differences[:, 6].mean()),
        _row("end point of a chunk, median distance [mm]", 1e3 * float(np.median(ends))),
        _row("end point of a chunk, 95th percentile [mm]", 1e3 * float(np.percentile(ends, 95))),
        ComparisonRow("direction of motion, mean cosine", f"{np.mean(cosines):.4f}", "1"),
    ]


def _row(quantity: str, value: float) -> ComparisonRow:
    return ComparisonRow(f"difference of the actions: {quantity}", f"{value:.3g}", "0")


def _chunk_cosine(a: FloatArray, b: FloatArray) -> float:
    """Return the cosine of two vectors; two that are zero agree."""
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / lengths if lengths > 0 else float(not a.any() and not b.any())
