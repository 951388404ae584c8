"""Colours of gate states and reasons, the same on every display."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ..gate import Reason
from .numbers import FIRST

FULL: Final = "#2a78b5"
PRUNED: Final = "#f28e2b"
GOOD: Final = "#59a14f"
CAUTION: Final = "#d8a800"
BAD: Final = "#d62728"
QUIET: Final = "#8a8a8a"
_REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        Reason.FAST.value: PRUNED,
        Reason.SLOW.value: FULL,
        Reason.BETWEEN.value: "#b8b8b8",
        Reason.REFRESH.value: "#9c5fb5",
        Reason.COLD_START.value: "#d9d3a7",
        FIRST: "#d9d3a7",
    }
)
_OTHER: Final = "#76b7b2"


def state_colour(pruned: bool) -> str:
    """Return the colour of a gate state."""
    return PRUNED if pruned else FULL


def reason_colour(reason: str) -> str:
    """Return the colour of a reason."""
    return _REASONS.get(reason, _OTHER)


def status_colour(status: str) -> str:
    """Return the colour of a state of the safety machine."""
    colours = {"armed": GOOD, "running": GOOD, "slowed": CAUTION, "stopped": BAD}
    return colours.get(status, QUIET)
