"""A stain on the table, and the sponge in the hand that wipes it: sizes, and what gets clean."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..types import FloatArray

SPONGE_HALF_SIZE: Final = (0.030, 0.050)  # [m], footprint along the tool's x and y
SPONGE_BOTTOM: Final = 0.066  # [m] from the tool frame along its z to the relaxed underside
WIPE_REACH: Final = 0.003  # [m] from the underside to a cell that it wipes


@dataclass(frozen=True, slots=True, kw_only=True)
class DirtPatch:
    """A stain on the table, cut into square cells.

    Attributes:
        columns: Cells along x.
        rows: Cells along y.
        cell: Side of a cell in [m].
    """

    columns: int
    rows: int
    cell: float

    @property
    def count(self) -> int:
        """Number of cells."""
        return self.columns * self.rows

    @property
    def half_size(self) -> FloatArray:
        """Half of its length along x and y, shape (2,), in [m]."""
        return 0.5 * self.cell * np.array([self.columns, self.rows])

    def offsets(self) -> FloatArray:
        """Return the cells' centres relative to the patch's, shape (count, 2), in [m]."""
        x = (np.arange(self.columns) - (self.columns - 1) / 2) * self.cell
        y = (np.arange(self.rows) - (self.rows - 1) / 2) * self.cell
        return np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)


def sponge_underside(position: FloatArray, rotation: FloatArray) -> FloatArray:
    """Return the middle of the sponge's underside, shape (3,), in [m], base frame.

    Args:
        position: Origin of the sponge's body in the base frame, shape (3,), in [m].
        rotation: Its orientation, body -> base, shape (3, 3).
    """
    return np.asarray(position + rotation @ np.array([0.0, 0.0, SPONGE_BOTTOM]))


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
