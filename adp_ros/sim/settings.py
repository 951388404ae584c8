"""Settings of the simulated arm's node that are not the driver's or the sensors' own."""

from dataclasses import dataclass

from ..settings import check_settings, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class SimSettings:
    """What is simulated, and how often it is published."""

    task: str = setting("wipe_table", "Task whose scene is built")
    seed: int = setting(0, "Seed of the scene and of the sensors' noise", low=0, high=2**31 - 1)
    robot_type: str = setting(
        "j2n6s300", "Kinova's name of the arm", choices=("j2n6s300", "j2n6s200")
    )
    status_interval_seconds: float = setting(
        0.02,
        "Period of the driver's topics; the real driver's default is 0.1",
        unit="s",
        low=0.01,
        high=1.0,
    )
    state_interval_seconds: float = setting(
        0.02, "Period of /sim/state", unit="s", low=0.01, high=1.0
    )

    def __post_init__(self) -> None:
        check_settings(self)
