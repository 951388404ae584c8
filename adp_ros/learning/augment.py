"""Changes of a picture at training: crop, brightness, contrast, saturation, hue, noise."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..adp.overlay import CROP_AREA
from ..policies.openvla.preprocess import IMAGE_SIZE, crop
from ..types import FloatArray, Rgb
from .recipe import Augmentation


@dataclass(frozen=True, slots=True)
class CropWindow:
    """Square that was cut out of a picture and enlarged to its size again.

    Attributes:
        left: In [px] of the picture before.
        top: In [px] of the picture before.
        side: In [px] of the picture before.
    """

    left: float
    top: float
    side: float

    def place(self, pixels: FloatArray) -> FloatArray:
        """Return where pixels (..., 2) of the picture before are in the one after."""
        corner = np.array([self.left, self.top])
        return np.asarray((pixels - corner) * (IMAGE_SIZE / self.side))


def central_window() -> CropWindow:
    """Return the window that is cut out at test."""
    side = float(np.sqrt(CROP_AREA)) * IMAGE_SIZE
    margin = 0.5 * (IMAGE_SIZE - side)
    return CropWindow(margin, margin, side)


def unchanged(picture: Rgb) -> tuple[Rgb, CropWindow]:
    """Return a picture as the policy sees it at test."""
    return crop(picture), central_window()


def augment(
    picture: Rgb, settings: Augmentation, rng: np.random.Generator
) -> tuple[Rgb, CropWindow]:
    """Change a picture.

    Args:
        picture: Shape (224, 224, 3), uint8.
        settings: How much.
        rng: Source of the draws.

    Returns:
        Shape (224, 224, 3), uint8, and the window it shows.
    """
    middle = central_window()
    left, top = middle.left * (1.0 + settings.crop_play * rng.uniform(-1.0, 1.0, 2))
    window = CropWindow(float(left), float(top), middle.side)
    return _recoloured(_cut(picture, window), settings, rng), window


def _cut(picture: Rgb, window: CropWindow) -> Rgb:
    scale = window.side / IMAGE_SIZE
    shift = 0.5 * scale - 0.5  # pixel centres
    back = np.array([[scale, 0.0, window.left + shift], [0.0, scale, window.top + shift]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    out = cv2.warpAffine(
        picture, back, (IMAGE_SIZE, IMAGE_SIZE), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(out, dtype=np.uint8)


def _recoloured(picture: Rgb, settings: Augmentation, rng: np.random.Generator) -> Rgb:
    brightness, contrast, saturation, hue = rng.uniform(-1.0, 1.0, 4)
    pixels = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV) if settings.hue else picture
    if settings.hue:  # OpenCV's hue has 180 steps a turn
        turn = int(round(180 * settings.hue * hue))
        pixels = pixels.copy()
        pixels[..., 0] = (pixels[..., 0].astype(np.int16) + turn) % 180
        pixels = cv2.cvtColor(pixels, cv2.COLOR_HSV2RGB)
    values: NDArray[np.float32] = pixels.astype(np.float32)
    grey = values @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    values = grey[..., None] + (values - grey[..., None]) * np.float32(
        1.0 + settings.saturation * saturation
    )
    mean = float(grey.mean())
    values = mean + (values - mean) * np.float32(1.0 + settings.contrast * contrast)
    values = values + np.float32(255.0 * settings.brightness * brightness)
    if settings.pixel_noise:
        noise = rng.standard_normal(values.shape, dtype=np.float32)
        values = values + np.float32(255.0 * settings.pixel_noise) * noise
    return np.asarray(values.clip(0.0, 255.0).astype(np.uint8))
