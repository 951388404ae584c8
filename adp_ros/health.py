"""Health of one component in the terms of ROS diagnostics, and the rates that it reports."""

import threading
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from math import inf, nan
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

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

    @classmethod
    def of(cls, values: ArrayLike) -> "LatencySummary":
        """Return the statistics of some values (percentiles by linear interpolation)."""
        known = np.array(values)
        if not known.size:
            return cls(0, nan, nan, nan, nan, nan)
        p50, p95, p99 = map(float, np.percentile(known, (50, 95, 99)))
        return cls(len(known), float(known.mean()), p50, p95, p99, float(known.max()))


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
        return LatencySummary.of(self._values)


HOLD: Final = 4.5  # [s] that a warning stays: four reports of one per second
Value = str | int | float | bool


class Level(IntEnum):
    """Levels of diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2
    STALE = 3


@dataclass(frozen=True, slots=True)
class Health:
    """State of one component.

    Attributes:
        level: How bad it is.
        message: The same in words, for people.
        values: Name -> number or word, for machines; the unit is part of the name (``age_ms``).
    """

    level: Level
    message: str
    values: Mapping[str, Value] = field(default_factory=lambda: MappingProxyType({}))


def worst(states: Iterable[Health]) -> Health:
    """Return the first of the worst states; OK when there is none."""
    return max(states, key=lambda s: s.level, default=Health(Level.OK, "OK"))


class Steady:
    """Keeps a warning for a while, so that a level that changes all the time does not flap.

    Errors come and go at once: nobody shall wait for one, or be told of one that is over.

    Args:
        hold: How long a warning stays after it was last true, in [s].
    """

    def __init__(self, hold: float = HOLD) -> None:
        self._hold = hold
        self._warned_at = -inf
        self._warning = ""

    def take(self, health: Health, now: float) -> Health:
        """Return what to publish of a component's health at `now` [s]."""
        if health.level is Level.WARN:
            self._warned_at, self._warning = now, health.message
        age = now - self._warned_at
        if health.level is not Level.OK or age > self._hold:
            return health
        message = f"{health.message}; {age:.0f} s ago: {self._warning}"
        return Health(Level.WARN, message, health.values)


def format_value(value: Value) -> str:
    """Write a value as diagnostics carry it: numbers short, flags in lower case."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def latency_values(name: str, summary: LatencySummary, scale: float = 1.0) -> dict[str, Value]:
    """Turn statistics into values ``<name>_p50`` and so on.

    Args:
        name: With the unit, such as ``request_ms``.
        summary: The statistics.
        scale: Factor from the summary's unit to the name's.
    """
    return {
        f"{name}_mean": summary.mean * scale,
        f"{name}_p50": summary.p50 * scale,
        f"{name}_p95": summary.p95 * scale,
        f"{name}_p99": summary.p99 * scale,
        f"{name}_max": summary.maximum * scale,
    }


AHEAD: Final = 0.1  # [s] by which a stamp may lie in the future: clocks of two machines


def stamp_problem(age: float, oldest: float) -> str:
    """Judge the age of a stamp; every node uses the same bounds and words.

    Args:
        age: Time now less the stamp, in [s]; negative for a stamp in the future.
        oldest: Largest age allowed, in [s].

    Returns:
        What is wrong, empty when nothing is.
    """
    if age < -AHEAD:
        return (
            f"stamped {-age:.2f} s in the future, allowed: up to {AHEAD:g} s; synchronise the "
            "clocks"
        )
    return f"{age:.2f} s old, allowed: up to {oldest:g} s" if age > oldest else ""


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


_BUSY: Final = 0.25  # share of the cores that others may take without a word
_WAITED: Final = 0.05  # share of the time that the controller may wait for a core


@dataclass(frozen=True, slots=True)
class MachineUse:
    """What a run had of the processor.

    Attributes:
        cores: Processors that it might use.
        taken: How many of them other programs took, on the average.
        waited: Share of the time in which the controller was ready and had no core.
        precedence: How controller and twin run beside other programs, in words.
    """

    cores: int
    taken: float
    waited: float
    precedence: str

    @property
    def busy(self) -> bool:
        """True when other programs took so much that a live run may suffer."""
        return self.taken > _BUSY * self.cores or self.waited > _WAITED

    @property
    def words(self) -> str:
        """What was lacking."""
        return (
            f"other programs took {self.taken:.1f} of {self.cores} cores, the controller waited "
            f"{self.waited:.0%} of the time for one, {self.precedence}"
        )

    @property
    def help(self) -> str:
        """What can be done about it."""
        return "end other programs, or use adp-ros eval, which runs in simulated time"
