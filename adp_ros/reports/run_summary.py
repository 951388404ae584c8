"""Summary of a run, alone and beside full vision: JSON for machines, tables for people."""

import json
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite, nan
from pathlib import Path
from typing import Any, Final

from ..control.safety_machine import SafetyEvent
from ..evaluation.full_vision import RunNumbers, SceneComparison
from ..health import MachineUse
from .numbers import stage_times
from .run_record import ComparisonRow, RunRecord, changes

TITLE: Final = "the same scene in simulated time"
_WIDTH: Final = 94  # of a line of text
_SETTING: Final = (
    "Two runs in one process, in the loop that the nodes run, with the settings that they have by "
    "default. One scene proves nothing: adp-ros eval runs many."
)
_HEADS: Final = (
    "success",
    "time [s]",
    "path [m]",
    "windows",
    "pruned",
    "tokens/window",
    "FLOPs",
    "forward [ms]",
)


def comparison_note(comparison: SceneComparison) -> str:
    """Return what stands beside the numbers of a comparison."""
    learnt = f"How relevance was learnt: {comparison.relevance}"
    return f"{_SETTING} {comparison.simulation} {learnt}"


def comparison_text(comparison: SceneComparison) -> str:
    """Return the table of a comparison and what must be said beside it."""
    runs = (("  adp", comparison.adp), ("  full vision", comparison.full))
    rows = [("", *_HEADS), *((name, *_cells(numbers)) for name, numbers in runs)]
    indent = "    "
    note = textwrap.wrap(
        comparison_note(comparison), _WIDTH - 4, initial_indent=indent, subsequent_indent=indent
    )
    return "\n".join([f"  {TITLE}", *_aligned(rows), *note]) + "\n"


def comparison_rows(comparison: SceneComparison) -> tuple[ComparisonRow, ...]:
    """Return the lines of a comparison for the report's table against full vision."""
    pairs = zip(_HEADS, _cells(comparison.adp), _cells(comparison.full), strict=True)
    return tuple(ComparisonRow(f"{TITLE}: {head}", *pair) for head, *pair in pairs)


def _cells(numbers: RunNumbers) -> tuple[str, ...]:
    stop = f", stop: {numbers.stop}" if numbers.stop else ""
    share = f" ({numbers.windows_pruned / numbers.windows:.0%})" if numbers.windows else ""
    return (
        "yes" if numbers.success else f"no ({numbers.progress:.0%}{stop})",
        f"{numbers.time_s:.1f}",
        f"{numbers.path_length_m:.2f}",
        str(numbers.windows),
        f"{numbers.windows_pruned}{share}",
        _shown(numbers.tokens_per_window, ".1f", "-"),
        _shown(numbers.flops_share, ".0%", "-"),
        _shown(numbers.forward_ms_p50, ".1f", "-"),
    )


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  " + "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
        for row in rows
    ]


