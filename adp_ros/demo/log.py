"""What an observer notes during a run; no ROS here, and no clock."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .summary import Percentiles, SafetyEvent


@dataclass(frozen=True, slots=True)
class TwinProgress:
    """State of the task.

    Attributes:
        share: Share that is done, 0 to 1.
        success: True once the task is done.
    """

    share: float = 0.0
    success: bool = False


@dataclass(frozen=True, slots=True)
class _Report:
    time: float
    values: Mapping[str, str]

    def number(self, key: str) -> float | None:
        if key not in self.values:
            return None
        value = float(self.values[key])
        return value if np.isfinite(value) else None


class RunLog:
    """Everything that the summary is made from."""

    def __init__(self, before: "RunLog | None" = None) -> None:
        """Start empty; growth counts from the last reports in `before`."""
        self.progress = TwinProgress()
        self._windows: dict[int, bool] = {}
        self._latency: dict[str, list[float]] = {}
        self._safety: list[SafetyEvent] = []
        self._first: dict[str, _Report] = {} if before is None else dict(before._last)
        self._last: dict[str, _Report] = {}
        self._reports: Counter[str] = Counter()

    @property
    def windows(self) -> int:
        """Windows that were planned."""
        return len(self._windows)

    @property
    def windows_pruned(self) -> int:
        """Windows with fewer vision tokens than there were."""
        return sum(self._windows.values())

    @property
    def safety_events(self) -> tuple[SafetyEvent, ...]:
        """Times at which the safety machine slowed or stopped the arm."""
        return tuple(self._safety)

    def note_window(self, window: int, total: int, kept: int) -> None:
        """Note the tokens of one window."""
        self._windows[window] = kept < total

    def note_latency(self, times: Mapping[str, float]) -> None:
        """Note the times of one window: stage -> [ms]."""
        for stage, value in times.items():
            self._latency.setdefault(stage, []).append(value)

    def note_safety(self, event: SafetyEvent) -> None:
        """Note a state of the safety machine; the same state and cause again is no new event."""
        last = self._safety[-1] if self._safety else None
        if last is None or (last.status, last.cause) != (event.status, event.cause):
            self._safety.append(event)

    def note_health(self, component: str, time: float, values: Mapping[str, str]) -> None:
        """Note the values of one component's diagnostics, stamped `time` [s]; the newest count."""
        self._last[component] = _Report(time, values)
        self._first.setdefault(component, self._last[component])
        self._reports[component] += 1

    def reports(self, component: str) -> int:
        """Return how often a component's diagnostics were heard."""
        return self._reports[component]

    def number(self, component: str, key: str) -> float | None:
        """Return a value of a component's diagnostics, None when it was never heard."""
        report = self._last.get(component)
        return None if report is None else report.number(key)

    def growth(self, component: str, key: str) -> float | None:
        """Return how much a counter grew during the run, None when it was not heard twice."""
        first, last = self._first.get(component), self._last.get(component)
        if first is None or last is None or last.time <= first.time:
            return None
        start, end = first.number(key), last.number(key)
        return None if start is None or end is None else end - start

    def rate(self, component: str, key: str) -> float | None:
        """Return how fast a counter grew, in [1/s]."""
        grown = self.growth(component, key)
        if grown is None:
            return None
        return grown / (self._last[component].time - self._first[component].time)

    def on_time_share(self, component: str) -> float | None:
        """Return the share of a stream's messages that were neither late nor skipped."""
        grown = [self.growth(component, key) for key in ("delivered", "late", "skipped")]
        if any(count is None for count in grown):
            return None
        delivered, late, skipped = (count for count in grown if count is not None)
        due = delivered + skipped
        return 1.0 - (late + skipped) / due if due > 0 else None

    def latency(self) -> dict[str, Percentiles]:
        """Return the percentiles of each stage over the whole run, in [ms]."""
        percentiles = {
            stage: np.percentile(values, (50, 99)) for stage, values in self._latency.items()
        }
        return {
            stage: Percentiles(float(p50), float(p99)) for stage, (p50, p99) in percentiles.items()
        }
