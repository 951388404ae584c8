"""A small way up after an overload, so that an arm that pressed on something lets go of it.

Off unless asked for: it is the only motion that a stopped arm ever makes.
"""

from typing import Final

import numpy as np

from ..envelope import Envelope, Place
from ..types import FloatArray, Twist
from ..velocity import TwistRamp, VelocityConfig
from .settings import StopConfig

_SLACK: Final = 0.5  # [s] longer than the way takes at its speed: ramps


class Retreat:
    """Progress of one retreat. Times are in [s].

    Args:
        config: How far and how fast.
        velocity: Limits of acceleration and jerk.
        envelope: Limits on where the arm may go.
    """

    def __init__(self, config: StopConfig, velocity: VelocityConfig, envelope: Envelope) -> None:
        self._config = config
        self._envelope = envelope
        self._ramp = TwistRamp(velocity, 1.0)
        self._begins_at: float | None = None
        self._start: FloatArray | None = None
        self._load = np.inf

    @property
    def duration(self) -> float:
        """Longest time that a retreat takes, in [s]; 0 when it is off."""
        if self._config.retreat_distance == 0.0:
            return 0.0
        return self._config.retreat_distance / self._config.retreat_speed + _SLACK

    @property
    def pending(self) -> bool:
        """True from a stop that asks for a retreat until its end."""
        return self._begins_at is not None

    def begin(self, now: float) -> None:
        """Plan a retreat for when the arm has come to rest; does nothing when it is off."""
        self.cancel()
        if self.duration > 0.0:
            self._begins_at = now + self._config.zero_time

    def cancel(self) -> None:
        """Stand still: somebody called stop, or feedback cannot be trusted."""
        self._begins_at = self._start = None
        self._load = np.inf
        self._ramp.reset()

    def twist(self, now: float, period: float, place: Place, load: float) -> Twist:
        """Return the velocity of this tick; zero before, after and without a retreat.

        Args:
            now: Time in [s].
            period: Time since the last tick in [s].
            place: Measured posture.
            load: Largest residual torque as a share of its stop level; when it grows beyond what
                it was, the retreat ends.
        """
        if self._begins_at is None or now < self._begins_at:
            return Twist.zero()
        if self._start is None:
            self._start, self._load = place.pose.position, max(load, 1.0)
        height = float(place.pose.position[2] - self._start[2])
        over = now - self._begins_at > self.duration
        if over or height >= self._config.retreat_distance or load > 1.2 * self._load:
            self.cancel()
            return Twist.zero()
        up = Twist(np.array([0.0, 0.0, self._config.retreat_speed]), np.zeros(3))
        limited = self._envelope.limit(self._ramp.follow(up, period), place)
        self._ramp.cut(limited.twist)
        return limited.twist
