"""Settings of the motion itself."""

from dataclasses import dataclass
from math import sqrt

from ..settings import check_settings, setting


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

    def __post_init__(self) -> None:
        check_settings(self, "velocity.")

    @property
    def linear_speed_cap(self) -> float:
        """Speed from which the arm comes to rest within the stopping distance, in [m/s].

        Solves v t + v^2 / (2 a) = d for the reaction time t, deceleration a and distance d.
        """
        a, t, d = self.max_linear_acceleration, self.reaction_time, self.stopping_distance
        return min(self.max_linear_speed, a * (sqrt(t * t + 2.0 * d / a) - t))
