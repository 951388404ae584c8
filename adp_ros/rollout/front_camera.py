"""The front camera: 30 states a second are kept, the few that somebody looks at are rendered."""

from collections import deque
from collections.abc import Callable
from typing import Final

from ..sim.driver import TICK
from ..sim.render import TwinRenderer
from ..sim.twin import TwinTruth
from ..types import Rgb
from .config import RolloutConfig
from .view import Camera

RATE: Final = 30  # [Hz]
_TICKS: Final = round(1.0 / TICK)  # a second

MakeCamera = Callable[[RolloutConfig], Camera]


def twin_camera(config: RolloutConfig) -> Camera:
    """Return the renderer of a rollout's scene.

    Raises:
        TwinError: No graphics backend works.
    """
    return TwinRenderer(
        config.task,
        config.seed,
        config.robot_type,
        distractors=config.distractors,
        randomisation=config.randomisation,
    )


class FrontCamera:
    """Takes a state at each frame's time; draws it only when asked."""

    def __init__(self, config: RolloutConfig, make: MakeCamera) -> None:
        self._config = config
        self._make = make
        self._camera: Camera | None = None
        delay = round(config.camera_delay / TICK)
        self._delay = delay
        self._frames: deque[tuple[int, TwinTruth]] = deque(maxlen=delay * RATE // _TICKS + 2)

    @property
    def lead(self) -> int:
        """Ticks after which a picture has certainly arrived."""
        return self._delay + _TICKS // RATE + 1

    @staticmethod
    def due(tick: int) -> bool:
        """Tell whether a frame is taken at this tick: the first at or after its time."""
        return tick * RATE // _TICKS != (tick - 1) * RATE // _TICKS

    def take(self, tick: int, truth: TwinTruth) -> None:
        """Keep the state that a frame shows."""
        self._frames.append((tick, truth))

    def newest(self, tick: int) -> tuple[int, TwinTruth]:
        """Return the newest frame that has arrived at a tick: when it was taken, and its state."""
        arrived = (frame for frame in reversed(self._frames) if frame[0] + self._delay <= tick)
        return next(arrived)

    def draw(self, truth: TwinTruth) -> Rgb:
        """Render a state.

        Raises:
            TwinError: No graphics backend works.
        """
        if self._camera is None:
            self._camera = self._make(self._config)
        return self._camera.render(truth.qpos, truth.cleaned)

    def close(self) -> None:
        """Release the renderer."""
        if self._camera is not None:
            self._camera.close()
            self._camera = None
