"""Settings of the monitors."""

from dataclasses import dataclass

import numpy as np

from ..errors import ConfigError
from ..settings import check_settings, setting
from ..types import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class TorqueConfig:
    """Levels of the residual torque: measured - gravity model - tare, per joint.

    The stop levels are what 9 to 20 N of vertical force at the tool cause, and at least 2.4 times
    what ramped free motion causes in the simulated arm.
    """

    stop: tuple[float, ...] = setting(
        (4.0, 6.0, 4.0, 2.0, 2.0, 1.5),
        "Residual torque per joint that stops the arm.",
        unit="N m",
        low=0.1,
        high=30.0,
        length=6,
    )
    slow_share: float = setting(
        0.6, "Share of the stop level from which the arm is slowed.", low=0.1, high=1.0
    )
    samples: int = setting(
        2, "Samples in a row over a level that count.", unit="samples", low=1, high=10
    )
    instant_factor: float = setting(
        2.0, "One sample over this many times the stop level is enough.", low=1.0, high=10.0
    )
    absolute: tuple[float, ...] = setting(
        (24.0, 24.0, 24.0, 5.4, 5.4, 5.4),
        "Measured torque per joint that stops the arm: 80 % of the actuators' peak.",
        unit="N m",
        low=0.1,
        high=100.0,
        length=6,
    )
    clear_time: float = setting(
        0.5,
        "Time below the slow level after which full speed is allowed again.",
        unit="s",
        low=0.0,
        high=10.0,
    )
    tare_time: float = setting(
        0.5,
        "Time at rest over which the offset of the sensors is averaged.",
        unit="s",
        low=0.1,
        high=5.0,
    )
    tare_share: float = setting(
        0.75,
        "Largest offset that is taken for the sensors', as a share of the stop level; more means "
        "that something pushes the arm or that its masses are wrong.",
        low=0.0,
        high=2.0,
    )
    grasp_mass: float = setting(
        0.3,
        "Largest mass of an object in the closed hand; its weight, as the posture lets the joints "
        "feel it, is no overload. For more, tare with the object lifted, or set payload_mass.",
        unit="kg",
        low=0.0,
        high=2.6,
    )
    still_angle: float = setting(
        0.005,
        "Joint motion during the tare time that still counts as rest.",
        unit="rad",
        low=0.0001,
        high=0.1,
    )

    def __post_init__(self) -> None:
        check_settings(self, "torque.")

    @property
    def stop_levels(self) -> FloatArray:
        """Shape (6,), in [N m]."""
        return np.array(self.stop, dtype=np.float64)

    @property
    def slow_levels(self) -> FloatArray:
        """Shape (6,), in [N m]."""
        return self.slow_share * self.stop_levels


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedConfig:
    """What counts as a living source of samples."""

    stale: float = setting(
        0.1,
        "Age of the newest sample from which it is stale; with two ticks to see and confirm it, "
        "and 30 ms for a busy machine, the arm is stopped within 150 ms.",
        unit="s",
        low=0.02,
        high=1.0,
    )
    frozen: float = setting(
        0.1,
        "Time without any change, while the arm is told to move, from which a sensor is dead.",
        unit="s",
        low=0.05,
        high=5.0,
    )
    frozen_rest: float = setting(
        1.0,
        "The same for the torque of an arm at rest, which is never free of noise; 0 turns it off.",
        unit="s",
        low=0.0,
        high=60.0,
    )

    def __post_init__(self) -> None:
        check_settings(self, "feed.")
        if 0.0 < self.frozen_rest < self.frozen:
            raise ConfigError(
                f"feed.frozen_rest is {self.frozen_rest:g}, allowed: 0 or at least feed.frozen, "
                f"{self.frozen:g}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchConfig:
    """When motion and command are said not to agree."""

    time: float = setting(
        0.5,
        "Time over which command and measured motion are compared.",
        unit="s",
        low=0.1,
        high=5.0,
    )
    commanded_speed: float = setting(
        0.03,
        "Commanded speed from which motion is expected; the arm may ignore less.",
        unit="m/s",
        low=0.005,
        high=0.2,
    )
    moved: float = setting(
        0.003, "Displacement that counts as motion.", unit="m", low=0.0002, high=0.1
    )

    def __post_init__(self) -> None:
        check_settings(self, "watch.")
