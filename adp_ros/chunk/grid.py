"""Grid of policy steps: slot k lasts from origin + k * period for one period."""

from dataclasses import dataclass
from math import ceil, floor
from typing import Final

ROUNDING: Final = 1e-6  # share of a period that counts as the same instant


@dataclass(frozen=True, slots=True)
class StepGrid:
    """Slots of one step each.

    Attributes:
        origin: Start of slot 0, in [s].
        period: In [s].
    """

    origin: float
    period: float

    def start(self, slot: int) -> float:
        """Return the start of a slot, in [s]."""
        return self.origin + slot * self.period

    def slot_at(self, now: float) -> int:
        """Return the slot that a time lies in."""
        return floor((now - self.origin) / self.period + ROUNDING)

    def slot_for(self, due: float, lateness: float) -> int:
        """Return the last slot that starts at most ``lateness`` after an action's due time."""
        return floor((due + lateness - self.origin) / self.period + ROUNDING)

    @classmethod
    def through(cls, due: float, period: float, now: float, lateness: float) -> "StepGrid":
        """Lay out a grid on the due times of a chunk.

        Args:
            due: Due time of its first action, in [s].
            period: In [s].
            now: Time in [s]; slot 0 is the first that started less than ``lateness`` ago.
            lateness: In [s].
        """
        passed = max(0, ceil((now - lateness - due) / period - ROUNDING))
        return cls(due + passed * period, period)
