"""Camera pictures to pixel values as OpenVLA's own processor makes them.

The processor resizes 8-bit pictures with Pillow (bicubic, with antialiasing); what it does with
other aspect ratios stands in ``preprocessor_config.json``. Source: ``PrismaticImageProcessor``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...errors import CheckpointError
from ...types import Rgb, check_image
from ..checkpoints import read_json
from ..openvla.preprocess import (
    IMAGE_SIZE,
    Preprocessor,
    crop,
    decode_jpeg,
    encode_jpeg,
    normalised,
    shrink,
)

CONFIG: Final = "preprocessor_config.json"


@dataclass(frozen=True, slots=True)
class TokenPictures:
    """Turns one picture into the towers' input.

    Attributes:
        table: Normalised value of each grey level, shape (6, 256), see :class:`.Preprocessor`.
        squash: Resize to a square whatever the aspect ratio; False keeps it, the shorter side
            becomes 224 and the middle is cropped.
        border: Colour of a border that makes the picture square first, None for none.
        center_crop: Crop 90 % of the area first, as evaluation after training with augmentation.
        jpeg: Compress as JPEG and resize (Lanczos) before all else, as LIBERO's evaluation.
    """

    table: NDArray[np.float32]
    squash: bool
    border: tuple[int, ...] | None
    center_crop: bool = False
    jpeg: bool = False

    @classmethod
    def from_checkpoint(
        cls, directory: Path, center_crop: bool = False, jpeg: bool = False
    ) -> "TokenPictures":
        """Read ``preprocessor_config.json``.

        Raises:
            CheckpointError: It is missing, broken or asks for another size.
        """
        path = directory / CONFIG
        values = read_json(path)
        table = Preprocessor.from_checkpoint(directory).table
        border = None
        if values.get("tvf_do_letterbox"):
            fill = values.get("tvf_letterbox_fill")
            if not isinstance(fill, list) or len(fill) != 3 or not all(0 <= c <= 255 for c in fill):
                raise CheckpointError(
                    f"{path}: tvf_letterbox_fill is {fill!r}, three levels are needed"
                )
            border = tuple(fill)
        return cls(table, _squashes(path, values), border, center_crop, jpeg)

    def __call__(self, image: Rgb) -> NDArray[np.float32]:
        """Prepare a picture (H, W, 3), uint8, any size; returns shape (6, 224, 224).

        Raises:
            ObservationError: The picture is not uint8 RGB.
        """
        return normalised(self.prepare(image), self.table)

    def prepare(self, image: Rgb) -> Rgb:
        """Return the 8-bit picture that is normalised, shape (224, 224, 3)."""
        check_image(0, image)
        if self.jpeg:
            image = shrink(decode_jpeg(encode_jpeg(image)))
        if self.center_crop:
            image = crop(image)
        picture = Image.fromarray(image)
        if self.border is not None:
            picture = _letterboxed(picture, self.border)
        return np.asarray(_resized(picture, self.squash))


def _letterboxed(picture: Image.Image, colour: tuple[int, ...]) -> Image.Image:
    width, height = picture.size
    side = max(width, height)
    across, down = int((side - width) / 2), int((side - height) / 2)
    framed = Image.new("RGB", (width + 2 * across, height + 2 * down), colour)
    framed.paste(picture, (across, down))
    return framed


def _resized(picture: Image.Image, squash: bool) -> Image.Image:
    width, height = picture.size
    size = (IMAGE_SIZE, IMAGE_SIZE)
    if not squash:
        short, long = min(width, height), max(width, height)
        scaled = int(IMAGE_SIZE * long / short)
        size = (IMAGE_SIZE, scaled) if width <= height else (scaled, IMAGE_SIZE)
    if picture.size != size:
        picture = picture.resize(size, Image.Resampling.BICUBIC)
    left, top = round((size[0] - IMAGE_SIZE) / 2), round((size[1] - IMAGE_SIZE) / 2)
    return picture.crop((left, top, left + IMAGE_SIZE, top + IMAGE_SIZE))


def _squashes(path: Path, values: Mapping[str, Any]) -> bool:
    steps = values.get("tvf_resize_params")
    sizes = [step.get("size") for step in steps] if isinstance(steps, list) else []
    for size, squash in ((IMAGE_SIZE, False), ([IMAGE_SIZE, IMAGE_SIZE], True)):
        if sizes and all(given == size for given in sizes):
            return squash
    raise CheckpointError(
        f"{path}: tvf_resize_params has sizes {sizes!r}, supported: {IMAGE_SIZE} or "
        f"[{IMAGE_SIZE}, {IMAGE_SIZE}] for every tower"
    )
