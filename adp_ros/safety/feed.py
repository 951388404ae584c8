"""One source of samples: is it alive, in order, finite and changing?"""

from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np

from ..types import FloatArray
from .config import FeedConfig

_REPEATS: Final = 3  # equal samples in a row before a sensor can be called frozen
_KEPT_FAULTS: Final = 8


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong.

    Attributes:
        cause: Stable short name, such as ``torque_stale``.
        message: The same in words, with numbers.
    """

    cause: str
    message: str


class FeedMonitor:
    """Judges the samples of one source.

    Args:
        name: Put before each cause: ``torque``, ``pose``, ``joints``.
        config: Limits.
    """

    def __init__(self, name: str, config: FeedConfig) -> None:
        self.name = name
        self._config = config
        self._faults: deque[Fault] = deque(maxlen=_KEPT_FAULTS)
        self._values: FloatArray | None = None
        self._arrival = 0.0
        self._stamp: float | None = None
        self._changed = 0.0
        self._repeats = 0
        self._stale_ticks = 0
        self.samples = 0

    @property
    def seen(self) -> bool:
        """True once a good sample has arrived."""
        return self._values is not None

    def age(self, now: float) -> float:
        """Return the age of the newest good sample in [s], infinite when there is none."""
        return now - self._arrival if self._values is not None else np.inf

    def take(
        self, values: FloatArray, arrival: float, stamp: float | None = None, delay: float = 0.0
    ) -> bool:
        """Take a sample.

        Args:
            values: Numbers of any shape.
            arrival: Time of arrival in [s].
            stamp: Time of measurement in [s] on the sender's clock; None without stamp.
            delay: Age of the stamp on arrival in [s].

        Returns:
            True when the sample may be used.
        """
        if not np.isfinite(values).all():
            self._note("nan", "has a value that is not a finite number")
            return False
        if stamp is not None and self._stamp is not None and stamp < self._stamp:
            late = 1e3 * (self._stamp - stamp)
            self._note("order", f"is out of order: its stamp is {late:.0f} ms before the last one")
            self._stamp = stamp  # after a jump of the clock, order is judged from here on
            return False
        if stamp is not None and (stamp == self._stamp or delay > self._config.stale):
            return False  # a repeated or old sample does not make the source fresh
        self._stamp = stamp
        self._keep(values, arrival)
        return True

    def poll(self, now: float) -> Fault | None:
        """Return what is wrong now; call once per tick.

        A source must be stale in two ticks in a row: when the whole process was held up, its
        samples wait in the queue and are taken before the second.
        """
        if self._faults:
            return self._faults.popleft()
        age = self.age(now)
        self._stale_ticks = self._stale_ticks + 1 if age > self._config.stale else 0
        if self._values is None:
            return Fault(f"{self.name}_missing", f"{self.name} has not been received")
        if self._stale_ticks > 1:
            limit = 1e3 * self._config.stale
            text = f"{self.name} is {1e3 * age:.0f} ms old, allowed: {limit:.0f} ms"
            return Fault(f"{self.name}_stale", text)
        return None

    def unchanged(self, now: float) -> float:
        """Return for how long the samples have been equal, in [s]; 0 while they are not."""
        return now - self._changed if self._repeats >= _REPEATS else 0.0

    def frozen(self, unchanged: float) -> Fault:
        """Make the fault of a dead sensor."""
        text = f"{self.name} has not changed for {1e3 * unchanged:.0f} ms"
        return Fault(f"{self.name}_frozen", text)

    def _keep(self, values: FloatArray, arrival: float) -> None:
        same = self._values is not None and np.array_equal(values, self._values)
        self._repeats = self._repeats + 1 if same else 0
        if not same:
            self._changed = arrival
        self._values, self._arrival = np.array(values), arrival
        self.samples += 1

    def _note(self, kind: str, text: str) -> None:
        self._faults.append(Fault(f"{self.name}_{kind}", f"{self.name} {text}"))
