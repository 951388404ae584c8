"""What a report says in numbers: joined records, percentiles, and the table against full vision."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ..types import FloatArray
from .run_log import ComparisonRow, GateRecord, LatencyRecord, RunLog, SafetyRecord, WindowRecord

FIRST: Final = "first window"
NOT_HEARD: Final = "not heard"


@dataclass(frozen=True, slots=True)
class Segment:
    """One window on the timeline.

    Attributes:
        record: The window.
        end: Time at which the next window begins; for the last one, a typical length later.
        cause: Decision that gave the window its state; None for the first of an episode, and
            when it was not heard.
    """

    record: WindowRecord
    end: float
    cause: GateRecord | None

    @property
    def reason(self) -> str:
        """Why the window has its state."""
        if self.cause is not None:
            return self.cause.reason
        return FIRST if self.record.window == 0 else NOT_HEARD


@dataclass(frozen=True, slots=True)
class StagePercentiles:
    """Times of one stage over all windows, in [ms]."""

    stage: str
    p50: float
    p95: float
    p99: float
    maximum: float


def segments(windows: Sequence[WindowRecord], gates: Sequence[GateRecord]) -> list[Segment]:
    """Give each window its end and the decision that led to it.

    Window numbers begin again with each episode: the decision is the newest one about the
    window before that is no younger than the window itself.
    """
    starts = [record.time for record in windows]
    typical = float(np.median(np.diff(starts))) if len(starts) > 1 else 1.0
    ends = [*starts[1:], starts[-1] + typical] if starts else []
    found: list[Segment] = []
    decided: dict[int, GateRecord] = {}
    waiting = sorted(gates, key=lambda gate: gate.time)
    for record, end in zip(windows, ends, strict=True):
        while waiting and waiting[0].time <= record.time:
            gate = waiting.pop(0)
            decided[gate.window] = gate
        if record.window == 0:
            decided = {w: g for w, g in decided.items() if g.time == record.time}
        found.append(Segment(record, end, decided.get(record.window - 1)))
    return found


def stage_percentiles(latencies: Sequence[LatencyRecord]) -> list[StagePercentiles]:
    """Return the percentiles of each stage, in the order of the stages."""
    stages = latencies[0].stages if latencies else ()
    rows = []
    for stage in stages:
        values = np.array([record.stages[stage] for record in latencies])
        rows.append(StagePercentiles(stage, *map(float, np.percentile(values, (50, 95, 99, 100)))))
    return rows


def safety_events(states: Sequence[SafetyRecord]) -> list[SafetyRecord]:
    """Return the states at which status or cause changed."""
    return [
        state
        for before, state in zip((None, *states), states, strict=False)
        if before is None or (before.status, before.cause) != (state.status, state.cause)
    ]


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


def full_vision_rows(log: RunLog) -> list[ComparisonRow]:
    """Return the table of this run against the same windows with full vision.

    FLOPs are counted for every window both ways; times are those of the run's own pruned and
    full windows, so that they exist only where both do.
    """
    rows = []
    if log.windows:
        here = float(np.mean([record.flops for record in log.windows]))
        full = float(np.mean([record.flops_full for record in log.windows]))
        quantity = "FLOPs per window, mean [GFLOP]"
        rows.append(ComparisonRow(quantity, f"{here / 1e9:,.2f}", f"{full / 1e9:,.2f}"))
        here = float(np.mean([record.tokens_kept for record in log.windows]))
        full = float(np.mean([record.tokens_total for record in log.windows]))
        rows.append(ComparisonRow("vision tokens per window, mean", f"{here:.1f}", f"{full:.1f}"))
    rows += _time_rows(log)
    return [*rows, *log.comparison]


def _time_rows(log: RunLog) -> list[ComparisonRow]:
    state = {(record.time, record.window): record.pruned for record in log.windows}
    rows = []
    for stage in ("llm", "total"):
        times: dict[bool, list[float]] = {True: [], False: []}
        for record in log.latencies:
            key = (record.time, record.window)
            if key in state and stage in record.stages:
                times[state[key]].append(record.stages[stage])
        if times[True] and times[False]:
            pruned, full = (float(np.median(times[kind])) for kind in (True, False))
            quantity = f"{stage}, median of pruned and of full windows [ms]"
            rows.append(ComparisonRow(quantity, f"{pruned:.1f}", f"{full:.1f}"))
    return rows
