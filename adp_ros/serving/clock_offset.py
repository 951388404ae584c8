"""How far another machine's clock is from ours, from the times of questions and answers."""

from collections import deque
from typing import Final

_REMEMBERED: Final = 64  # exchanges


class ClockOffset:
    """Offset from the fastest of the last exchanges, as NTP takes it (RFC 5905, section 8).

    Its error is at most half of that exchange's time on the network.
    """

    def __init__(self) -> None:
        """Start without exchanges."""
        self._exchanges: deque[tuple[float, float]] = deque(maxlen=_REMEMBERED)

    def add(self, sent: float, received: float, answered: float, came: float) -> None:
        """Take an exchange.

        Args:
            sent: When the question left, on our clock in [s].
            received: When it came, on theirs.
            answered: When the answer left, on theirs.
            came: When it came, on ours.
        """
        network = (came - sent) - (answered - received)
        offset = 0.5 * ((received - sent) + (answered - came))
        self._exchanges.append((network, offset))

    @property
    def seconds(self) -> float:
        """Their clock less ours; 0 before the first exchange."""
        return min(self._exchanges)[1] if self._exchanges else 0.0

    @property
    def error(self) -> float:
        """Bound of the error in [s]; infinite before the first exchange."""
        return 0.5 * min(self._exchanges)[0] if self._exchanges else float("inf")
