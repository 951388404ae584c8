"""The driver's way home: a pause, a straight way in joint space, then open fingers."""

from typing import ClassVar, Final

import numpy as np

from ..kinematics import ArmModel
from ..types import FloatArray

_PAUSE_TICKS: Final = 100  # the driver stops, waits 1 s and starts again before it moves
_GAIN: Final = 2.0  # [1/s]
_OPENING_SPEED: Final = -5000.0  # [ticks/s]
_OPEN: Final = 60.0  # [ticks]


class Homing:
    """One run home; ask :meth:`speeds` every 10 ms until ``done``."""

    TOLERANCE: ClassVar[float] = 0.005  # [rad] ends the way
    NEAR: ClassVar[float] = 0.02  # [rad] an arm this close is home already

    def __init__(self, arm: ArmModel, speed: float) -> None:
        self._arm = arm
        self._speed = speed
        self._pause = _PAUSE_TICKS
        self._arrived = False
        self.done = False

    def speeds(self, joints: FloatArray, fingers: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the speeds of this tick.

        Args:
            joints: Joint angles, shape (6,), in [rad].
            fingers: Finger positions, shape (n,), in [ticks].

        Returns:
            Joint speeds, shape (6,), in [rad/s]; finger speeds, shape (3,), in [ticks/s].
        """
        if self._pause > 0:
            self._pause -= 1
            return np.zeros(6), np.zeros(3)
        way = way_home(self._arm, joints)
        farthest = float(np.max(np.abs(way)))
        self._arrived = self._arrived or farthest < self.TOLERANCE
        if not self._arrived:
            return way * min(_GAIN, self._speed / farthest), np.zeros(3)
        self.done = bool(np.all(fingers < _OPEN))
        return np.zeros(6), np.full(3, _OPENING_SPEED)


def way_home(arm: ArmModel, joints: FloatArray) -> FloatArray:
    """Return how far each joint is from home, shape (6,), in [rad].

    A joint without limits takes the shorter way round.
    """
    way = arm.home - joints
    turns = np.isinf(arm.lower)
    return np.where(turns, np.remainder(way + np.pi, 2.0 * np.pi) - np.pi, way)
