"""Camera pictures to the pixel values the vision towers were trained on, without TensorFlow.

Upstream OpenVLA-OFT prepares pictures with TensorFlow ops: JPEG round trip (quality 95, 4:2:0),
Lanczos resize to 224x224 without letterbox, centre crop of 90 % of the area resized back, then
one normalisation per tower. The steps here follow the arithmetic of those ops in float32, so
that the 8-bit pictures agree with them, see ``test/policy/test_preprocess.py``.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from scipy import sparse

from ...adp.overlay import CROP_AREA, INPUT_SIDE
from ...errors import CheckpointError, ObservationError
from ...types import Rgb, check_image

JPEG_QUALITY: Final = 95


def encode_jpeg(image: Rgb) -> NDArray[np.uint8]:
    """Encode a picture (H, W, 3), uint8, as JPEG (quality 95, 4:2:0); returns (bytes,)."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return np.asarray(data, dtype=np.uint8)


def decode_jpeg(data: NDArray[np.uint8]) -> Rgb:
    """Decode a JPEG file (bytes,) as TensorFlow does, to shape (H, W, 3), uint8.

    The decoder's fast integer DCT is the one TensorFlow uses; the accurate one changes most
    values by up to 18 grey levels.

    Raises:
        ObservationError: It is no JPEG, or a damaged one.
    """
    try:
        decoded: Rgb = simplejpeg.decode_jpeg(data, "RGB", fastdct=True, fastupsample=False)
    except ValueError as error:
        raise ObservationError(f"picture of {len(data)} bytes is no good JPEG: {error}") from error
    return decoded


IMAGE_SIZE: Final = INPUT_SIDE
_MAX_JPEG_SIDE: Final = 65500  # limit of libjpeg, in [px]
_LANCZOS_RADIUS: Final = np.float32(3.0)

Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Preprocessor:
    """Turns the views of one observation into the towers' input.

    Attributes:
        table: Normalised value of each grey level, shape (6, 256): three channels of the first
            tower, then three of the second.
        center_crop: Crop :data:`CROP_AREA` of the picture, as at training with augmentation.
    """

    table: Float32
    center_crop: bool = True

    @property
    def crop_area(self) -> float:
        """Share of a picture's area that the towers see."""
        return CROP_AREA if self.center_crop else 1.0

    @classmethod
    def from_checkpoint(cls, directory: Path, center_crop: bool = True) -> "Preprocessor":
        """Read the normalisation constants of ``preprocessor_config.json``.

        Raises:
            CheckpointError: The file is missing, not JSON or lacks the constants.
        """
        return cls(_normalisation_table(directory / "preprocessor_config.json"), center_crop)

    def __call__(self, images: Sequence[Rgb]) -> Float32:
        """Prepare one picture per view, shape (H, W, 3), uint8, any size.

        Returns:
            Pixel values of all views, shape (6 * views, 224, 224).

        Raises:
            ObservationError: A picture is not uint8 RGB or too large.
        """
        pixels = []
        for view, image in enumerate(images):
            check_image(view, image)
            if max(image.shape) > _MAX_JPEG_SIDE:
                raise ObservationError(
                    f"image of view {view} has shape {image.shape}, allowed sides: 1 to "
                    f"{_MAX_JPEG_SIDE} [px]"
                )
            resized = resize(image)
            pixels.append(normalised(crop(resized) if self.center_crop else resized, self.table))
        return np.concatenate(pixels)


def normalised(picture: Rgb, table: Float32) -> Float32:
    """Return both towers' pixel values (6, H, W) of a picture (H, W, 3) by a table (6, 256)."""
    planes = cv2.split(picture)
    return np.stack([cv2.LUT(planes[c % 3], table[c]) for c in range(6)])


def resize(image: Rgb) -> Rgb:
    """Bring a picture (H, W, 3), uint8, to 224x224 as training data were: JPEG, then Lanczos.

    The aspect ratio is not kept. A picture that is 224x224 already is returned as it is.
    """
    if image.shape[:2] == (IMAGE_SIZE, IMAGE_SIZE):
        return image
    return shrink(decode_jpeg(encode_jpeg(image)))


def shrink(image: Rgb) -> Rgb:
    """Bring a picture (H, W, 3), uint8, that was decoded from JPEG to 224x224, Lanczos.

    For a JPEG of :func:`encode_jpeg` this is exactly what :func:`resize` makes of the picture.
    """
    height, width, _ = image.shape
    pixels = image.astype(np.float32)
    rows = _lanczos_weights(height) @ pixels.reshape(height, width * 3)  # (224, W*3)
    by_column = cv2.transpose(rows.reshape(IMAGE_SIZE, width, 3))  # (W, 224, 3)
    out = _lanczos_weights(width) @ by_column.reshape(width, -1)  # (224, 224*3), column first
    grey = np.rint(out).clip(0, 255).astype(np.uint8).reshape(IMAGE_SIZE, IMAGE_SIZE, 3)
    return np.asarray(cv2.transpose(grey))


