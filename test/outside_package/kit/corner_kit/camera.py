"""A camera that draws coloured stripes, so that no device is needed."""

import numpy as np

from adp_ros.types import Frame


class StripesCamera:
    """Pictures of vertical stripes that move by one column each."""

    name = "stripes"
    live = False

    def __init__(self, settings, clock, twin):
        self._width, self._height = settings.size
        self._period = 1.0 / settings.framerate
        self._clock = clock
        self._count = 0

    def open(self):
        """Nothing can be refused."""
        return ()

    def read(self, timeout):
        """Draw the next picture once it is due."""
        self._clock.sleep(min(timeout, self._period))
        self._count += 1
        row = (np.arange(self._width) + self._count) // 16 % 2 * 200
        rgb = np.zeros((self._height, self._width, 3), np.uint8)
        rgb[:, :, 0] = row
        return Frame(rgb, self._clock.now())

    def close(self):
        """Nothing is held."""
