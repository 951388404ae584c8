"""When to ask the policy for the next chunk, and how long it usually takes."""

from ..latency import LatencySummary, RollingPercentiles
from .config import ChunkConfig


class RequestClock:
    """One request at a time: sent, answered or repeated.

    The lead is the 95th percentile of the last latencies plus one step, and at least the setting
    ``min_lead``, so that the next chunk is there before the current one ends. Window 0 teaches
    nothing: its wait holds that for the first picture and for the policy's warm-up.
    """

    def __init__(self, config: ChunkConfig) -> None:
        self._config = config
        self._latency = RollingPercentiles()
        self._usual = config.initial_latency  # [s]
        self.restart()

    def restart(self) -> None:
        """Start an episode: the next request is for window 0. What was learnt stays."""
        self.next_window = 0
        self.repeated = 0
        self._sent: float | None = None
        self._first_sent = 0.0

    @property
    def pending(self) -> bool:
        """True while a request is unanswered."""
        return self._sent is not None

    @property
    def lead(self) -> float:
        """Time before the end of a chunk at which the next one is requested, in [s]."""
        return max(self._usual + self._config.step_period, self._config.min_lead)

    def summary(self) -> LatencySummary:
        """Return the statistics from request to chunk, window 0 left out, in [s]."""
        return self._latency.summary()

    def poll(self, now: float, remaining: float) -> int | None:
        """Decide whether a request is due.

        Args:
            now: Time in [s].
            remaining: Time until the planned actions end, in [s].

        Returns:
            Number of the window to ask for, or None.
        """
        if self._sent is not None:
            if now - self._sent < self._config.request_timeout:
                return None
            self.repeated += 1
        elif remaining > (self.lead if self._config.execution == "pipelined" else 0.0):
            return None
        else:
            self._first_sent = now
        self._sent = now
        return self.next_window

    def answered(self, now: float) -> None:
        """Note that the chunk asked for has arrived and is usable."""
        if self.next_window > 0:
            self._latency.add(now - self._first_sent)
            self._usual = self._latency.percentile(95)
        self._sent = None
        self.next_window += 1

    def refused(self) -> None:
        """Note that the answer is unusable; the same window is asked for again."""
        self._sent = None
