"""One tick of motion: plan, path feedback, ramps, envelope."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from ..chunk import StepAction
from ..envelope import Envelope, Place
from ..types import Twist
from ..velocity import PathFollower, TwistRamp, VelocityConfig, limited_increment, scaled_to

_PLANNED_SHARE: Final = 0.8  # of acceleration and jerk; the rest is left for the feedback


@dataclass(frozen=True, slots=True)
class Moment:
    """Circumstances of one tick.

    Attributes:
        now: Time in [s].
        period: Time since the last tick in [s].
        place: Measured posture.
        pose_at: When its pose was measured, in [s].
        slowed: True to move at the reduced speed.
    """

    now: float
    period: float
    place: Place
    pose_at: float
    slowed: bool = False


class Motion:
    """Turns the action of the step into the velocity of the tick.

    The planned velocity is ramped and moves the path; feedback leads the tool to the path; their
    sum is ramped once more, so that a jump of the measurement is none of the command.

    Args:
        config: Speeds and accelerations.
        envelope: Limits on where the arm may go.
        step_period: Duration of a policy step in [s].
    """

    def __init__(self, config: VelocityConfig, envelope: Envelope, step_period: float) -> None:
        self._config = config
        self._envelope = envelope
        self._step_period = step_period
        self._path = PathFollower(config)
        self._planned_ramp = TwistRamp(config, _PLANNED_SHARE)
        self._sent_ramp = TwistRamp(config, 1.0)
        self._action: StepAction | None = None
        self._planned = Twist.zero()
        self._too_fast = False
        self.reasons: tuple[str, ...] = ()

    def halt(self) -> None:
        """Stand still from this instant; the path is forgotten."""
        self._path.forget()
        self._planned_ramp.reset()
        self._sent_ramp.reset()
        self._action = None
        self.reasons = ()

    def tick(self, action: StepAction | None, moment: Moment) -> Twist:
        """Return the velocity to send.

        Args:
            action: Action of the step, None to come to rest.
            moment: Circumstances.

        Returns:
            Tool velocity in the base frame, within all limits.
        """
        reasons: list[str] = []
        self._take(action, moment, reasons)
        target = Twist.zero()
        if self._path.pose is not None:
            target = self._follow(moment, reasons)
        if action is None and not self._planned_ramp.moving:
            self._path.forget()
        ramped = self._capped(self._sent_ramp.follow(target, moment.period))  # turning overshoots
        limited = self._envelope.limit(ramped, moment.place)
        self._sent_ramp.cut(limited.twist)
        self.reasons = tuple(dict.fromkeys([*reasons, *limited.reasons]))
        return limited.twist

    def _take(self, action: StepAction | None, moment: Moment, reasons: list[str]) -> None:
        """Plan the velocity of the step that begins; without action plan to stand still."""
        if action is None:
            self._planned, self._too_fast = Twist.zero(), False
        elif action is not self._action:
            start = self._path.start(moment.place.pose, moment.now)
            self._planned, self._too_fast = limited_increment(
                action.action, start.rotation, action.convention, self._step_period, self._config
            )
        self._action = action
        if self._too_fast:
            reasons.append("speed")

    def _follow(self, moment: Moment, reasons: list[str]) -> Twist:
        """Move the path by the ramped plan; return the velocity that keeps the tool on it."""
        share = self._config.slow_share if moment.slowed else 1.0
        ramped = self._planned_ramp.follow(_scaled(self._planned, share), moment.period)
        limited = self._envelope.limit(ramped, moment.place)
        self._planned_ramp.cut(limited.twist)
        reasons += limited.reasons
        back = self._path.feedback(moment.place.pose, moment.pose_at)
        self._path.advance(limited.twist, moment.period, moment.now + moment.period)
        planned = limited.twist
        wanted = Twist(planned.linear + back.linear, planned.angular + back.angular)
        return self._capped(wanted, share)

    def _capped(self, twist: Twist, share: float = 1.0) -> Twist:
        return Twist(
            scaled_to(twist.linear, share * self._config.linear_speed_cap),
            scaled_to(twist.angular, share * self._config.max_angular_speed),
        )


def _scaled(twist: Twist, share: float) -> Twist:
    return Twist(np.asarray(twist.linear * share), np.asarray(twist.angular * share))
