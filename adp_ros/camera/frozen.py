"""Notice a camera that keeps sending the same picture (HDMI unplugged, menu on screen)."""

import numpy as np

from ..types import Rgb

_STEP = 8  # every 8th pixel of every 8th row: sensor noise shows there as anywhere


class FrozenDetector:
    """Measures for how long the picture has not changed."""

    def __init__(self, threshold: float) -> None:
        """Set the mean absolute difference, in grey levels, up to which pictures are equal."""
        self._threshold = threshold
        self._reference: np.ndarray[tuple[int, ...], np.dtype[np.int16]] | None = None
        self._since = 0.0

    def update(self, rgb: Rgb, stamp: float) -> float:
        """Take one picture.

        Args:
            rgb: Shape (H, W, 3), uint8.
            stamp: Its capture time in [s].

        Returns:
            Time in [s] for which all pictures equalled this one; 0 after a change.
        """
        sample = rgb[::_STEP, ::_STEP].astype(np.int16)
        if self._reference is None or self._differs(sample):
            self._reference = sample
            self._since = stamp
        return stamp - self._since

    def _differs(self, sample: "np.ndarray[tuple[int, ...], np.dtype[np.int16]]") -> bool:
        reference = self._reference
        if reference is None or reference.shape != sample.shape:
            return True
        return float(np.abs(sample - reference).mean()) > self._threshold
