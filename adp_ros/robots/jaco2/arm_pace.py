"""What the driver does when: points at the arm's pace, reads in turn."""

from collections.abc import Mapping
from math import inf
from typing import Final

from ...types import FloatArray

POINT: Final = 0.01  # [s] for which the arm uses one point


class PointGate:
    """Lets points through so that the arm's queue never holds more than a few.

    The arm takes one point per 10 ms, at moments that are not known, so that the queue may hold
    one more than the time since the last points says.

    Args:
        most: Points in the queue at most.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._fill = 0.0
        self._at = -inf
        self.largest = 0

    def admits(self, now: float) -> bool:
        """Tell whether a point may be sent at `now` [s]."""
        return self._fill_at(now) + 1.0 <= self._most - 1.0

    def sent(self, now: float) -> None:
        """Note that a point was sent."""
        self._fill, self._at = self._fill_at(now) + 1.0, now

    def found(self, count: int, now: float) -> None:
        """Note how many points the arm says its queue holds; it knows better when it is more."""
        self.largest = max(self.largest, count)
        self._fill, self._at = max(self._fill_at(now), count - 1.0), now

    def clear(self) -> None:
        """Note that the queue was erased."""
        self._fill, self._at = 0.0, -inf

    def _fill_at(self, now: float) -> float:
        return max(0.0, self._fill - (now - self._at) / POINT) if self._fill else 0.0


class ReadSchedule:
    """Which read is next: the one that has waited longest, measured in its own period.

    Where there is not time for all of them, all become slower by the same factor.

    Args:
        periods: Read -> time between two of it, in [s].
    """

    def __init__(self, periods: Mapping[str, float]) -> None:
        self._periods = dict(periods)
        self._last = dict.fromkeys(self._periods, -inf)

    def next(self, now: float) -> str | None:
        """Return the read to do at `now` [s], None when none is due; it counts as done."""
        name = max(self._periods, key=lambda n: (now - self._last[n]) / self._periods[n])
        period = self._periods[name]
        if now - self._last[name] < period:
            return None
        behind = now - self._last[name] - period
        self._last[name] = now - behind if behind < period else now  # keeps the grid
        return name

    def wait(self, now: float) -> float:
        """Return the time until the next read is due, in [s]."""
        due = min(self._last[name] + period for name, period in self._periods.items())
        return max(0.0, due - now)


_GAIN: Final = 2.0  # [1/s], of kinova-ros
_DEAD_BAND: Final = 20.0  # [ticks]


def finger_speeds(closure: float, fingers: FloatArray, closed: float) -> tuple[float, ...]:
    """Return finger speeds that follow a closure, as kinova-ros: all follow the first finger.

    Args:
        closure: 0 (open) to 100 (closed).
        fingers: Measured positions, the first one first, in [ticks].
        closed: Position of a closed finger in [ticks].

    Returns:
        Three speeds in [ticks/s].
    """
    gap = closure / 100.0 * closed - float(fingers[0])
    return (_GAIN * gap if abs(gap) > _DEAD_BAND else 0.0,) * 3
