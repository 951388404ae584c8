"""A window as the package's own messages: chunk, gate, pruning, latency."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from ..adp.gate_rules import Decision
from ..health import LatencySummary
from ..msg import ActionChunk, GateState, InferenceLatency, PruneState
from ..policies.window import STAGES, TokenAudit, Window, WindowTimes, decision_columns


def chunk_message(window: Window, step_period: float, policy: str) -> ActionChunk:
    """Pack what is executed in a window; the header is left to the caller.

    Args:
        window: The window.
        step_period: Time from one action to the next in [s].
        policy: Which policy planned it.
    """
    convention = window.convention
    return ActionChunk(
        window=window.window,
        step_period=step_period,
        actions=np.ascontiguousarray(window.actions, dtype=np.float64).ravel().tolist(),
        pruned=window.pruned,
        policy=policy,
        translation_frame=convention.translation_frame,
        rotation_frame=convention.rotation_frame,
        rotation=convention.rotation,
    )


def gate_message(decision: Decision) -> GateState:
    """Pack a decision of the gate about the window that closed."""
    columns = decision_columns(decision)
    states = {name: int(columns[name]) for name in ("state", "next_state")}
    return GateState(**columns | states)


def prune_message(audit: TokenAudit, window: int) -> PruneState:
    """Pack the audit of one forward pass."""
    return PruneState(window=window, **audit.columns())


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
