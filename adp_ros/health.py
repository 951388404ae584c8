"""Health of one component in the terms of ROS diagnostics, without ROS."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from math import inf
from types import MappingProxyType
from typing import Final

from .latency import LatencySummary

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
