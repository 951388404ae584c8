"""Show on the camera picture which patches the policy did not look at.

The towers see 16 x 16 patches of a 224 x 224 picture: the camera picture squashed, then cropped
to the centre (90 % of the area). Both steps are undone here, so that a mask lies where the patch
really is.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..types import Rgb

GRID: Final = 16  # patches along one side of a view
PATCHES: Final = GRID * GRID  # patches of one view
INPUT_SIDE: Final = 224  # side of the towers' input in [px]
CROP_AREA: Final = 0.9  # share of the picture's area that the centre crop keeps

COLOR: Final = (0, 0, 255)  # of pruned patches, red green blue (ADP paper, Table 14)
MERGED_COLOR: Final = (255, 140, 0)  # of pruned patches that a mean token stands for
ALPHA: Final = 120  # opacity of that colour, 255 covers all


def patch_edges(length: int, crop_area: float) -> NDArray[np.int64]:
    """Return where the borders between patches lie along one side of the camera picture.

    The resize maps pixel edges to pixel edges; the crop samples ``o (H-1) + i r`` for output
    pixel ``i`` with ``r = sqrt(area)`` and ``o = (1 - r) / 2``, as TensorFlow's crop_and_resize.

    Args:
        length: Width or height of the camera picture, in [px].
        crop_area: Share of the area that the centre crop keeps; 1 without crop.

    Returns:
        Shape (17,): patch ``k`` covers pixels ``edges[k]`` to ``edges[k + 1] - 1``.
    """
    side = math.sqrt(crop_area)
    offset = (1.0 - side) / 2.0 * (INPUT_SIDE - 1)
    borders = np.arange(GRID + 1) * (INPUT_SIDE / GRID) - 0.5  # in output pixel centres
    squashed = offset + borders * side + 0.5  # edges in the 224 picture before the crop
    edges = np.rint(squashed * length / INPUT_SIDE)
    return np.clip(edges, 0, length).astype(np.int64)


def pruned_patches(kept: NDArray[np.int64] | None, view: int) -> NDArray[np.bool_]:
    """Return which patches of a view were pruned.

    Args:
        kept: Indices kept, into the views' concatenated patches; None when nothing was pruned.
        view: Number of the view, from 0.

    Returns:
        Shape (16, 16), True where pruned; row 0 is the top of the picture.
    """
    pruned = np.zeros(PATCHES, dtype=np.bool_)
    if kept is not None:
        pruned[:] = True
        local = kept - view * PATCHES
        pruned[local[(local >= 0) & (local < PATCHES)]] = False
    return pruned.reshape(GRID, GRID)


def group_sizes(pruned: NDArray[np.bool_], side: int) -> tuple[int, ...]:
    """Return how many pruned patches each square of a grid holds.

    Args:
        pruned: Shape (16, 16), see :func:`pruned_patches`.
        side: Squares along one side, 0 for none.

    Returns:
        Row by row; empty for a side of 0.
    """
    if side == 0:
        return ()
    edges = -(-np.arange(side + 1) * GRID // side)  # first patch of each square, rounded up
    rows = np.add.reduceat(pruned.astype(np.int64), edges[:-1], axis=0)
    return tuple(np.add.reduceat(rows, edges[:-1], axis=1).flatten().tolist())


def draw_pruned(
    rgb: Rgb,
    pruned: NDArray[np.bool_],
    crop_area: float,
    color: Sequence[int] = COLOR,
    alpha: int = ALPHA,
) -> Rgb:
    """Return a copy of the picture with the pruned patches coloured.

    Args:
        rgb: Camera picture, shape (H, W, 3), uint8.
        pruned: Shape (16, 16), see :func:`pruned_patches`.
        crop_area: Share of the area that the centre crop keeps; 1 without crop.
        color: Red, green, blue, each 0 to 255.
        alpha: Opacity of the colour, 0 to 255.

    Returns:
        Shape (H, W, 3), uint8. Borders that the crop removes stay as they are.
    """
    rows = patch_edges(rgb.shape[0], crop_area)
    columns = patch_edges(rgb.shape[1], crop_area)
    mask = np.zeros(rgb.shape[:2], dtype=np.bool_)
    inside = np.repeat(np.repeat(pruned, np.diff(rows), axis=0), np.diff(columns), axis=1)
    mask[rows[0] : rows[-1], columns[0] : columns[-1]] = inside
    opacity = alpha / 255.0
    grey_levels = np.arange(256)
    drawn = rgb.copy()
    for channel, level in enumerate(color):
        blended = np.rint(grey_levels * (1 - opacity) + level * opacity).astype(np.uint8)
        plane = drawn[:, :, channel]
        plane[mask] = blended[plane[mask]]
    return drawn
