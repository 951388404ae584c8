"""Bring a picture to the published size: the policy depends on this geometry."""

import cv2
import numpy as np

from ..errors import CameraError
from ..types import Rgb


def fit_frame(rgb: Rgb, size: tuple[int, int], how: str, camera: str) -> Rgb:
    """Return the picture at the published size.

    Args:
        rgb: Shape (H, W, 3), uint8.
        size: Width and height needed, in [px].
        how: ``exact`` refuses other sizes, ``crop`` keeps the centre at the needed aspect ratio,
            ``pad`` adds black borders, ``stretch`` distorts.
        camera: Name for the message.

    Returns:
        Shape (height, width, 3), uint8; the same array when the size is right.

    Raises:
        CameraError: The picture has another size and ``how`` is ``exact``.
    """
    height, width = rgb.shape[:2]
    if (width, height) == size:
        return rgb
    if how == "exact":
        raise CameraError(
            f"{camera} delivers {width}x{height}, {size[0]}x{size[1]} is needed; "
            "set fit to crop, pad or stretch to convert it"
        )
    if how == "stretch":
        return _resize(rgb, size)
    return _crop(rgb, size) if how == "crop" else _pad(rgb, size)


def _resize(rgb: Rgb, size: tuple[int, int]) -> Rgb:
    shrinks = size[0] <= rgb.shape[1] and size[1] <= rgb.shape[0]
    resized = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(resized, dtype=np.uint8)


def _crop(rgb: Rgb, size: tuple[int, int]) -> Rgb:
    height, width = rgb.shape[:2]
    scale = min(width / size[0], height / size[1])  # source pixels per published pixel
    w, h = min(width, round(size[0] * scale)), min(height, round(size[1] * scale))
    left, top = (width - w) // 2, (height - h) // 2
    return _resize(np.ascontiguousarray(rgb[top : top + h, left : left + w]), size)


def _pad(rgb: Rgb, size: tuple[int, int]) -> Rgb:
    height, width = rgb.shape[:2]
    scale = min(size[0] / width, size[1] / height)  # published pixels per source pixel
    w, h = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = (size[0] - w) // 2, (size[1] - h) // 2
    padded = np.zeros((size[1], size[0], 3), np.uint8)
    padded[top : top + h, left : left + w] = _resize(rgb, (w, h))
    return padded
