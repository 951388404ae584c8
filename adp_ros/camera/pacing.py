"""Deliver stored pictures at the rate of a live camera."""

from .source import Clock


class Pacer:
    """Absolute deadlines one period apart; a late caller skips, it never catches up."""

    def __init__(self, period: float, clock: Clock) -> None:
        """Set the period in [s] and the clock; the first picture is due at once."""
        self._period = period
        self._clock = clock
        self._due: float | None = None

    def wait(self, timeout: float) -> bool:
        """Wait until the next picture is due.

        Args:
            timeout: Longest wait in [s].

        Returns:
            True when it is due, False when the time ran out before.
        """
        now = self._clock.monotonic()
        due = now if self._due is None else self._due
        if due - now > timeout:
            self._clock.sleep(timeout)
            return False
        if due > now:
            self._clock.sleep(due - now)
            now = self._clock.monotonic()
            if now < due:  # woken early: the process ends
                return False
        late = now - due
        self._due = due + self._period if late < self._period else now + self._period
        return True
