"""What follows a stop: zeros, perhaps a retreat, and the driver's stop service until it answers.

Off unless asked for: it is the only motion that a stopped arm ever makes.
"""

from typing import Final

import numpy as np

from ..types import FloatArray, Twist
from .controller_settings import StopConfig
from .envelope import Envelope
from .place import Place
from .safety_machine import Status
from .supervisor import Supervisor
from .velocity import TwistRamp, VelocityConfig


class StopSequence:
    """Progress of one stop: zeros, and the driver's stop service in the same tick. Times in [s]."""

    def __init__(self, config: StopConfig) -> None:
        self._config = config
        self._begun: float | None = None
        self._asks_at = 0.0
        self._asked: float | None = None
        self.number = 0
        self.answered = False
        self.attempts = 0

    def begin(self, now: float, wait: float = 0.0) -> None:
        """Start with zeros.

        Args:
            now: Time in [s].
            wait: Time in [s] before the driver's stop is called: it would end a retreat.
        """
        self.number += 1
        self._begun, self._asked, self.answered, self.attempts = now, None, False, 0
        self._asks_at = now + wait

    def end(self) -> None:
        """Nothing more is to be done: the latch was cleared."""
        self._begun = None

    def confirm(self, number: int) -> None:
        """Note that the driver has stopped; an answer to an earlier stop counts for nothing."""
        self.answered = self.answered or number == self.number

    def sends_zero(self, now: float) -> bool:
        """Tell whether zero velocity is to be sent now."""
        return self._begun is not None and (
            not self.answered or now - self._begun < self._config.zero_time
        )

    def asks_driver(self, now: float) -> int:
        """Return, once per attempt, the number of the stop that the driver is to be told of now.

        0 when it is not to be asked.
        """
        if self._begun is None or self.answered or now < self._asks_at:
            return 0
        if self._asked is not None and now - self._asked < self._config.retry_time:
            return 0
        self._asked = now
        self.attempts += 1
        return self.number

    def clears_driver(self, now: float) -> bool:
        """Tell, in the first tick, that the driver's queue is to be erased ahead of its stop."""
        return self._begun == now and self._asks_at > now


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


class AfterStop:
    """Follows the stops of the state machine. Times are in [s].

    Args:
        config: What happens after a stop.
        velocity: Limits of acceleration and jerk of a retreat.
        envelope: Limits on where a retreat may go.
        supervisor: Whose stops are followed.
    """

    def __init__(
        self,
        config: StopConfig,
        velocity: VelocityConfig,
        envelope: Envelope,
        supervisor: Supervisor,
    ) -> None:
        self.sequence = StopSequence(config)
        self.retreat = Retreat(config, velocity, envelope)
        self._envelope = envelope
        self._supervisor = supervisor
        self._zero_time = config.zero_time
        self._stops = 0

    def note(self, now: float, *, homing: bool) -> bool:
        """Look for a new stop; call once per tick.

        Args:
            now: Time in [s].
            homing: True when the arm was on its way home.

        Returns:
            True when the arm has been stopped since the last call.
        """
        machine = self._supervisor.machine
        if machine.stops != self._stops:
            self._stops = machine.stops
            retreats = self._supervisor.stopped_by_torque and not homing
            if retreats:
                self.retreat.begin(now)
            wait = self._zero_time + self.retreat.duration if self.retreat.pending else 0.0
            self.sequence.begin(now, wait)
            return True
        if machine.status is not Status.STOPPED:
            self.sequence.end()
        return False

    def twist(self, now: float, period: float) -> Twist:
        """Return the velocity of this tick: zero, unless the arm retreats.

        Args:
            now: Time in [s].
            period: Time since the last tick in [s].
        """
        if not self.retreat.pending:
            return Twist.zero()
        supervisor, feedback = self._supervisor, self._supervisor.feedback
        if supervisor.untrusted or feedback.pose is None or feedback.joints is None:
            self.retreat.cancel()
            return Twist.zero()
        place = self._envelope.place(feedback.joints, feedback.pose, feedback.opening)
        return self.retreat.twist(now, period, place, supervisor.torque.load)
