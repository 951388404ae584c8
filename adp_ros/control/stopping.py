"""What follows a stop: zeros at once, then the driver's stop service, asked until it answers."""

from .settings import StopConfig


class StopSequence:
    """Progress of one stop. Times are in [s]."""

    def __init__(self, config: StopConfig) -> None:
        self._config = config
        self._begun: float | None = None
        self._asks_at = 0.0
        self._asked: float | None = None
        self.answered = False
        self.attempts = 0

    def begin(self, now: float, *, at_once: bool = False, longer: float = 0.0) -> None:
        """Start with zeros.

        Args:
            now: Time in [s].
            at_once: True to ask the driver without delay: it moves the arm by itself and zero
                velocity does not hold it up.
            longer: Time in [s] by which the driver is asked later than the zero time.
        """
        self._begun, self._asked, self.answered, self.attempts = now, None, False, 0
        self._asks_at = now if at_once else now + self._config.zero_time + longer

    def end(self) -> None:
        """Nothing more is to be done: the latch was cleared."""
        self._begun = None

    def confirm(self) -> None:
        """Note that the driver has stopped."""
        self.answered = True

    def sends_zero(self, now: float) -> bool:
        """Tell whether zero velocity is to be sent now."""
        return self._begun is not None and (
            not self.answered or now - self._begun < self._config.zero_time
        )

    def asks_driver(self, now: float) -> bool:
        """Tell, once per attempt, that the driver's stop service is to be called now."""
        if self._begun is None or self.answered or now < self._asks_at:
            return False
        if self._asked is not None and now - self._asked < self._config.retry_time:
            return False
        self._asked = now
        self.attempts += 1
        return True
