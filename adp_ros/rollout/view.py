"""What may be looked at at one instant; nothing is rendered unless somebody asks."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import nan
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..policy.state_layout import ArmState
from ..sim.twin import TwinTruth
from ..types import FloatArray, Rgb


class Camera(Protocol):
    """Draws the scene of one rollout."""

    def render(self, qpos: FloatArray, cleaned: NDArray[np.bool_]) -> Rgb:
        """Return the front camera's picture, shape (480, 640, 3)."""
        ...

    def close(self) -> None:
        """Release what it holds."""
        ...


Draw = Callable[[TwinTruth], Rgb]
"""True state -> picture."""


@dataclass(slots=True)
class View:
    """The scene and the arm at one instant.

    Attributes:
        time: When the picture was taken, in [s] since the episode began.
        truth: True state of the scene in that picture.
        arm: What the arm's driver measured last.
        window: Number of the window that is asked for, from 0; -1 where none is.
        measured_path: Path of the tool in the window that ends, in [m]; NaN when unknown.
        measured_net: Its net displacement, in [m]; NaN when unknown.
    """

    time: float
    truth: TwinTruth
    arm: ArmState
    draw: Draw = field(repr=False)
    window: int = -1
    measured_path: float = nan
    measured_net: float = nan
    _picture: Rgb | None = field(default=None, repr=False)

    def rgb(self) -> Rgb:
        """Return the picture, shape (480, 640, 3), uint8; rendered at the first call.

        Raises:
            TwinError: No graphics backend works.
        """
        if self._picture is None:
            self._picture = self.draw(self.truth)
        return self._picture
