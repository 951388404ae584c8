"""One tick of motion: plan, path feedback, ramps, envelope."""

from dataclasses import dataclass

import numpy as np

from ..chunk import StepAction
from ..envelope import Envelope, Place
from ..types import Pose, Twist
from ..velocity import PathFollower, Ramp, VelocityConfig, limited_increment, scaled_to


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
        self._linear = Ramp(config.max_linear_acceleration, config.max_linear_jerk)
        self._angular = Ramp(config.max_angular_acceleration, config.max_angular_jerk)
        self._action: StepAction | None = None
        self._planned = Twist.zero()
        self._too_fast = False
        self.reasons: tuple[str, ...] = ()

    @property
    def planned_pose(self) -> Pose | None:
        """Pose that the path has reached, None while nothing is planned."""
        return self._path.pose

    def halt(self) -> None:
        """Stand still from this instant; the path is forgotten."""
        self._path.forget()
        self._linear.reset()
        self._angular.reset()
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
        target = Twist.zero()
        if action is None:
            self._path.forget()
            self._action = None
        else:
            target = self._follow(action, moment, reasons)
        ramped = Twist(
            self._linear.follow(target.linear, moment.period),
            self._angular.follow(target.angular, moment.period),
        )
        limited = self._envelope.limit(ramped, moment.place)
        self._linear.cut(limited.twist.linear)
        self._angular.cut(limited.twist.angular)
        self.reasons = tuple(dict.fromkeys([*reasons, *limited.reasons]))
        return limited.twist

    def _follow(self, action: StepAction, moment: Moment, reasons: list[str]) -> Twist:
        pose = moment.place.pose
        planned_pose = self._path.start(pose, moment.now)
        if action is not self._action:
            self._action = action
            self._planned, self._too_fast = limited_increment(
                action.action,
                planned_pose.rotation,
                action.convention,
                self._step_period,
                self._config,
            )
        if self._too_fast:
            reasons.append("speed")
        share = self._config.slow_share if moment.slowed else 1.0
        limited = self._envelope.limit(_scaled(self._planned, share), moment.place)
        reasons += limited.reasons
        back = self._path.feedback(pose, moment.pose_at)
        self._path.advance(limited.twist, moment.period, moment.now + moment.period)
        return Twist(
            scaled_to(limited.twist.linear + back.linear, share * self._config.linear_speed_cap),
            scaled_to(limited.twist.angular + back.angular, share * self._config.max_angular_speed),
        )


def _scaled(twist: Twist, share: float) -> Twist:
    return Twist(np.asarray(twist.linear * share), np.asarray(twist.angular * share))
