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


class RunLog:
    """Everything that the summary is made from."""

    def __init__(self) -> None:
        """Start empty."""
        self.progress = TwinProgress()
        self._windows: dict[int, bool] = {}
        self._latency: dict[str, list[float]] = {}
        self._safety: list[SafetyEvent] = []
        self._health: dict[str, dict[str, str]] = {}
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

    def note_health(self, component: str, values: Mapping[str, str]) -> None:
        """Note the values of one component's diagnostics; the newest count."""
        self._health.setdefault(component, {}).update(values)
        self._reports[component] += 1

    def reports(self, component: str) -> int:
        """Return how often a component's diagnostics were heard."""
        return self._reports[component]

    def number(self, component: str, key: str) -> float | None:
        """Return a value of a component's diagnostics, None when it was never heard."""
        text = self._health.get(component, {}).get(key)
        if text is None:
            return None
        value = float(text)
        return value if np.isfinite(value) else None

    def latency(self) -> dict[str, Percentiles]:
        """Return the percentiles of each stage over the whole run, in [ms]."""
        percentiles = {
            stage: np.percentile(values, (50, 99)) for stage, values in self._latency.items()
        }
        return {
            stage: Percentiles(float(p50), float(p99)) for stage, (p50, p99) in percentiles.items()
        }
