"""What the gate decided when a window closed, and from what."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

NO_THRESHOLD: Final = float("nan")


class Reason(str, Enum):
    """Why a state was chosen; the value is published."""

    COLD_START = "cold_start"  # too few windows seen
    FAST = "fast"  # motion at or above the upper threshold: prune
    SLOW = "slow"  # motion at or below the lower threshold: full vision
    BETWEEN = "between"  # motion between the thresholds
    REFRESH = "refresh"  # too many pruned windows in a row: full vision
    SCHEDULE = "schedule"  # periodic switching
    RANDOM = "random"  # drawn
    FIXED = "fixed"  # always or never

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rule alone says, before the forced refresh.

    Attributes:
        prune: State for the next window.
        reason: Why.
        upper: Threshold at or above which the rule prunes, in [m]; NaN without one.
        lower: Threshold at or below which it wants full vision, in [m]; NaN without one.
        compared: Motions that the thresholds come from, oldest first, in [m]; empty where the
            rule keeps a summary only.
    """

    prune: bool
    reason: Reason
    upper: float = NO_THRESHOLD
    lower: float = NO_THRESHOLD
    compared: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """State of the next window and everything that led to it.

    Attributes:
        prune: True: the next window is pruned. False: it sees every token.
        reason: Why.
        rule: Name of the rule, such as ``adjacent/extrema``.
        window: Number of the window that closed, from 0.
        state: State that was used for the window that closed; True is pruned.
        motion: Motion of the window that closed, in [m].
        upper: See :class:`Verdict`.
        lower: See :class:`Verdict`.
        compared: See :class:`Verdict`.
        rule_prune: What the rule alone said; differs from ``prune`` when a refresh was forced.
        pruned_run: Pruned windows in a row, the next one included.
    """

    prune: bool
    reason: Reason
    rule: str
    window: int
    state: bool
    motion: float
    upper: float
    lower: float
    compared: tuple[float, ...]
    rule_prune: bool
    pruned_run: int
