"""Settings of one rollout."""

from dataclasses import dataclass, field, replace
from typing import Final

from ..control import ControllerSettings
from ..errors import ConfigError
from ..settings import check_settings, setting
from ..sim.look import LEVEL_NAMES
from ..sim.placement import DISTRACTORS
from ..sim.settings import DriverConfig, SensorConfig
from ..sim.tasks import Task, find_task

_JOINTS: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutConfig:
    """What is run. The defaults are those of the nodes.

    Attributes:
        controller: All settings of the controller; ``execution`` and ``robot_type`` win over it.
        driver: How the emulated arm follows commands.
        sensors: Noise of its sensors.

    Raises:
        ConfigError: Names the setting, its value and what is allowed.
    """

    task: str = setting("wipe_table", "Name of the task.")
    seed: int = setting(0, "Seed of the scene and of the sensors' noise.", low=0)
    robot_type: str = setting("j2n6s300", "Kind of arm.", choices=("j2n6s300", "j2n6s200"))
    distractors: str = setting(
        "auto", "Whether another task's items share the table.", choices=DISTRACTORS
    )
    randomisation: str = setting(
        "default", "How much camera, light and colours differ.", choices=LEVEL_NAMES
    )
    latency: float = setting(
        0.1, "Simulated time from the request to the chunk's arrival.", unit="s", low=0.0, high=10.0
    )
    camera_delay: float = setting(
        0.03,
        "Time from a picture's stamp until somebody can have it: rendering and transport.",
        unit="s",
        low=0.0,
        high=1.0,
    )
    time_limit: float | None = setting(
        None,
        "Simulated time after which the episode ends; none: the task's.",
        unit="s",
        low=0.1,
        high=3600.0,
    )
    execution: str | None = setting(
        None,
        "How chunks are timed; none: as the controller's settings say.",
        choices=(None, "pipelined", "sync"),
    )
    success_hold: float = setting(
        0.2, "Time for which the task must stay done.", unit="s", low=0.0, high=10.0
    )
    start_offset: tuple[float, ...] = setting(
        (), "How far from home the joints start; empty: at home.", unit="rad", low=-0.5, high=0.5
    )
    controller: ControllerSettings = field(default_factory=ControllerSettings)
    driver: DriverConfig = field(default_factory=DriverConfig)
    sensors: SensorConfig = field(default_factory=SensorConfig)

    def __post_init__(self) -> None:
        check_settings(self)
        if len(self.start_offset) not in (0, _JOINTS):
            raise ConfigError(
                f"start_offset has {len(self.start_offset)} numbers, none or {_JOINTS} are needed"
            )

    @property
    def found_task(self) -> Task:
        """The task.

        Raises:
            ConfigError: There is none of that name.
        """
        return find_task(self.task)

    @property
    def limit(self) -> float:
        """Simulated time after which the episode ends, in [s]."""
        return self.found_task.time_limit if self.time_limit is None else self.time_limit

    def controller_settings(self) -> ControllerSettings:
        """Return the controller's settings for this arm and execution."""
        settings = self.controller
        chunk = settings.chunk
        if self.execution is not None:
            chunk = replace(chunk, execution=self.execution)
        return replace(settings, chunk=chunk, arm=replace(settings.arm, robot_type=self.robot_type))
