"""Does the arm do what it is told? The driver ignores commands without saying so."""

from collections import deque

import numpy as np

from ..types import FloatArray
from .config import WatchConfig


class MotionWatch:
    """Compares commanded speed and measured displacement over a short time."""

    def __init__(self, config: WatchConfig) -> None:
        self._config = config
        self._past: deque[tuple[float, float, FloatArray]] = deque()

    def reset(self) -> None:
        """Forget the past, for instance while somebody else moves the arm."""
        self._past.clear()

    def take(self, now: float, speed: float, position: FloatArray) -> None:
        """Note one tick.

        Args:
            now: Time in [s].
            speed: Commanded linear speed in [m/s], 0 when nothing is sent.
            position: Measured tool position, shape (3,), in [m].
        """
        self._past.append((now, speed, np.array(position)))
        while now - self._past[0][0] > self._config.time:
            self._past.popleft()

    def verdict(self) -> str:
        """Return ``not_moving``, ``moving_uncommanded`` or an empty text.

        Only a full window counts in which the command was always, or never, meant to move.
        """
        if not self._past or self._span() < 0.9 * self._config.time:
            return ""
        speeds = [speed for _, speed, _ in self._past]
        start = self._past[0][2]
        moved = max(float(np.linalg.norm(p - start)) for _, _, p in self._past)
        if min(speeds) > self._config.commanded_speed and moved < self._config.moved:
            return "not_moving"
        if max(speeds) == 0.0 and moved > 2.0 * self._config.moved:
            return "moving_uncommanded"
        return ""

    def _span(self) -> float:
        return self._past[-1][0] - self._past[0][0]
