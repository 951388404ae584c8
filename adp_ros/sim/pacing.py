"""Physics in real time: how many ticks are due, and how late they are."""

from typing import Final

MAX_CATCH_UP: Final = 10  # ticks that are made up for at once; more are given up


class TickPacer:
    """Counts ticks of equal length against a clock that is given with each call.

    Deadlines are absolute: a late tick does not delay those after it. After a long stall only
    :data:`MAX_CATCH_UP` ticks are made up for; the rest is lost time, and counted.
    """

    def __init__(self, period: float, now: float) -> None:
        """Start the first tick one period from now.

        Args:
            period: Length of a tick, in [s].
            now: Monotonic time, in [s].
        """
        self._period = period
        self._asked_at, self._asked_ticks = now, 0
        self.deadline = now + period
        self.ticks = 0
        self.late = 0
        self.skipped = 0

    def due(self, now: float) -> int:
        """Return how many ticks to run now, 0 before the deadline.

        Args:
            now: Monotonic time, in [s].
        """
        if now < self.deadline:
            return 0
        count = 1 + int((now - self.deadline) / self._period)
        run = min(count, MAX_CATCH_UP)
        self.late += run - 1
        self.skipped += count - run
        self.ticks += run
        self.deadline += count * self._period
        return run

    def real_time_factor(self, now: float) -> float:
        """Return simulated over real time since the last call, or since the start."""
        elapsed, ticks = now - self._asked_at, self.ticks - self._asked_ticks
        self._asked_at, self._asked_ticks = now, self.ticks
        return ticks * self._period / elapsed if elapsed > 0.0 else 1.0