def crop(image: Rgb) -> Rgb:
    """Crop the central 90 % of the area of a picture (H, W, 3), uint8; to 224x224, bilinear."""
    height, width, _ = image.shape
    low, high, weight = _crop_samples(width)
    pixels = image.astype(np.float32)
    pixels *= np.float32(1 / 255)  # not / 255: the two differ in the last bit
    flat = (height, IMAGE_SIZE * 3)
    left, right = pixels.take(low, axis=1), pixels.take(high, axis=1)
    across = _blend(left.reshape(flat), right.reshape(flat), weight.repeat(3))  # (H, 224 * 3)
    low, high, weight = _crop_samples(height)
    down = _blend(across.take(low, axis=0), across.take(high, axis=0), weight[:, None])
    down.clip(0, 1, out=down)
    down *= np.float32(255.5)
    np.minimum(down, np.float32(255), out=down)
    square = down.reshape(IMAGE_SIZE, IMAGE_SIZE, 3)
    return square.astype(np.uint8)  # truncates, as TensorFlow's cast does


def _blend(low: Float32, high: Float32, weight: Float32) -> Float32:
    high -= low
    high *= weight
    high += low
    return high


@lru_cache(maxsize=16)
def _crop_samples(size: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Float32]:
    """Return the neighbours (low, high) and the weight of high for each pixel of one axis."""
    side = np.sqrt(np.float32(CROP_AREA))
    begin = (np.float32(1) - side) / np.float32(2)
    last = np.float32(size - 1)
    step = ((begin + side) - begin) * last / np.float32(IMAGE_SIZE - 1)
    at = begin * last + np.arange(IMAGE_SIZE, dtype=np.float32) * step  # (224,)
    low = np.floor(at)
    return low.astype(np.intp), np.ceil(at).astype(np.intp), at - low


@lru_cache(maxsize=16)
def _lanczos_weights(size: int) -> "sparse.csr_array[np.float32]":
    """Return the resampling weights of one axis, shape (224, size).

    Half-pixel centres; the kernel is stretched by the scale when shrinking and renormalised at
    the borders. All in float32 in the order of TensorFlow's ScaleAndTranslate.
    """
    one, half = np.float32(1), np.float32(0.5)
    scale = np.float32(1 / np.float64(np.float32(IMAGE_SIZE) / np.float32(size)))
    stretch = max(scale, one)
    reach = _LANCZOS_RADIUS * stretch
    columns, weights, starts = [], [], [0]
    for i in range(IMAGE_SIZE):
        centre = (np.float32(i) + half) * scale
        first = min(max(int(np.ceil(centre - reach - half)), 0), size - 1)
        last = min(max(int(np.floor(centre + reach - half)), 0), size - 1)
        source = np.arange(first, last + 1)
        kernel = _lanczos(np.abs(source.astype(np.float32) + half - centre) * (one / stretch))
        total = np.add.accumulate(kernel)[-1]  # one after the other, not pairwise
        columns.append(source)
        weights.append(kernel * (one / total))
        starts.append(starts[-1] + source.size)
    parts = (np.concatenate(weights), np.concatenate(columns), np.array(starts))
    return sparse.csr_array(parts, shape=(IMAGE_SIZE, size))


def _lanczos(distance: Float32) -> Float32:
    radius, pi = _LANCZOS_RADIUS, np.float32(math.pi)
    safe = np.maximum(distance, np.float32(1e-3))
    angle = pi * safe
    value = radius * _sin(angle) * _sin(angle / radius) / (pi * pi * safe * safe)
    value = np.where(distance <= np.float32(1e-3), np.float32(1), value)
    return np.where(distance > radius, np.float32(0), value).astype(np.float32)


def _sin(angle: Float32) -> Float32:
    return np.sin(angle.astype(np.float64)).astype(np.float32)


def _normalisation_table(path: Path) -> Float32:
    try:
        towers = json.loads(path.read_text(encoding="utf-8"))["tvf_normalize_params"]
        mean = np.array([t["mean"] for t in towers], dtype=np.float32).reshape(6, 1)
        std = np.array([t["std"] for t in towers], dtype=np.float32).reshape(6, 1)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path}: cannot read tvf_normalize_params of two towers ({error!r})"
        ) from error
    if not (np.isfinite(mean).all() and (std > 0).all()):
        raise CheckpointError(f"{path}: tvf_normalize_params: a mean or std is unusable")
    unit = np.arange(256, dtype=np.float32) / np.float32(255)
    return (unit - mean) / std  # (6, 256)
