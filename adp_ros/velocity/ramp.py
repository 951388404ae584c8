"""Acceleration and jerk limits on a vector."""

from math import sqrt
from typing import Final

import numpy as np

from ..geometry import length
from ..types import FloatArray, Twist
from .config import VelocityConfig

_TINY: Final = 1e-9


def scaled_to(vector: FloatArray, limit: float) -> FloatArray:
    """Shorten a vector to a length, keeping its direction. Shape (n,)."""
    size = length(vector)
    return vector * (limit / size) if size > limit else vector


class Ramp:
    """Velocity that follows a target with limited acceleration and jerk.

    Args:
        acceleration: Largest change of the velocity, in [unit/s^2].
        jerk: Largest change of the acceleration, in [unit/s^3].
    """

    def __init__(self, acceleration: float, jerk: float) -> None:
        self._acceleration_limit = acceleration
        self._jerk = jerk
        self.reset()

    def reset(self) -> None:
        """Stand still from now on."""
        self.velocity: FloatArray = np.zeros(3)
        self._acceleration: FloatArray = np.zeros(3)

    def follow(self, target: FloatArray, period: float) -> FloatArray:
        """Move the velocity towards a target.

        The acceleration falls off as the target comes near, so that it is zero on arrival.

        Args:
            target: Shape (3,), in [unit/s].
            period: Time since the last call, in [s].

        Returns:
            The velocity, shape (3,), in [unit/s].
        """
        gap = target - self.velocity
        distance = length(gap)
        if distance < _TINY and length(self._acceleration) <= self._jerk * period:
            self.velocity, self._acceleration = np.array(target), np.zeros(3)
            return self.velocity
        # Largest acceleration a that still can fall to zero: a period + a^2 / (2 jerk) = distance.
        arriving = self._jerk * (sqrt(period**2 + 2.0 * distance / self._jerk) - period)
        size = min(self._acceleration_limit, arriving)
        wanted = gap * (size / max(distance, _TINY))
        change = scaled_to(wanted - self._acceleration, self._jerk * period)
        self._acceleration = scaled_to(self._acceleration + change, self._acceleration_limit)
        self.velocity = self.velocity + self._acceleration * period
        return self.velocity

    def cut(self, velocity: FloatArray) -> None:
        """Continue from a velocity that somebody reduced, shape (3,)."""
        if not np.array_equal(velocity, self.velocity):
            self.velocity, self._acceleration = np.array(velocity), np.zeros(3)


class TwistRamp:
    """Tool velocity with limited acceleration and jerk.

    Args:
        config: The limits.
        share: Share of the limits that is used.
    """

    def __init__(self, config: VelocityConfig, share: float) -> None:
        self._linear = Ramp(share * config.max_linear_acceleration, share * config.max_linear_jerk)
        self._angular = Ramp(
            share * config.max_angular_acceleration, share * config.max_angular_jerk
        )

    @property
    def moving(self) -> bool:
        """True until the velocity is zero."""
        return bool(self._linear.velocity.any() or self._angular.velocity.any())

    def reset(self) -> None:
        """Stand still from now on."""
        self._linear.reset()
        self._angular.reset()

    def follow(self, target: Twist, period: float) -> Twist:
        """Move the velocity towards a target; ``period`` is the time since the last call, [s]."""
        return Twist(
            self._linear.follow(target.linear, period),
            self._angular.follow(target.angular, period),
        )

    def cut(self, twist: Twist) -> None:
        """Continue from a velocity that somebody reduced."""
        self._linear.cut(twist.linear)
        self._angular.cut(twist.angular)
