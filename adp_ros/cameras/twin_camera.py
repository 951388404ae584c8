"""The camera of the simulated scene: pictures rendered from the twin's true state."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..types import FloatArray, Frame, Rgb
from .camera import CameraSettings


@dataclass(frozen=True, slots=True)
class TwinSnapshot:
    """State of the simulated scene at one instant.

    Attributes:
        task: Name of the task, which selects the scene.
        seed: Seed of the scene.
        qpos: Generalised positions of the MuJoCo model.
        cleaned: Per dirt cell: wiped, shape (cells,).
        stamp: Time of the state in [s].
    """

    task: str
    seed: int
    qpos: FloatArray
    cleaned: NDArray[np.bool_]
    stamp: float

    @property
    def scene(self) -> tuple[str, int]:
        """Task and seed."""
        return self.task, self.seed


class Renderer(Protocol):
    """Draws the scene; lives in the thread that made it."""

    def render(self, qpos: FloatArray, cleaned: NDArray[np.bool_]) -> Rgb:
        """Return the front camera's picture, shape (height, width, 3)."""
        ...

    def close(self) -> None:
        """Release the graphics context."""
        ...


StateProvider = Callable[[float, float], TwinSnapshot | None]
"""(due stamp, timeout) -> newest state once there is one stamped at or after ``due``, else None."""

RendererFactory = Callable[[str, int, CameraSettings], Renderer]
"""(task, seed, settings) -> renderer."""


class TwinSource:
    """Renders states as they come, no faster than the frame rate; stamp = the state's."""

    def __init__(
        self, settings: CameraSettings, states: StateProvider, make_renderer: RendererFactory
    ) -> None:
        """Remember where states come from; nothing is rendered yet."""
        self._settings = settings
        self._states = states
        self._make_renderer = make_renderer
        self._renderer: Renderer | None = None
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

    def _scene_renderer(self, state: TwinSnapshot) -> Renderer:
        if self._renderer is None or state.scene != self._scene:
            self.close()
            self._renderer = self._make_renderer(state.task, state.seed, self._settings)
            self._scene = state.scene
        return self._renderer
