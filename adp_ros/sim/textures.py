"""Pictures for the table's top, drawn from random numbers."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

from ..types import FloatArray, Rgb

SIZE: Final = 128  # [pixels] per side


def draw_texture(kind: str, color: FloatArray, contrast: float, rng: np.random.Generator) -> Rgb:
    """Draw a texture.

    Args:
        kind: One of :data:`KINDS`.
        color: Mean colour, shape (3,), 0 to 1.
        contrast: Largest share by which the colour changes, 0 to 1.
        rng: Source of what is random.

    Returns:
        Shape (SIZE, SIZE, 3), uint8.
    """
    pattern = np.clip(KINDS[kind](rng), -1.0, 1.0)  # (SIZE, SIZE)
    shade = 1.0 + contrast * pattern[..., None]
    return np.asarray(np.clip(255.0 * color * shade, 0.0, 255.0), dtype=np.uint8)


def _planks(rng: np.random.Generator) -> FloatArray:
    """Boards along x with a grain."""
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    boards = int(rng.integers(3, 7))
    tone = rng.uniform(-0.6, 0.6, boards)[np.minimum((y * boards).astype(int), boards - 1)]
    grain = np.sin(2.0 * np.pi * (14.0 * y + 0.25 * np.sin(2.0 * np.pi * (x + tone))))
    return np.asarray(tone + 0.3 * grain)


def _checks(rng: np.random.Generator) -> FloatArray:
    """A chequered cloth."""
    y, x = np.mgrid[0:SIZE, 0:SIZE] // (SIZE // int(rng.integers(4, 9)))
    return np.asarray(2.0 * ((x + y) % 2) - 1.0)


def _clouds(rng: np.random.Generator) -> FloatArray:
    """Large soft spots, such as on stone."""
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    pattern = np.zeros((SIZE, SIZE))
    for _ in range(8):
        across, along = rng.integers(1, 7, 2)
        pattern += np.cos(2.0 * np.pi * (across * x + along * y + rng.uniform()))
    return pattern / 4.0


def _specks(rng: np.random.Generator) -> FloatArray:
    """Fine grains."""
    coarse = rng.uniform(-1.0, 1.0, (SIZE // 4, SIZE // 4))
    return np.asarray(np.kron(coarse, np.ones((4, 4))))


KINDS: Final[Mapping[str, Callable[[np.random.Generator], FloatArray]]] = MappingProxyType(
    {"planks": _planks, "checks": _checks, "clouds": _clouds, "specks": _specks}
)
