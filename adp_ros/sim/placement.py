"""Where the items lie at the start of an attempt: a function of task and seed, nothing else.

The area is the part of a 50 x 50 cm field that the arm reaches well with its tool pointing down:
with the hand at table height its wrist is singular 0.305 m from the base's axis.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import numpy as np

from ..errors import TwinError
from ..types import FloatArray
from .items import DISTRACTOR_SETS, Item, Receptacle
from .look import DISTRACTORS
from .task import SceneConfig, Task

AREA_LOW: Final = (-0.25, -0.62)  # [m], base frame
AREA_HIGH: Final = (0.25, -0.32)
TABLE_LOW: Final = (-0.46, -0.74)  # [m], where items may lie that need not be reached
TABLE_HIGH: Final = (0.46, -0.24)
_HAND: Final = 0.09  # [m] around a stain that the wiping hand needs
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


Draw = Callable[[Item, np.random.Generator], Spot | None]


@dataclass(frozen=True, slots=True)
class Placement:
    """Start of an attempt.

    Attributes:
        items: Items on the table and where they lie, distractors last.
        dirt: Centre of the stain in [m], shape (2,), or None.
        cells: Centres of the stain's cells, shape (cells, 2), in [m], base frame.
        looks: Per dirt cell: random numbers for kind, place and shade, 0 to 1, shape (cells, 4).
    """

    items: tuple[tuple[Item, Spot], ...] = ()
    dirt: FloatArray | None = None
    cells: FloatArray = field(default_factory=lambda: np.zeros((0, 2)))
    looks: FloatArray = field(default_factory=lambda: np.zeros((0, 4)))


def place(scene: SceneConfig) -> Placement:
    """Draw the start of an attempt; the same scene gives the same placement everywhere.

    Raises:
        TwinError: When the seed is negative, there is no such choice of distractors, two items
            of the task have one name, or nothing fits.
    """
    task, seed, distractors = scene.task, scene.seed, scene.distractors
    if seed < 0:
        raise TwinError(f"seed is {seed}, allowed: 0 and above")
    if distractors not in DISTRACTORS:
        raise TwinError(f"distractors is {distractors!r}, allowed: {', '.join(DISTRACTORS)}")
    names = [item.name for item in task.items]
    if len(set(names)) < len(names):
        raise TwinError(f"task {task.name!r} has items {', '.join(names)}, no name may come twice")
    rng = np.random.default_rng([seed, *task.name.encode()])
    shared = bool(rng.uniform() < 0.5)
    if distractors != "auto":
        shared = distractors == "always"
    others = _distractors(task, rng) if shared else ()
    if task.dirt is None:
        return Placement(items=_arrange(task.items + others, _draw, rng))
    half = task.dirt.half_size
    dirt = rng.uniform(np.array(AREA_LOW) + half, np.array(AREA_HIGH) - half)
    looks = rng.uniform(size=(task.dirt.count, 4))
    items = _arrange(task.items + others, partial(_draw_beside, dirt=dirt, half=half), rng)
    return Placement(items, dirt, dirt + task.dirt.offsets(), looks)


def check_reachable(item: Item, spot: Spot) -> None:
    """Refuse a place that the arm cannot reach.

    Raises:
        TwinError: When the item's middle is outside of the area, naming item, place and area.
    """
    (x0, y0), (x1, y1) = AREA_LOW, AREA_HIGH
    if not (x0 <= spot.x <= x1 and y0 <= spot.y <= y1):  # also refuses what is not a number
        raise TwinError(
            f"{item.name} at ({spot.x:g}, {spot.y:g}) m is out of reach, "
            f"allowed: x {x0:g} to {x1:g}, y {y0:g} to {y1:g}"
        )


def _distractors(task: Task, rng: np.random.Generator) -> tuple[Item, ...]:
    """Draw one of the sets whose items the task neither has nor excludes."""
    taken = {item.name for item in task.items} | set(task.not_with)
    others = [s for s in DISTRACTOR_SETS if not {item.name for item in s} & taken]
    return others[int(rng.integers(len(others)))] if others else ()


def _arrange(
    items: tuple[Item, ...], draw: Draw, rng: np.random.Generator
) -> tuple[tuple[Item, Spot], ...]:
    """Place the largest first; start over when one finds no room among those before it."""
    by_size = sorted(items, key=lambda item: -item.radius)
    for _ in range(_RESTARTS):
        placed: list[tuple[Item, Spot]] = []
        for item in by_size:
            tries = (draw(item, rng) for _ in range(_TRIES))
            spot = next((s for s in tries if s and _has_room(item, s, placed)), None)
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


def _draw_beside(
    item: Item, rng: np.random.Generator, dirt: FloatArray, half: FloatArray
) -> Spot | None:
    """Draw a place on the table; None when the hand would meet the item while it wipes."""
    low, high = np.array(TABLE_LOW) + item.radius, np.array(TABLE_HIGH) - item.radius
    x, y = rng.uniform(low, high)
    gap = np.maximum(np.abs([x, y] - dirt) - half, 0.0)
    spot = Spot(float(x), float(y), float(rng.uniform(-0.6, 0.6)))
    return spot if np.hypot(*gap) >= item.radius + _HAND else None


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
