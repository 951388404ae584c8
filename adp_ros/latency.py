"""Percentiles of the last durations, as every node reports them."""

from collections import deque
from dataclasses import dataclass
from math import nan
from typing import Final

import numpy as np

WINDOW: Final = 100  # values that the statistics look back on


@dataclass(frozen=True, slots=True)
class LatencySummary:
    """Statistics of the last values, all in their unit; NaN when there is none.

    Attributes:
        count: Values that the statistics cover.
        mean: Mean.
        p50: Median.
        p95: 95th percentile.
        p99: 99th percentile.
        maximum: Largest value.
    """

    count: int
    mean: float
    p50: float
    p95: float
    p99: float
    maximum: float


class RollingPercentiles:
    """The last values of one duration and their percentiles (linear interpolation)."""

    def __init__(self, size: int = WINDOW) -> None:
        if size < 1:
            raise ValueError(f"size is {size}, at least 1 is needed")
        self._values: deque[float] = deque(maxlen=size)

    def add(self, value: float) -> None:
        """Take one value; the oldest falls out when the window is full."""
        self._values.append(value)

    def clear(self) -> None:
        """Forget all values."""
        self._values.clear()

    def __len__(self) -> int:
        return len(self._values)

    def percentile(self, percent: float) -> float:
        """Return a percentile, NaN when there is no value."""
        return float(np.percentile(self._values, percent)) if self._values else nan

    def summary(self) -> LatencySummary:
        """Return the statistics of the values at hand."""
        if not self._values:
            return LatencySummary(0, nan, nan, nan, nan, nan)
        values = np.array(self._values)
        p50, p95, p99 = map(float, np.percentile(values, (50, 95, 99)))
        return LatencySummary(len(values), float(values.mean()), p50, p95, p99, float(values.max()))
