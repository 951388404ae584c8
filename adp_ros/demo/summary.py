"""Summary of a run: as JSON for machines, as a table for people."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .comparison import Comparison


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Median and 99th percentile, in [ms]."""

    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class SafetyEvent:
    """The safety machine slowed or stopped the arm.

    Attributes:
        time: Seconds since the start of the run.
        status: ``slowed`` or ``stopped``.
        cause: Stable short name.
        message: The same in words.
    """

    time: float
    status: str
    cause: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Outcome of one run. A number that nobody reported is None.

    Attributes:
        task: Name of the task.
        seed: Seed of the scene.
        policy: Which policy moved the arm.
        success: True when the task was done in time.
        progress: Share of the task that was done, 0 to 1.
        duration: From start to end of the motion, in [s].
        windows: Chunks that were planned.
        windows_pruned: Those with pruned vision tokens.
        steps: 10 Hz policy steps that were due.
        steps_missed: Those without an action in time.
        stream_on_time_share: Share of 100 Hz messages sent within 5 ms of their time.
        frame_rate: Frames per second at the inference node, in [Hz].
        transport_p50: Median time from capture to the inference node, in [ms].
        latency: Stage -> percentiles.
        safety_events: In the order of time.
        problem: What ended the run early, empty when nothing did.
        comparison: The same scene with ADP and with full vision, None where that was not run.
    """

    task: str
    seed: int
    policy: str
    success: bool
    progress: float
    duration: float
    windows: int
    windows_pruned: int
    steps: int | None
    steps_missed: int | None
    stream_on_time_share: float | None
    frame_rate: float | None
    transport_p50: float | None
    latency: Mapping[str, Percentiles]
    safety_events: tuple[SafetyEvent, ...]
    problem: str = ""
    comparison: Comparison | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the contents of ``summary.json``; its keys are a stable interface."""
        return {
            "success": self.success,
            "task": self.task,
            "seed": self.seed,
            "wiped_share": self.progress if self.task == "wipe_table" else None,
            "progress": self.progress,
            "duration_s": self.duration,
            "policy": self.policy,
            "windows": self.windows,
            "windows_pruned": self.windows_pruned,
            "steps": self.steps,
            "steps_missed": self.steps_missed,
            "stream_on_time_share": self.stream_on_time_share,
            "frame_rate_hz": self.frame_rate,
            "transport_ms_p50": self.transport_p50,
            "latency_ms": {
                stage: {"p50": value.p50, "p99": value.p99} for stage, value in self.latency.items()
            },
            "safety_events": len(self.safety_events),
            "safety_log": [
                {"time_s": e.time, "status": e.status, "cause": e.cause, "message": e.message}
                for e in self.safety_events
            ],
            "problem": self.problem,
            "comparison": None if self.comparison is None else self.comparison.to_json(),
        }

    def write(self, path: Path) -> None:
        """Write ``summary.json``."""
        text = json.dumps(self.to_json(), indent=2, allow_nan=False)
        path.write_text(text + "\n", encoding="utf-8")

    def to_text(self) -> str:
        """Return a table of all results, one line each."""
        rows = [("result", self.result), ("moved by", self.policy)]
        share = f"{self.windows_pruned / self.windows:.0%}" if self.windows else "-"
        rows.append(("windows pruned", f"{self.windows_pruned} of {self.windows} ({share})"))
        steps = f"{_shown(self.steps_missed, '.0f')} of {_shown(self.steps, '.0f')}"
        rows.append(("10 Hz steps missed", steps))
        on_time = _shown(self.stream_on_time_share, ".2%")
        rows.append(("100 Hz messages on time", on_time))
        rows.append(("frames at the policy", f"{_shown(self.frame_rate, '.1f')} Hz"))
        rows.append(("camera to policy", f"{_shown(self.transport_p50, '.1f')} ms (median)"))
        rows.append(("safety events", str(len(self.safety_events))))
        lines = [f"  {name:<24} {value}" for name, value in rows]
        lines += [f"    {e.time:6.1f} s {e.status}: {e.message}" for e in self.safety_events]
        compared = "" if self.comparison is None else self.comparison.to_text()
        return "\n".join([*lines, *self._latency_lines()]) + "\n" + compared

    @property
    def result(self) -> str:
        """How it ended, in one line."""
        done = f"{self.progress:.0%} " + ("wiped" if self.task == "wipe_table" else "done")
        verdict = "success" if self.success else "no success"
        reason = f": {self.problem}" if self.problem else ""
        return f"{self.task}: {verdict}, {done} in {self.duration:.0f} s{reason}"

    def _latency_lines(self) -> list[str]:
        if not self.latency:
            return []
        head = f"  {'latency per window [ms]':<24} {'p50':>8} {'p99':>8}"
        rows = [
            f"    {stage:<22} {value.p50:8.1f} {value.p99:8.1f}"
            for stage, value in self.latency.items()
        ]
        return [head, *rows]


def _shown(value: float | None, form: str) -> str:
    return "unknown" if value is None else format(value, form)
