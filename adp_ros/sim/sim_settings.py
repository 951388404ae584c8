"""Settings of the simulated arm: its scene, the driver's emulation, the sensors' noise."""

from dataclasses import dataclass
from typing import Final

from ..settings import check_settings, setting
from .look import DISTRACTORS, LEVEL_NAMES

MAX_SEED: Final = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SimSettings:
    """What is simulated, and how often it is published."""

    task: str = setting("wipe_table", "Task whose scene is built")
    seed: int = setting(0, "Seed of the scene and of the sensors' noise", low=0, high=MAX_SEED)
    robot_type: str = setting(
        "j2n6s300", "Kinova's name of the arm", choices=("j2n6s300", "j2n6s200")
    )
    distractors: str = setting(
        "auto",
        "Whether another task's items share the table; auto: for half of the seeds",
        choices=DISTRACTORS,
    )
    randomisation: str = setting(
        "default",
        "How much camera, light and colours differ from seed to seed",
        choices=LEVEL_NAMES,
    )
    status_interval_seconds: float = setting(
        0.02,
        "Period of the driver's topics. The real driver's default is 0.1; on the arm set 0.02 to "
        "0.04, so that the torque stop sees contact early",
        unit="s",
        low=0.01,
        high=1.0,
    )
    state_interval_seconds: float = setting(
        0.02,
        "Period of /sim/state, read by the twin's camera and by the expert",
        unit="s",
        low=0.01,
        high=1.0,
    )

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverConfig:
    """How the emulated arm follows commands; the defaults are those of a well-tuned Jaco2."""

    angular_frame: str = setting(
        "tool", "Frame in which the angular velocity is read", choices=("tool", "base")
    )
    fifo_length: int = setting(
        2000, "Points of 10 ms that the base keeps", unit="points", low=1, high=100_000
    )
    linear_speed_cap: float = setting(
        0.20, "Largest linear tool speed", unit="m/s", low=0.01, high=0.5
    )
    angular_speed_cap: float = setting(
        1.07, "Largest angular tool speed", unit="rad/s", low=0.05, high=3.0
    )
    linear_acceleration: float = setting(
        0.64, "Largest linear acceleration", unit="m/s^2", low=0.05, high=10.0
    )
    angular_acceleration: float = setting(
        2.75, "Largest angular acceleration", unit="rad/s^2", low=0.1, high=50.0
    )
    joint_acceleration: float = setting(
        3.49, "Largest acceleration of joint speeds", unit="rad/s^2", low=0.1, high=50.0
    )
    linear_dead_zone: float = setting(
        0.0,
        "Linear speed below which the arm does not move; users report 0.02 to 0.03 on some arms",
        unit="m/s",
        low=0.0,
        high=0.1,
    )
    angular_dead_zone: float = setting(
        0.0,
        "Angular speed below which the arm does not turn; users report 0.1 to 0.2 on some arms",
        unit="rad/s",
        low=0.0,
        high=0.5,
    )
    speed_share: float = setting(
        1.0,
        "Share of the commanded speed that the arm reaches; users report 0.80 to 0.85",
        low=0.1,
        high=1.5,
    )
    finger_speed_cap: float = setting(
        5000.0, "Largest finger speed", unit="ticks/s", low=100.0, high=20_000.0
    )
    home_speed: float = setting(
        0.35, "Joint speed on the way home", unit="rad/s", low=0.05, high=0.6
    )

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorConfig:
    """Noise of the sensors. It is never 0 on a real arm: a constant signal is a dead one."""

    torque_noise: float = setting(
        0.02, "Standard deviation of the joint torques", unit="N m", low=0.0, high=5.0
    )
    joint_noise: float = setting(
        2e-5, "Standard deviation of the joint angles", unit="rad", low=0.0, high=0.1
    )
    pose_noise: float = setting(
        1e-5, "Standard deviation of the tool position", unit="m", low=0.0, high=0.1
    )

    speed_factor: float = setting(
        1.0,
        "Factor on joint speeds: 2 is firmware that does not halve what the driver doubles",
        low=0.1,
        high=4.0,
    )

    def __post_init__(self) -> None:
        check_settings(self)
