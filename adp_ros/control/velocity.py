"""From the policy's increments to tool velocities: path, feedback, speed and acceleration."""

from collections import deque
from dataclasses import dataclass
from math import sqrt
from typing import Final

import numpy as np

from ..geometry import increment_in_base, length, rotation_from_rotvec, rotvec_from_rotation
from ..settings import check_settings, setting
from ..types import ActionConvention, FloatArray, Pose, Twist


@dataclass(frozen=True, slots=True, kw_only=True)
class VelocityConfig:
    """Speeds, accelerations and path feedback.

    The arm's own limits are 0.20 m/s, 1.07 rad/s, 0.64 m/s^2 and 2.75 rad/s^2 (kinova-ros issues
    84 and 380).
    """

    max_linear_speed: float = setting(
        0.15, "Tool speed that is never exceeded.", unit="m/s", low=0.01, high=0.2
    )
    stopping_distance: float = setting(
        0.0252,
        "Path from the fault to standstill; the speed is capped so that it is kept.",
        unit="m",
        low=0.001,
        high=0.2,
    )
    reaction_time: float = setting(
        0.05, "Time from the fault to the start of braking.", unit="s", low=0.0, high=0.5
    )
    max_linear_acceleration: float = setting(
        0.64, "Largest change of the linear velocity.", unit="m/s^2", low=0.05, high=0.64
    )
    max_linear_jerk: float = setting(
        20.0, "Largest change of the linear acceleration.", unit="m/s^3", low=0.5, high=200.0
    )
    max_angular_speed: float = setting(
        0.3,
        "Tool turning speed that is never exceeded; above, the tool's tip drifts.",
        unit="rad/s",
        low=0.01,
        high=1.0,
    )
    max_angular_acceleration: float = setting(
        2.75, "Largest change of the angular velocity.", unit="rad/s^2", low=0.1, high=2.75
    )
    max_angular_jerk: float = setting(
        80.0, "Largest change of the angular acceleration.", unit="rad/s^3", low=1.0, high=800.0
    )
    feedback_gain: float = setting(
        4.0,
        "Velocity per distance between the planned and the measured pose; makes up for the 15 to "
        "20 % that the driver falls short.",
        unit="1/s",
        low=0.0,
        high=5.0,
    )
    max_lead: float = setting(
        0.03,
        "The plan runs ahead of the measured position by no more than this.",
        unit="m",
        low=0.002,
        high=0.1,
    )
    max_lead_angle: float = setting(
        0.15, "The same for the orientation.", unit="rad", low=0.01, high=0.5
    )
    slow_share: float = setting(
        0.3,
        "Share of the speed that is left while the residual torque is over the slow level.",
        low=0.05,
        high=1.0,
    )

    slowdown: str = setting(
        "clock",
        "What slows down before a limit, or while the residual torque is over the slow level: "
        "clock: the chunk's time, so that the tool stays on the policy's path; "
        "clamp: the velocity alone, so that the path is cut short.",
        choices=("clock", "clamp"),
    )
    slowest_clock: float = setting(
        0.2,
        "Rate below which the clock can't help: a limit that needs less clamps the velocity while "
        "the chunk goes on, so that an arm at a border never waits for ever.",
        low=0.05,
        high=1.0,
    )

    def __post_init__(self) -> None:
        check_settings(self, "velocity.")

    @property
    def linear_speed_cap(self) -> float:
        """Speed from which the arm comes to rest within the stopping distance, in [m/s].

        Solves v t + v^2 / (2 a) = d for the reaction time t, deceleration a and distance d.
        """
        a, t, d = self.max_linear_acceleration, self.reaction_time, self.stopping_distance
        return min(self.max_linear_speed, a * (sqrt(t * t + 2.0 * d / a) - t))


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
        """Continue from a velocity that was reduced, shape (3,)."""
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
        """Continue from a velocity that was reduced."""
        self._linear.cut(twist.linear)
        self._angular.cut(twist.angular)


_HISTORY: Final = 100  # ticks of the plan that are kept, 1 s
_ROUNDING: Final = 1e-6  # [s]


