"""How far the tool moved in a window, measured from step to step."""

from math import nan

import numpy as np

from ..types import FloatArray


class WindowMotion:
    """Path length and net displacement since the last window began."""

    def __init__(self) -> None:
        self.begin(None)

    def begin(self, position: FloatArray | None) -> None:
        """Start a window.

        Args:
            position: Tool position, shape (3,), in [m]; None when unknown.
        """
        self._start = self._last = None if position is None else np.array(position)
        self._path = 0.0

    def step(self, position: FloatArray) -> None:
        """Take the tool position at the start of a step, shape (3,), in [m]."""
        if self._last is None:
            self.begin(position)
            return
        self._path += float(np.linalg.norm(position - self._last))
        self._last = np.array(position)

    def measured(self) -> tuple[float, float]:
        """Return path length and net displacement in [m]; NaN when the window never began."""
        if self._start is None or self._last is None:
            return nan, nan
        return self._path, float(np.linalg.norm(self._last - self._start))
