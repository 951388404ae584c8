"""Health of one component, as shown in diagnostics."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from types import MappingProxyType


class Level(IntEnum):
    """Severity; the numbers are those of diagnostic_msgs/DiagnosticStatus (REP 107)."""

    OK = 0
    WARN = 1
    ERROR = 2
    STALE = 3


@dataclass(frozen=True, slots=True)
class Health:
    """State of one component.

    Attributes:
        component: Short name such as ``frames``.
        level: Severity.
        message: One line with numbers.
        values: Name -> text of each number worth looking at.
    """

    component: str
    level: Level
    message: str
    values: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


HealthCheck = Callable[[], Health]
