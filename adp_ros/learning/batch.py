"""Examples to tensors: changed pictures, normalised numbers, and what is done to vision tokens.

A stage may drop some at random, or keep all of them and only squeeze their rotary positions to
those of a pruned sequence, so that a small model gets used to other lengths.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..adp.overlay import CROP_AREA
from ..policies.openvla.normalisation import Statistics
from ..policies.openvla.preprocess import IMAGE_SIZE, Preprocessor, crop, normalised
from ..policies.openvla.tokenizer import STOP_ID, PromptTokenizer
from ..types import FloatArray, Rgb
from .examples import Examples
from .recipe import Augmentation, Stage
from .relevance import POSITION_SCALE

_DROPPING_STREAM: Final = 7  # keep these draws apart from those of examples and augmentation
_SQUEEZING_STREAM: Final = 8
_STRETCH: Final = 16  # tokens that are thinned out together: a row of patches
_OUTSIDE: Final = -1e4  # [px]


@dataclass(frozen=True, slots=True)
class CropWindow:
    """Square that was cut out of a picture and enlarged to its size again; in [px] of before."""

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
    """Change a picture (224, 224, 3), uint8, at random; also return the window it shows."""
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


def surviving_tokens(stage: Stage, total: int, key: tuple[int, ...]) -> Tensor | None:
    """Draw which of a picture's vision tokens enter the decoder in a step.

    The step's key is the same in all processes.

    Returns:
        Ascending indices, shape (k,), int64; None where none is dropped.
    """
    rng = np.random.default_rng([_DROPPING_STREAM, *key])
    if rng.random() >= stage.drop_share:
        return None
    count = max(1, round(rng.uniform(stage.drop_keep[0], stage.drop_keep[1]) * total))
    return torch.from_numpy(np.sort(rng.choice(total, count, replace=False)))


def squeezed_places(stage: Stage, total: int, key: tuple[int, ...]) -> Tensor | None:
    """Draw where a picture's vision tokens, V of them, stand in a step.

    The step's key is the same in all processes.

    Returns:
        Place of each token among those counted, ascending from 0, and at last their number, shape
        (V + 1,), int64; None where every token counts.
    """
    rng = np.random.default_rng([_SQUEEZING_STREAM, *key])
    if rng.random() >= stage.squeeze_share:
        return None
    share = rng.uniform(stage.squeeze_to[0], stage.squeeze_to[1])
    rows = rng.random(-(-total // _STRETCH))
    counted = np.clip(rows * share / rows.mean(), 0.0, 1.0).repeat(_STRETCH)[:total]
    drawn = rng.random(total) < counted
    return torch.from_numpy(np.concatenate([[0], np.cumsum(drawn)]).astype(np.int64))


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step trains on.

    Attributes:
        pixels: Shape (B, 6, 224, 224).
        state: Normalised, shape (B, P).
        chunk: Normalised, shape (B, T, 7).
        groups: Prompts with stop (b, T) and the rows of the batch that they belong to (b,); one
            group per length, since the decoder has no mask.
        instruction: Shape (B,).
        positions: Landmarks in units of :data:`POSITION_SCALE`, shape (B, L, 3).
        places: Landmarks in the picture, shape (B, L, 2), in [px]; far outside where unknown.
        known: 1 where a landmark's position is known, else 0, shape (B, L).
    """

    pixels: Tensor
    state: Tensor
    chunk: Tensor
    groups: tuple[tuple[Tensor, Tensor], ...]
    instruction: Tensor
    positions: Tensor
    places: Tensor
    known: Tensor

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on a device."""
        moved = {
            item.name: getattr(self, item.name).to(device, non_blocking=True)
            for item in fields(self)
            if item.name != "groups"
        }
        groups = tuple((ids.to(device), rows.to(device)) for ids, rows in self.groups)
        return Batch(groups=groups, **moved)


class Collator:
    """Makes batches of one data set for one model, of whose preprocessor only the table counts."""

    def __init__(
        self,
        examples: Examples,
        statistics: Statistics,
        preprocessor: Preprocessor,
        tokenizer: PromptTokenizer,
    ) -> None:
        self.examples = examples
        self._table = preprocessor.table
        self._statistics = statistics
        self._prompts = [(*tokenizer.encode(text), STOP_ID) for text in examples.instructions]

    def train(
        self, indices: NDArray[np.int64], settings: Augmentation, rng: np.random.Generator
    ) -> Batch:
        """Make a batch with changed pictures."""
        seen = [augment(self.examples.picture(int(i)), settings, rng) for i in indices]
        return self._collate(indices, seen, settings.state_noise, rng)

    def test(self, indices: NDArray[np.int64]) -> Batch:
        """Make a batch as the policy sees it at test."""
        seen = [unchanged(self.examples.picture(int(i))) for i in indices]
        return self._collate(indices, seen, 0.0, np.random.default_rng(0))

    def blind(
        self, indices: NDArray[np.int64], state_noise: float, rng: np.random.Generator
    ) -> Batch:
        """Make a batch without pixels, shape (0,), of pictures as seen at test."""
        windows = [central_window()] * len(indices)
        return self._complete(indices, np.zeros(0, dtype=np.float32), windows, state_noise, rng)

    def _collate(
        self,
        indices: NDArray[np.int64],
        seen: Sequence[tuple[Rgb, CropWindow]],
        state_noise: float,
        rng: np.random.Generator,
    ) -> Batch:
        pixels = np.stack([normalised(picture, self._table) for picture, _ in seen])
        return self._complete(indices, pixels, [window for _, window in seen], state_noise, rng)

    def _complete(
        self,
        indices: NDArray[np.int64],
        pixels: NDArray[np.float32],
        windows: Sequence[CropWindow],
        state_noise: float,
        rng: np.random.Generator,
    ) -> Batch:
        examples, scale = self.examples, self._statistics
        places = np.stack(
            [w.place(examples.pixels[i]) for w, i in zip(windows, indices, strict=True)]
        )  # (B, L, 2)
        rows = [scale.normalize_proprio(row) for row in examples.state[indices]]
        state: NDArray[Any] = np.stack(rows)  # (B, P)
        if state_noise:
            state = state + state_noise * rng.standard_normal(state.shape)
        positions = examples.positions[indices]  # (B, L, 3)
        return Batch(
            pixels=torch.from_numpy(pixels),
            state=_tensor(state),
            chunk=_tensor(scale.normalize_chunk(examples.chunk[indices])),
            groups=self._groups(examples.instruction[indices]),
            instruction=torch.from_numpy(examples.instruction[indices]),
            positions=_tensor(np.nan_to_num(positions / POSITION_SCALE)),
            places=_tensor(np.where(np.isfinite(places), places, _OUTSIDE)),
            known=_tensor(np.isfinite(positions[..., 0])),
        )

    def _groups(self, instruction: NDArray[np.int64]) -> tuple[tuple[Tensor, Tensor], ...]:
        by_length: dict[int, list[int]] = {}
        for row, number in enumerate(instruction):
            by_length.setdefault(len(self._prompts[number]), []).append(row)
        return tuple(
            (torch.tensor([self._prompts[instruction[row]] for row in rows]), torch.tensor(rows))
            for _, rows in sorted(by_length.items())
        )


def _tensor(values: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
