"""Rates and durations that one thread measures and another reads."""

import threading
from collections import deque

from .latency import LatencySummary, RollingPercentiles


class RateMeter:
    """Events per second over the last seconds."""

    def __init__(self, window: float = 2.0) -> None:
        self._window = window  # [s]
        self._times: deque[float] = deque()
        self._lock = threading.Lock()
        self.count = 0

    def add(self, now: float) -> None:
        """Count one event at ``now`` [s], monotonic."""
        with self._lock:
            self.count += 1
            self._times.append(now)
            self._forget(now)

    def rate(self, now: float) -> float:
        """Return the rate in [Hz]; 0 with fewer than two events in the window."""
        with self._lock:
            self._forget(now)
            if len(self._times) < 2:
                return 0.0
            return (len(self._times) - 1) / max(self._times[-1] - self._times[0], 1e-9)

    def _forget(self, now: float) -> None:
        while self._times and now - self._times[0] > self._window:
            self._times.popleft()


class DurationMeter:
    """Statistics of the last durations."""

    def __init__(self, size: int = 300) -> None:
        self._values = RollingPercentiles(size)
        self._lock = threading.Lock()

    def add(self, value: float) -> None:
        """Take one duration."""
        with self._lock:
            self._values.add(value)

    def summary(self) -> LatencySummary:
        """Return the statistics in the unit that was added."""
        with self._lock:
            return self._values.summary()
