"""The camera of the simulated scene: pictures rendered from the twin's true state."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..types import Frame
from .camera import CameraSettings, Clock, StateProvider, TwinSnapshot

if TYPE_CHECKING:
    from ..sim.render import TwinRenderer

RendererFactory = Callable[[str, int, CameraSettings], "TwinRenderer"]
"""(task, seed, settings) -> renderer, which lives in the thread that made it."""


class TwinCamera:
    """Renders states as they come, no faster than the frame rate; stamp = the state's."""

    live = False  # a standing twin's pictures are equal

    def __init__(
        self, settings: CameraSettings, states: StateProvider, make_renderer: RendererFactory
    ) -> None:
        self._settings = settings
        self._states = states
        self._make_renderer = make_renderer
        self._renderer: TwinRenderer | None = None
        self._scene: tuple[str, int] | None = None
        self._period = 1.0 / settings.framerate
        self._due = float("-inf")

    @property
    def name(self) -> str:
        """Kind and arm."""
        return f"twin camera ({self._settings.robot_type})"

    def open(self) -> tuple[str, ...]:
        """Do nothing: the scene is known once its first state has come."""
        return ()

    def read(self, timeout: float) -> Frame | None:
        """Render the newest state once it is due."""
        state = self._states(self._due, timeout)
        if state is None:
            return None
        late = state.stamp - self._due
        on_time = 0.0 <= late < self._period
        self._due = (self._due if on_time else state.stamp) + self._period
        return Frame(self._scene_renderer(state).render(state.qpos, state.cleaned), state.stamp)

    def close(self) -> None:
        """Release the renderer."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None
        self._scene = None

    def _scene_renderer(self, state: TwinSnapshot) -> "TwinRenderer":
        if self._renderer is None or state.scene != self._scene:
            self.close()
            self._renderer = self._make_renderer(state.task, state.seed, self._settings)
            self._scene = state.scene
        return self._renderer


def make_twin_renderer(task: str, seed: int, settings: CameraSettings) -> "TwinRenderer":
    """Build the renderer of the simulated scene."""
    from ..sim.render import TwinRenderer  # MuJoCo is not needed with a real camera
    from ..sim.task import SceneConfig
    from ..sim.tasks import find_task

    scene = SceneConfig(
        find_task(task), seed, settings.robot_type, settings.distractors, settings.randomisation
    )
    return TwinRenderer(scene, *settings.size)


def make_twin_camera(
    settings: CameraSettings, clock: Clock, twin: Callable[[], StateProvider]
) -> TwinCamera:
    """Make the camera of the simulated scene."""
    return TwinCamera(settings, twin(), make_twin_renderer)
