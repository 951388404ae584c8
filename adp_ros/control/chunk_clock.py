"""The clock of the chunks: it slows with the arm, so that the tool stays on the planned path."""

from collections import deque
from typing import Final

_LONGEST: Final = 0.03  # [s] for which a rate holds; a tick that comes later slows nothing


class ChunkClock:
    """Time at which actions are due.

    It is real time until it is slowed, and from then on behind it: never ahead, never back. All
    times are in [s].

    Args:
        horizon: How far back :meth:`at` is asked.
    """

    def __init__(self, horizon: float) -> None:
        self._horizon = horizon
        self.begin()

    def begin(self) -> None:
        """Show real time from now on."""
        # Real time from which a rate holds, how far the clock was behind then, the rate.
        self._past: deque[tuple[float, float, float]] = deque()

    @property
    def slow(self) -> bool:
        """True while the rate is below 1."""
        return bool(self._past) and self._past[-1][2] < 1.0

    def at(self, time: float) -> float:
        """Return what the clock shows at a real time, which may have passed."""
        for since, behind, rate in reversed(self._past):
            if since <= time:
                return time - behind - (1.0 - rate) * min(time - since, _LONGEST)
        return time - self._past[0][1] if self._past else time

    def pace(self, now: float, rate: float) -> None:
        """Run at a rate, 0 to 1, from a real time on; to be said in every tick while it is slow."""
        past = self._past
        if rate == 1.0 and (not past or past[-1][2] == 1.0):
            return
        past.append((now, now - self.at(now), rate))
        while len(past) > 1 and past[1][0] < now - self._horizon:
            past.popleft()
