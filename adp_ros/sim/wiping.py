"""Geometry of wiping: where the sponge's underside is, and which cells it cleans."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..types import FloatArray

SPONGE_HALF_SIZE: Final = (0.030, 0.050)  # [m], footprint along the tool's x and y
SPONGE_BOTTOM: Final = 0.066  # [m] from the tool frame along its z to the relaxed underside
WIPE_REACH: Final = 0.003  # [m] from the underside to a cell that it wipes


def sponge_underside(position: FloatArray, rotation: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the middle of the underside and the sponge's orientation.

    Args:
        position: Origin of the sponge's body in the base frame, shape (3,), in [m].
        rotation: Its orientation, body -> base, shape (3, 3).
    """
    return position + rotation @ np.array([0.0, 0.0, SPONGE_BOTTOM]), rotation


def wiped_cells(position: FloatArray, rotation: FloatArray, cells: FloatArray) -> NDArray[np.bool_]:
    """Tell which cells lie under the sponge and within its reach.

    Args:
        position: Middle of the sponge's underside, shape (3,), in [m], base frame.
        rotation: Sponge -> base, shape (3, 3).
        cells: Centres of the cells on the table, shape (n, 2), in [m].

    Returns:
        Shape (n,).
    """
    points = np.concatenate([cells, np.zeros((len(cells), 1))], axis=1)
    local = (points - position) @ rotation  # (n, 3), sponge frame, z outward
    across = (np.abs(local[:, :2]) <= np.array(SPONGE_HALF_SIZE)).all(axis=1)
    return np.asarray(across & (np.abs(local[:, 2]) <= WIPE_REACH))
