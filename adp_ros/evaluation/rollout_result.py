"""What a rollout is given, what may be seen of it, and what came of it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final, Protocol

from ..control.chunk_buffer import ChunkCounters
from ..control.controller_settings import ControllerSettings
from ..control.safety_machine import SafetyEvent
from ..errors import ConfigError
from ..policies.conventions import ArmState
from ..policies.window import MeasuredMotion, Window
from ..settings import check_settings, setting
from ..sim.look import DISTRACTORS, LEVEL_NAMES
from ..sim.sim_settings import DriverConfig, SensorConfig
from ..sim.task import SceneConfig
from ..sim.tasks import find_task
from ..sim.twin import TwinTruth
from ..types import Rgb

Draw = Callable[[TwinTruth], Rgb]
"""True state -> picture."""


@dataclass(slots=True)
class SceneView:
    """The scene and the arm at one instant.

    Attributes:
        time: When the picture was taken, in [s] since the episode began.
        truth: True state of the scene in that picture.
        window: Number of the window that is asked for, from 0; -1 where none is.
        measured: How far the tool moved in the window that ends.
    """

    time: float
    truth: TwinTruth
    arm: ArmState
    draw: Draw = field(repr=False)
    window: int = -1
    measured: MeasuredMotion = MeasuredMotion()
    _picture: Rgb | None = field(default=None, repr=False)

    def rgb(self) -> Rgb:
        """Return the picture, shape (480, 640, 3), uint8; rendered at the first call.

        Raises:
            TwinError: No graphics backend works.
        """
        if self._picture is None:
            self._picture = self.draw(self.truth)
        return self._picture


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
    def scene(self) -> SceneConfig:
        """The scene.

        Raises:
            ConfigError: There is no task of that name.
        """
        task = find_task(self.task)
        return SceneConfig(task, self.seed, self.robot_type, self.distractors, self.randomisation)

    @property
    def limit(self) -> float:
        """Simulated time after which the episode ends, in [s]."""
        return self.scene.task.time_limit if self.time_limit is None else self.time_limit

    def controller_settings(self) -> ControllerSettings:
        """Return the controller's settings for this arm and execution."""
        settings = self.controller
        chunk = settings.chunk
        if self.execution is not None:
            chunk = replace(chunk, execution=self.execution)
        return replace(settings, chunk=chunk, arm=replace(settings.arm, robot_type=self.robot_type))


class Chunker(Protocol):
    """Plans chunks, episode after episode."""

    def begin(self, config: RolloutConfig) -> None:
        """Prepare for a new episode; called before its first window.

        Raises:
            AdpError: It cannot do this task.
        """

    def plan(self, view: SceneView) -> Window:
        """Plan the window ``view.window``; its times are left to the rollout.

        Raises:
            AdpError: It cannot; the rollout ends with this error.
        """


class Ending(str, Enum):
    """Why a rollout ended."""

    SUCCESS = "success"
    TIME_LIMIT = "time_limit"
    SAFETY_STOP = "safety_stop"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutResult:
    """What came of a rollout.

    Attributes:
        success: The task was done in time.
        progress: Share of the task that was done at the end, 0 to 1.
        time: Simulated time from the start to the end, in [s].
        path_length: Way of the tool, in [m].
        ending: Why it ended.
        steps: Policy steps executed.
        steps_missed: Steps that were due while nothing was planned.
        windows: Every planned window; times count from the start of the episode.
        safety: Changes of the controller's state after the start.
        peak_force: Largest sum of forces between arm and scene, in [N]; 30 looks a second.
        counters: Counts of the controller's chunk buffer.
        wall: Time that it took to compute, in [s]; takes no part in comparisons.
    """

    success: bool
    progress: float
    time: float
    path_length: float
    ending: Ending
    steps: int
    steps_missed: int
    windows: tuple[Window, ...]
    safety: tuple[SafetyEvent, ...]
    peak_force: float
    counters: ChunkCounters
    wall: float = field(default=0.0, compare=False)

    @property
    def stop(self) -> str:
        """Cause of the safety stop, empty when there was none."""
        return self.safety[-1].cause if self.ending is Ending.SAFETY_STOP else ""
