"""Where things lie at the start of an attempt: a function of task and seed, nothing else.

The area is the part of a 50 x 50 cm table that the arm reaches with its tool pointing down.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from ..errors import TwinError
from ..types import FloatArray
from .items import Item, Receptacle
from .tasks import Task, all_tasks

AREA_LOW: Final = (-0.25, -0.60)  # [m], base frame
AREA_HIGH: Final = (0.25, -0.27)
_GAP: Final = 0.012  # [m] between neighbours
_TRIES: Final = 2000


@dataclass(frozen=True, slots=True)
class Spot:
    """Where one item lies.

    Attributes:
        x: In [m], base frame.
        y: In [m], base frame.
        yaw: In [rad].
    """

    x: float
    y: float
    yaw: float


@dataclass(frozen=True, slots=True)
class Placement:
    """Start of an attempt.

    Attributes:
        items: Items on the table and where they lie, distractors last.
        dirt: Centre of the stain in [m], shape (2,), or None.
        looks: Per dirt cell: random numbers for kind, place and shade, 0 to 1, shape (n, 4).
    """

    items: tuple[tuple[Item, Spot], ...] = ()
    dirt: FloatArray | None = None
    looks: FloatArray = field(default_factory=lambda: np.zeros((0, 4)))


def place(task: Task, seed: int) -> Placement:
    """Draw the start of an attempt.

    Args:
        task: What is to be done. A task with items shares the table with those of another
            task in half of the scenes, so that the instruction matters.
        seed: At least 0. The same task and seed give the same placement everywhere.

    Raises:
        TwinError: When the seed is negative or nothing fits.
    """
    if seed < 0:
        raise TwinError(f"seed is {seed}, allowed: 0 and above")
    rng = np.random.default_rng([seed, *task.name.encode()])
    if task.dirt is not None:
        low = np.array(AREA_LOW) + task.dirt.half_size
        high = np.array(AREA_HIGH) - task.dirt.half_size
        return Placement(dirt=rng.uniform(low, high), looks=rng.uniform(size=(task.dirt.count, 4)))
    items = task.items + _distractors(task, rng)
    return Placement(items=_arrange(items, rng))


def _distractors(task: Task, rng: np.random.Generator) -> tuple[Item, ...]:
    others = [
        t
        for t in all_tasks().values()
        if t.items and t.name != task.name and not {i.name for i in t.items} & set(task.not_with)
    ]
    if not others or rng.uniform() < 0.5:
        return ()
    return others[int(rng.integers(len(others)))].items


def _arrange(items: tuple[Item, ...], rng: np.random.Generator) -> tuple[tuple[Item, Spot], ...]:
    for _ in range(_TRIES):
        spots = [_draw(item, rng) for item in items]
        if _apart(items, spots):
            return tuple(zip(items, spots, strict=True))
    names = ", ".join(item.name for item in items)
    raise TwinError(f"no room for {names} in {AREA_LOW} to {AREA_HIGH} m")


def _draw(item: Item, rng: np.random.Generator) -> Spot:
    margin = 0.5 * item.radius if isinstance(item, Receptacle) else item.radius
    x = rng.uniform(AREA_LOW[0] + margin, AREA_HIGH[0] - margin)
    y = rng.uniform(AREA_LOW[1] + margin, AREA_HIGH[1] - margin)
    turn = rng.uniform(-0.6, 0.6)
    return Spot(float(x), float(y), float(turn))


def _apart(items: tuple[Item, ...], spots: list[Spot]) -> bool:
    for i, (a, at) in enumerate(zip(items, spots, strict=True)):
        for b, bt in zip(items[:i], spots[:i], strict=True):
            if np.hypot(at.x - bt.x, at.y - bt.y) < a.radius + b.radius + _GAP:
                return False
    return True
