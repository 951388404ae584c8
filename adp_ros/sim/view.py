"""The front camera: where it stands, and where it shows a point of the base frame."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from ..geometry import rotation_from_rotvec
from ..types import FloatArray

CAMERA_POSITION: Final = (0.0, -1.18, 0.66)  # [m], base frame; it faces the arm
CAMERA_TARGET: Final = (0.0, -0.40, 0.18)
CAMERA_FOVY: Final = 44.0  # [deg]


@dataclass(frozen=True, slots=True)
class View:
    """A pinhole camera with square pixels and its principal point in the middle.

    Attributes:
        position: Of the pinhole in the base frame, shape (3,), in [m].
        rotation: Camera -> base, shape (3, 3): x to the right of the picture, y up, z backwards.
        fovy: Vertical field of view in [deg].
    """

    position: FloatArray
    rotation: FloatArray
    fovy: float

    def project(self, points: FloatArray, width: int = 640, height: int = 480) -> FloatArray:
        """Return where points are seen.

        Args:
            points: In the base frame, shape (n, 3), in [m].
            width: Of the picture, in pixels.
            height: Of the picture, in pixels.

        Returns:
            Shape (n, 2), in pixels, to the right and down from the picture's upper left corner;
            outside of the picture where they are not in it, NaN behind the camera.
        """
        local = (np.asarray(points, dtype=np.float64) - self.position) @ self.rotation
        depth = np.where(local[:, 2] < 0.0, -local[:, 2], np.nan)
        focal = 0.5 * height / np.tan(0.5 * np.radians(self.fovy))
        right = 0.5 * width + focal * local[:, 0] / depth
        below = 0.5 * height - focal * local[:, 1] / depth
        return np.stack([right, below], axis=1)

    def moved(self, shift: FloatArray, turn: FloatArray, zoom: float) -> "View":
        """Return the camera after a small move.

        Args:
            shift: Of the pinhole in the base frame, shape (3,), in [m].
            turn: Rotation vector in the camera's frame, shape (3,), in [rad].
            zoom: Factor on the field of view.
        """
        rotation = self.rotation @ rotation_from_rotvec(turn)
        return View(self.position + shift, rotation, self.fovy * zoom)


def nominal_view() -> View:
    """Return the front camera as it stands without randomisation."""
    eye, target = np.array(CAMERA_POSITION), np.array(CAMERA_TARGET)
    back = (eye - target) / np.linalg.norm(eye - target)
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right)
    return View(eye, np.stack([right, np.cross(back, right), back], axis=1), CAMERA_FOVY)