def _shown(value: float | None, form: str, unknown: str = "unknown") -> str:
    return unknown if value is None else format(value, form)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """Outcome of one run. A number that was not reported is None.

    Attributes:
        task: Name of the task.
        seed: Seed of the scene.
        policy: Which policy moved the arm.
        success: True when the task was done in time.
        progress: Share of the task that was done, 0 to 1.
        duration: From start to end of the motion, in [s].
        record: What was heard of windows and safety.
        steps: 10 Hz policy steps that were executed.
        steps_missed: Those that were due and had no action in time.
        stream_on_time_share: Share of 100 Hz messages sent within 5 ms of their time.
        frame_rate: Frames per second at the inference node, in [Hz].
        transport_p50: Median time from capture to the inference node, in [ms].
        wipes: The task is to wipe a stain away.
        problem: What ended the run early, empty when nothing did.
        comparison: The same scene with ADP and with full vision, None where that was not run.
        machine: What the run had of the processor, None where that was not measured.
        torque_rate: Torques that our own driver read in a second; None without that driver.
        queue_largest: Most points that the arm's queue held then.
    """

    task: str
    seed: int
    policy: str
    success: bool
    progress: float
    duration: float
    record: RunRecord
    steps: int | None
    steps_missed: int | None
    stream_on_time_share: float | None
    frame_rate: float | None
    transport_p50: float | None
    wipes: bool = False
    problem: str = ""
    comparison: SceneComparison | None = None
    machine: MachineUse | None = None
    torque_rate: float | None = None
    queue_largest: float | None = None

    @property
    def missed(self) -> str:
        """Policy steps missed, of those that were due."""
        known = self.steps is not None and self.steps_missed is not None
        due = (self.steps or 0) + (self.steps_missed or 0) if known else None
        return f"{_shown(self.steps_missed, '.0f')} of {_shown(due, '.0f')}"

    @property
    def too_busy(self) -> str:
        """One line on what a run that failed lacked; empty where the machine was not busy."""
        if self.success or self.machine is None or not self.machine.busy:
            return ""
        late = sum(e.cause.endswith(("_stale", "_missing")) for e in self.safety_events)
        simulated = ""
        if self.comparison is not None:
            verdict = "succeeded" if self.comparison.adp.success else "failed as well"
            simulated = f"; the same scene in simulated time {verdict}"
        return (
            f"the machine was too busy: {self.machine.words}, "
            f"{self.missed} steps missed, "
            f"{_shown(self.frame_rate, '.1f')} pictures a second, {late} stops for data that came "
            f"late{simulated}; {self.machine.help}"
        )

    @property
    def windows(self) -> int:
        """Windows that were planned."""
        return len(self.record.planned)

    @property
    def windows_pruned(self) -> int:
        """Those with pruned vision tokens."""
        return sum(window.pruned for window in self.record.planned)

    @property
    def safety_events(self) -> list[SafetyEvent]:
        """Times at which the safety machine slowed or stopped the arm."""
        return [e for e in changes(self.record.safety) if e.status in ("slowed", "stopped")]

    def to_json(self) -> dict[str, Any]:
        """Return the contents of ``summary.json``; its keys are a stable interface."""
        latency = stage_times(self.record.windows)
        events = self.safety_events
        return {
            "success": self.success,
            "task": self.task,
            "seed": self.seed,
            "wiped_share": self.progress if self.wipes else None,
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
            "driver_torque_rate_hz": self.torque_rate,
            "driver_queue_largest": self.queue_largest,
            "latency_ms": {s: {"p50": row.p50, "p99": row.p99} for s, row in latency.items()},
            "safety_events": len(events),
            "safety_log": [
                {"time_s": e.time, "status": e.status, "cause": e.cause, "message": e.message}
                for e in events
            ],
            "problem": self.problem,
            "machine": None if self.machine is None else asdict(self.machine),
            "too_busy": self.too_busy,
            "comparison": None if self.comparison is None else self.comparison.to_json(),
        }

    def write(self, path: Path) -> None:
        """Write ``summary.json``."""
        text = json.dumps(self.to_json(), indent=2, allow_nan=False)
        path.write_text(text + "\n", encoding="utf-8")

    def to_text(self) -> str:
        """Return a table of all results, one line each."""
        share = f"{self.windows_pruned / self.windows:.0%}" if self.windows else "-"
        events = self.safety_events
        rows = [
            ("result", self.result),
            ("moved by", self.policy),
            ("windows pruned", f"{self.windows_pruned} of {self.windows} ({share})"),
            ("10 Hz steps missed", self.missed),
            ("100 Hz messages on time", _shown(self.stream_on_time_share, ".2%")),
            ("frames at the policy", f"{_shown(self.frame_rate, '.1f')} Hz"),
            ("camera to policy", f"{_shown(self.transport_p50, '.1f')} ms (median)"),
            ("safety events", str(len(events))),
        ]
        if self.torque_rate is not None:
            most = _shown(self.queue_largest, ".0f")
            words = f"torques at {self.torque_rate:.0f} Hz, the arm's queue held {most} at most"
            rows.append(("driver", words))
        lines = [f"  {name:<24} {value}" for name, value in rows]
        lines += [f"    {e.time:6.1f} s {e.status}: {e.message}" for e in events]
        lines += [f"  {step}" for step in self.record.steps]
        lines += [f"  {self.too_busy}"] if self.too_busy else []
        compared = "" if self.comparison is None else comparison_text(self.comparison)
        if latency := stage_times(self.record.windows):
            lines.append(f"  {'latency per window [ms]':<24} {'p50':>8} {'p99':>8}")
            lines += [f"    {s:<22} {row.p50:8.1f} {row.p99:8.1f}" for s, row in latency.items()]
        return "\n".join(lines) + "\n" + compared

    @property
    def result(self) -> str:
        """How it ended, in one line."""
        done = f"{self.progress:.0%} " + ("wiped" if self.wipes else "done")
        verdict = "success" if self.success else "no success"
        reason = f": {self.problem}" if self.problem else ""
        return f"{self.task}: {verdict}, {done} in {self.duration:.0f} s{reason}"


_Report = tuple[float, Mapping[str, str]]  # time in [s], name -> value


def _number(report: _Report | None, key: str) -> float | None:
    value = nan if report is None else float(report[1].get(key, nan))
    return value if isfinite(value) else None


class HealthLog:
    """The values that components reported in their diagnostics, and how counters grew."""

    def __init__(self, before: "HealthLog | None" = None) -> None:
        """Start empty; growth counts from the last reports in `before`."""
        self._first: dict[str, _Report] = {} if before is None else dict(before._last)
        self._last: dict[str, _Report] = {}
        self._reports: Counter[str] = Counter()

    def note(self, component: str, time: float, values: Mapping[str, str]) -> None:
        """Note the values of one component's diagnostics, heard at `time` [s]; the newest count."""
        self._last[component] = time, values
        self._first.setdefault(component, self._last[component])
        self._reports[component] += 1

    def reports(self, component: str) -> int:
        """Return how often a component's diagnostics were heard."""
        return self._reports[component]

    def number(self, component: str, key: str) -> float | None:
        """Return a value of a component's diagnostics, None when it was never heard."""
        return _number(self._last.get(component), key)

    def growth(self, component: str, key: str) -> float | None:
        """Return how much a counter grew during the run, None when it was not heard twice."""
        first, last = self._first.get(component), self._last.get(component)
        start, end = _number(first, key), _number(last, key)
        if not first or not last or last[0] <= first[0] or start is None or end is None:
            return None
        return end - start

    def rate(self, component: str, key: str) -> float | None:
        """Return how fast a counter grew, in [1/s]."""
        grown = self.growth(component, key)
        if grown is None:
            return None
        return grown / (self._last[component][0] - self._first[component][0])

    def on_time_share(self, component: str) -> float | None:
        """Return the share of a stream's messages that were neither late nor skipped."""
        grown = [self.growth(component, key) for key in ("delivered", "late", "skipped")]
        if any(count is None for count in grown):
            return None
        delivered, late, skipped = (count for count in grown if count is not None)
        due = delivered + skipped
        return 1.0 - (late + skipped) / due if due > 0 else None
