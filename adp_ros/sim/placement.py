"""Where things lie at the start of an attempt: a function of task and seed, nothing else.

The area is the part of a 50 x 50 cm field that the arm reaches well with its tool pointing down:
with the hand at table height its wrist is singular 0.305 m from the base's axis.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from ..errors import TwinError
from ..types import FloatArray
from .items import Item, Receptacle
from .tasks import Task, all_tasks

AREA_LOW: Final = (-0.25, -0.62)  # [m], base frame
AREA_HIGH: Final = (0.25, -0.32)
_GAP: Final = 0.012  # [m] between neighbours
_FINGERS: Final = 0.115  # [m] from an item's middle that the open hand's fingers sweep
_TRIES: Final = 60
_RESTARTS: Final = 200


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
    """Place the largest first; start over when one finds no room among those before it."""
    by_size = sorted(items, key=lambda item: -item.radius)
    for _ in range(_RESTARTS):
        placed: list[tuple[Item, Spot]] = []
        for item in by_size:
            tries = (_draw(item, rng) for _ in range(_TRIES))
            spot = next((s for s in tries if _has_room(item, s, placed)), None)
            if spot is None:
                break
            placed.append((item, spot))
        else:
            spots = {item.name: spot for item, spot in placed}
            return tuple((item, spots[item.name]) for item in items)
    names = ", ".join(item.name for item in items)
    raise TwinError(f"no room for {names} in {AREA_LOW} to {AREA_HIGH} m")


def _draw(item: Item, rng: np.random.Generator) -> Spot:
    # Of a receptacle only the middle has to be reached; its rim may stand out of the area.
    margin = 0.4 * item.radius if isinstance(item, Receptacle) else item.radius
    x = rng.uniform(AREA_LOW[0] + margin, AREA_HIGH[0] - margin)
    y = rng.uniform(AREA_LOW[1] + margin, AREA_HIGH[1] - margin)
    return Spot(float(x), float(y), float(rng.uniform(-0.6, 0.6)))


def _has_room(item: Item, spot: Spot, placed: list[tuple[Item, Spot]]) -> bool:
    return all(
        np.hypot(spot.x - there.x, spot.y - there.y) >= _distance(item, other)
        for other, there in placed
    )


def _distance(item: Item, other: Item) -> float:
    """Return how far apart two items must lie at least, in [m]."""
    touching = item.radius + other.radius + _GAP
    if item.grasp is None or other.grasp is None:
        return touching
    return max(touching, _FINGERS + max(item.radius, other.radius))
