"""Health of the policy and of pruning, as the inference node sees it."""

import threading

from ...health import Health, Level, Value, latency_values
from ...latency import LatencySummary
from ...policy.window import WindowResult
from ...stages import STAGES


class InferenceHealth:
    """Remembers the last window and the last failure."""

    def __init__(self, mover: str, checkpoint: str) -> None:
        self._lock = threading.Lock()
        self._fixed: dict[str, Value] = {"moves_arm": mover, "checkpoint": checkpoint}
        self._failure: str | None = None
        self._failures = 0
        self._windows = 0
        self._pruned = 0
        self._result: WindowResult | None = None
        self._latency: dict[str, Value] = {}

    def planned(self, result: WindowResult, summaries: tuple[LatencySummary, ...]) -> str | None:
        """Take a window; returns the failure that it ends, None when there was none."""
        latency: dict[str, Value] = {}
        for name, summary in zip(STAGES, summaries, strict=True):
            latency.update(latency_values(f"{name}_ms", summary))
        with self._lock:
            ended, self._failure = self._failure, None
            self._windows += 1
            self._pruned += int(result.prediction.pruned)
            self._result = result
            self._latency = latency
        return ended

    def failed(self, message: str) -> bool:
        """Take a failure; returns True when planning had worked before."""
        with self._lock:
            first = self._failure is None
            self._failure = message
            self._failures += 1
        return first

    def policy(self) -> Health:
        """Return whether chunks are planned, and how fast."""
        with self._lock:
            values = {
                **self._fixed,
                "windows": self._windows,
                "failures": self._failures,
                **self._latency,
            }
            if self._failure is not None:
                return Health(Level.ERROR, f"no chunk: {self._failure}", values)
            if self._result is None:
                return Health(Level.OK, "loaded, no chunk asked for yet", values)
            total = self._latency["total_ms_p50"]
            message = f"window {self._result.window} planned, {total:.0f} ms (median)"
            return Health(Level.OK, message, values)

    def pruning(self) -> Health:
        """Return what was pruned."""
        with self._lock:
            if self._result is None:
                return Health(Level.OK, "no window yet")
            report = self._result.report
            values: dict[str, Value] = {
                "windows_pruned": self._pruned,
                "pruned_share": self._pruned / self._windows,
                "pruner": report.pruner,
                "tokens_kept": report.tokens_kept,
                "tokens_total": report.tokens_total,
                "flops_share": report.flops / report.flops_full,
            }
            message = f"{report.tokens_kept} of {report.tokens_total} vision tokens"
            return Health(Level.OK, message, values)

    def gate(self) -> Health:
        """Return what the gate decided last and from what."""
        with self._lock:
            decision = None if self._result is None else self._result.decision
            if decision is None:
                return Health(Level.OK, "no decision yet")
            values: dict[str, Value] = {
                "rule": decision.rule,
                "next_pruned": decision.prune,
                "reason": str(decision.reason),
                "motion_m": decision.motion,
                "upper_m": decision.upper,
                "lower_m": decision.lower,
                "pruned_run": decision.pruned_run,
            }
            state = "pruned" if decision.prune else "full vision"
            message = f"next {state}, {decision.reason}: motion {1e3 * decision.motion:.2f} mm"
            return Health(Level.OK, message, values)
