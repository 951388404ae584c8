"""Chunks, gate decisions, audits and latencies as messages of this package."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from ...gate import Decision
from ...latency import LatencySummary
from ...msg import ActionChunk, GateState, InferenceLatency, PruneState
from ...policy.window import PruneReport
from ...stages import STAGES, WindowTimes
from ...types import ActionConvention, FloatArray


def chunk_message(
    actions: FloatArray,
    convention: ActionConvention,
    *,
    window: int,
    step_period: float,
    pruned: bool,
    policy: str,
) -> ActionChunk:
    """Pack a chunk; the header is left to the caller.

    Args:
        actions: Shape (T, 7).
        convention: Frames and rotation order of the increments.
        window: Number of the window.
        step_period: Time from one action to the next in [s].
        pruned: Vision tokens were pruned for it.
        policy: Which policy planned it.
    """
    return ActionChunk(
        window=window,
        step_period=step_period,
        actions=np.ascontiguousarray(actions, dtype=np.float64).ravel().tolist(),
        pruned=pruned,
        policy=policy,
        translation_frame=convention.translation_frame,
        rotation_frame=convention.rotation_frame,
        rotation=convention.rotation,
    )


def gate_message(decision: Decision, window: int) -> GateState:
    """Pack a decision of the gate about the window that closed."""
    return GateState(
        window=window,
        state=GateState.PRUNED if decision.state else GateState.FULL,
        next_state=GateState.PRUNED if decision.prune else GateState.FULL,
        rule=decision.rule,
        reason=str(decision.reason),
        motion=decision.motion,
        upper=decision.upper,
        lower=decision.lower,
        pruned_run=decision.pruned_run,
    )


def prune_message(report: PruneReport, window: int) -> PruneState:
    """Pack the audit of one forward pass."""
    return PruneState(
        window=window,
        pruner=report.pruner,
        tokens_total=report.tokens_total,
        tokens_kept=report.tokens_kept,
        kept_per_view=list(report.kept_per_view),
        kept_indices=[] if report.kept is None else report.kept.tolist(),
        sequence_length=np.array(report.sequence_length, dtype=np.uint32),
        flops=report.flops,
        flops_full=report.flops_full,
    )


def latency_message(
    times: WindowTimes, window: int, summaries: Sequence[LatencySummary]
) -> InferenceLatency:
    """Pack the stage times of one window and the statistics of the last ones, in [ms]."""
    return InferenceLatency(
        window=window,
        **asdict(times),
        stages=list(STAGES),
        mean=[s.mean for s in summaries],
        p50=[s.p50 for s in summaries],
        p95=[s.p95 for s in summaries],
        p99=[s.p99 for s in summaries],
    )
