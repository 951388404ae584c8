"""Pace of the stream: absolute deadlines, never a burst, and counts of what went wrong."""

from ..health import LatencySummary, RollingPercentiles
from .controller_settings import StreamConfig

_STATISTICS = 1000  # periods that the percentiles look back on, 10 s


class Pacer:
    """Deadlines of one loop. Times are in [s]; waiting is the caller's business.

    Each deadline is one period after the last deadline, not after the last wake-up, so that the
    rate does not drift. After a late message the next ones keep the minimum gap until the lost
    time is caught up; periods that passed altogether are never made up for.

    What is counted is what the driver sees: the gaps between messages. A deadline that is dropped
    while the stream catches up in gaps that are right is no hole in it.
    """

    def __init__(self, config: StreamConfig, now: float) -> None:
        self._config = config
        self.deadline = now
        self.delivered = 0
        self.late = 0
        self.skipped = 0
        self._error = RollingPercentiles(_STATISTICS)
        self._last: float | None = None

    @property
    def on_time_share(self) -> float:
        """Share of the messages due that came after the right gap, 1 before there is one."""
        due = self.delivered + self.skipped
        return 1.0 - (self.late + self.skipped) / due if due else 1.0

    def summary(self) -> LatencySummary:
        """Return the statistics of the deviation from the period, in [s]."""
        return self._error.summary()

    def note(self, now: float, *, sent: bool) -> None:
        """End a tick: count its message and set the next deadline.

        Args:
            now: Time at which the message was sent, or the tick ended without one.
            sent: False when this tick sent nothing; the next message starts a new stretch.
        """
        self._advance(now)
        if sent:
            self.delivered += 1
            if self._last is not None:
                self._judge(now - self._last)
        self._last = now if sent else None

    def wait(self, now: float) -> float:
        """Return the time in [s] to the next tick: its deadline, and the minimum gap kept."""
        due = self.deadline
        if self._last is not None:
            due = max(due, self._last + self._config.minimum_gap)
        return max(0.0, due - now)

    def _advance(self, now: float) -> None:
        """Set the next deadline; those that a tick missed by a whole period are dropped."""
        period = self._config.period
        self.deadline += period
        self.deadline += max(0, int((now - self.deadline) / period)) * period

    def _judge(self, gap: float) -> None:
        error = abs(gap - self._config.period)
        self._error.add(error)
        self.late += error >= self._config.on_time
        self.skipped += max(0, int(gap / self._config.period) - 1)
