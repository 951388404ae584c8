"""What a task is: an instruction, the things on the table, and when it is done.

A task is data. It knows nothing of the simulator: progress and success are functions of a
:class:`SceneState`, which the twin fills with its true state.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ...types import FloatArray
from ..items import Item, Receptacle


@dataclass(frozen=True, slots=True)
class ItemState:
    """True state of one item.

    Attributes:
        start: Where it lay at the start, shape (3,), in [m], base frame.
        position: Where its origin is, shape (3,), in [m], base frame.
        touched: True while the arm touches it.
    """

    start: FloatArray
    position: FloatArray
    touched: bool


@dataclass(frozen=True, slots=True)
class SceneState:
    """True state of everything that a task is judged by.

    Attributes:
        items: Name -> state of each item on the table.
        cleaned: Per dirt cell: wiped. Shape (cells,), empty without dirt.
    """

    items: Mapping[str, ItemState] = field(default_factory=dict)
    cleaned: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=bool))


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


class Task(Protocol):
    """A task of the twin; one file in this package, constant ``TASK``."""

    @property
    def name(self) -> str:
        """Name in commands and messages."""
        ...

    @property
    def instruction(self) -> str:
        """What the policy is told."""
        ...

    @property
    def items(self) -> tuple[Item, ...]:
        """What lies on the table, without distractors."""
        ...

    @property
    def not_with(self) -> tuple[str, ...]:
        """Items that its instruction would fit as well, never used as distractors."""
        ...

    @property
    def dirt(self) -> DirtPatch | None:
        """The stain to wipe away; the hand then holds a sponge."""
        ...

    @property
    def time_limit(self) -> float:
        """Time after which an attempt has failed, in [s]."""
        ...

    def progress(self, state: SceneState) -> float:
        """Share of the task that is done, 0 to 1."""
        ...

    def success(self, state: SceneState) -> bool:
        """Tell whether the task is done."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceTask:
    """Put one item wholly inside a receptacle and let go of it."""

    name: str
    instruction: str
    item: Item
    target: Receptacle
    not_with: tuple[str, ...] = ()
    time_limit: float = 60.0

    @property
    def items(self) -> tuple[Item, ...]:
        """The item and its receptacle."""
        return (self.item, self.target)

    @property
    def dirt(self) -> DirtPatch | None:
        """No stain."""
        return None

    def progress(self, state: SceneState) -> float:
        """Share of the way to the receptacle's middle that the item has come."""
        if self.success(state):
            return 1.0
        item, target = state.items[self.item.name], state.items[self.target.name]
        whole = float(np.linalg.norm(target.position[:2] - item.start[:2]))
        left = float(np.linalg.norm(target.position[:2] - item.position[:2]))
        return float(np.clip(1.0 - left / max(whole, 1e-6), 0.0, 0.99))

    def success(self, state: SceneState) -> bool:
        """Wholly inside seen from above, on the receptacle's floor, not held."""
        item, target = state.items[self.item.name], state.items[self.target.name]
        across = float(np.linalg.norm(item.position[:2] - target.position[:2]))
        above = float(item.position[2] - target.position[2])
        rests = 0.0 < above < 0.06
        inside = across + self.item.radius <= self.target.inner_radius
        return inside and rests and not item.touched


@dataclass(frozen=True, slots=True, kw_only=True)
class WipeTask:
    """Wipe a stain off the table with the sponge in the hand."""

    name: str
    instruction: str
    dirt: DirtPatch
    wiped_for_success: float = 0.8
    time_limit: float = 120.0

    @property
    def items(self) -> tuple[Item, ...]:
        """Nothing else lies on the table."""
        return ()

    @property
    def not_with(self) -> tuple[str, ...]:
        """No distractors."""
        return ()

    def progress(self, state: SceneState) -> float:
        """Share of the cells that are wiped."""
        return float(np.mean(state.cleaned))

    def success(self, state: SceneState) -> bool:
        """More than the needed share is wiped."""
        return self.progress(state) > self.wiped_for_success