def limited_increment(
    action: FloatArray,
    rotation: FloatArray,
    convention: ActionConvention,
    period: float,
    config: VelocityConfig,
) -> tuple[Twist, bool]:
    """Turn an action into the velocity that executes it within one step.

    Translation and rotation are scaled by one factor when either is too fast, so that the tool
    keeps to the planned direction.

    Args:
        action: Shape (7,), see :class:`adp_ros.types.Chunk`.
        rotation: Orientation that the increment starts from, shape (3, 3).
        convention: Frames and rotation order of the increment.
        period: Duration of the step, in [s].
        config: Speed limits.

    Returns:
        Velocity in the base frame, and whether it had to be scaled.
    """
    translation, turn = increment_in_base(action, rotation, convention)
    linear, angular = translation / period, turn / period
    share = min(
        1.0,
        config.linear_speed_cap / max(float(np.linalg.norm(linear)), 1e-12),
        config.max_angular_speed / max(float(np.linalg.norm(angular)), 1e-12),
    )
    return Twist(linear * share, angular * share), share < 1.0


class PathFollower:
    """Pose that the tool should have now, and the velocity that brings it there.

    The path starts at the measured pose when motion starts, and is then moved by the velocities
    that were planned, whether the arm kept up or not: what the driver falls short of is made up.
    """

    def __init__(self, config: VelocityConfig) -> None:
        self._config = config
        self._pose: Pose | None = None
        self._past: deque[tuple[float, Pose]] = deque(maxlen=_HISTORY)

    @property
    def pose(self) -> Pose | None:
        """Planned pose, None while nothing is planned."""
        return self._pose

    def forget(self) -> None:
        """Drop the path; the next one starts at the measured pose."""
        self._pose = None
        self._past.clear()

    def start(self, measured: Pose, now: float) -> Pose:
        """Begin a path at the measured pose unless there is one; return the planned pose."""
        if self._pose is None:
            self._pose = measured
            self._past.append((now, measured))
        return self._pose

    def advance(self, planned: Twist, period: float, now: float) -> None:
        """Move the planned pose by a velocity.

        Args:
            planned: In the base frame, within all limits.
            period: Time that it lasted, in [s].
            now: End of that time, in [s].
        """
        if self._pose is None:
            raise RuntimeError("the path has not been started")
        turn = rotation_from_rotvec(planned.angular * period)
        self._pose = Pose(self._pose.position + planned.linear * period, turn @ self._pose.rotation)
        self._past.append((now, self._pose))

    def feedback(self, measured: Pose, measured_at: float) -> Twist:
        """Return the velocity that leads the tool back to the path.

        The measurement is compared with the plan of the same time. A plan that has run ahead by
        more than the lead allowed is pulled back first.

        Args:
            measured: Measured tool pose.
            measured_at: When it was measured, in [s].
        """
        if self._pose is None:
            return Twist.zero()
        self._pull_back(measured)
        planned = self._planned_at(measured_at)
        position = scaled_to(planned.position - measured.position, self._config.max_lead)
        turn = scaled_to(
            rotvec_from_rotation(planned.rotation @ measured.rotation.T),
            self._config.max_lead_angle,
        )
        gain = self._config.feedback_gain
        return Twist(gain * position, gain * turn)

    def _planned_at(self, time: float) -> Pose:
        for at, pose in reversed(self._past):
            if at <= time + _ROUNDING:
                return pose
        return self._past[0][1]

    def _pull_back(self, measured: Pose) -> None:
        """Keep the plan within reach, for instance while the arm does not move at all."""
        if self._pose is None:
            return
        ahead = self._pose.position - measured.position
        turned = rotvec_from_rotation(self._pose.rotation @ measured.rotation.T)
        near = scaled_to(ahead, self._config.max_lead)
        near_turn = scaled_to(turned, self._config.max_lead_angle)
        if near is ahead and near_turn is turned:
            return
        rotation = rotation_from_rotvec(near_turn) @ measured.rotation
        self._pose = Pose(measured.position + near, rotation)
        self._past.append((self._past[-1][0], self._pose))
