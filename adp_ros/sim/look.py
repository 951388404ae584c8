"""How a scene looks: camera, light, colours and the table's texture, randomised in named levels.

A look is a function of task, seed and level, and changes nothing that touches. Its random numbers
are its own: things lie in the same places at every level.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from ..errors import TwinError
from ..types import FloatArray, Rgb
from .textures import KINDS, draw_texture
from .view import View, nominal_view

_LIGHT: Final = (0.5, -1.0, 2.2)  # [m]
_LIGHT_TARGET: Final = (-0.05, -0.34, 0.0)  # about; the light is directional enough
_DIFFUSE: Final = (0.35, 0.34, 0.32)
_AMBIENT: Final = 0.42
_HEADLIGHT: Final = 0.38
_TABLE: Final = (0.74, 0.62, 0.48)
_FLOOR: Final = (0.52, 0.53, 0.55)
_WALL: Final = (0.80, 0.81, 0.80)


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """Largest deviations of one level of randomisation.

    Attributes:
        shift: Of the camera along each axis, in [m].
        turn: Of the camera around each axis, in [rad].
        zoom: Share of the field of view.
        light: Of the light along each axis, in [m].
        brightness: Share of the light.
        surroundings: Share of each colour of table, floor and wall.
        tint: Share of each colour of the items.
        textured: Share of the scenes whose table has a texture.
        contrast: Largest of the texture.
    """

    shift: float
    turn: float
    zoom: float
    light: float
    brightness: float
    surroundings: float
    tint: float
    textured: float
    contrast: float


LEVELS: Final[Mapping[str, Level | None]] = MappingProxyType(
    {
        "none": None,
        "default": Level(
            shift=0.004,
            turn=np.radians(0.3),
            zoom=0.004,
            light=0.4,
            brightness=0.12,
            surroundings=0.08,
            tint=0.06,
            textured=0.0,
            contrast=0.0,
        ),
        "strong": Level(
            shift=0.010,
            turn=np.radians(1.0),
            zoom=0.01,
            light=1.0,
            brightness=0.30,
            surroundings=0.20,
            tint=0.15,
            textured=0.7,
            contrast=0.30,
        ),
    }
)
LEVEL_NAMES: Final = tuple(LEVELS)


@dataclass(frozen=True, slots=True)
class Look:
    """How one scene looks. Colours are of shape (3,), 0 to 1.

    Attributes:
        view: The front camera.
        light: Where the light hangs, shape (3,), in [m].
        direction: Where it shines to, shape (3,).
        diffuse: Its colour.
        ambient: Light from everywhere, 0 to 1.
        headlight: Light from the camera, 0 to 1.
        table: Colour of the table's top.
        floor: Colour of the floor.
        wall: Colour of the wall.
        tints: Factors on the colours of the first items, shape (8, 3).
        texture: Of the table's top in place of its colour, shape (H, W, 3); None without.
    """

    view: View
    light: FloatArray
    direction: FloatArray
    diffuse: FloatArray
    ambient: float
    headlight: float
    table: FloatArray
    floor: FloatArray
    wall: FloatArray
    tints: FloatArray
    texture: Rgb | None = None

    def tinted(self, rgba: tuple[float, float, float, float], number: int) -> list[float]:
        """Return the colour of an item's part in this look, the item given by its number."""
        color = np.clip(np.array(rgba[:3]) * self.tints[number % len(self.tints)], 0.0, 1.0)
        return [*color.tolist(), rgba[3]]


def check_level(name: str) -> str:
    """Return the name unchanged.

    Raises:
        TwinError: When there is no such level, naming those that exist.
    """
    if name not in LEVELS:
        raise TwinError(f"randomisation is {name!r}, allowed: {', '.join(LEVELS)}")
    return name


def draw_look(task: str, seed: int, randomisation: str) -> Look:
    """Draw how a scene looks.

    Args:
        task: Name of the task.
        seed: Of the scene, at least 0.
        randomisation: ``none``, ``default`` or ``strong``.

    Raises:
        TwinError: When there is no such level.
    """
    level = LEVELS[check_level(randomisation)]
    light = np.array(_LIGHT)
    direction = np.array([-0.25, 0.3, -1.0])
    if level is None:
        return Look(
            nominal_view(),
            light,
            direction,
            np.array(_DIFFUSE),
            _AMBIENT,
            _HEADLIGHT,
            np.array(_TABLE),
            np.array(_FLOOR),
            np.array(_WALL),
            np.ones((8, 3)),
        )
    return _drawn(level, np.random.default_rng([seed, *f"{task}/{randomisation}".encode()]))


def _drawn(level: Level, rng: np.random.Generator) -> Look:
    light = np.array(_LIGHT) + _within(rng, level.light, 3) * [1.0, 1.0, 0.5]
    table = np.array(_TABLE) * (1.0 + _within(rng, level.surroundings, 3))
    return Look(
        view=nominal_view().moved(
            _within(rng, level.shift, 3),
            _within(rng, level.turn, 3),
            1.0 + _within(rng, level.zoom, 1)[0],
        ),
        light=light,
        direction=np.array(_LIGHT_TARGET) - light,
        diffuse=np.array(_DIFFUSE) * (1.0 + _within(rng, level.brightness, 3)),
        ambient=_AMBIENT * (1.0 + _within(rng, level.brightness, 1)[0]),
        headlight=_HEADLIGHT * (1.0 + _within(rng, level.brightness, 1)[0]),
        table=np.clip(table, 0.0, 1.0),
        floor=np.clip(np.array(_FLOOR) * (1.0 + _within(rng, level.surroundings, 3)), 0.0, 1.0),
        wall=np.clip(np.array(_WALL) * (1.0 + _within(rng, level.surroundings, 3)), 0.0, 1.0),
        tints=1.0 + _within(rng, level.tint, 24).reshape(8, 3),
        texture=_texture(level, table, rng),
    )


def _texture(level: Level, table: FloatArray, rng: np.random.Generator) -> Rgb | None:
    if rng.uniform() >= level.textured:
        return None
    kind = list(KINDS)[int(rng.integers(len(KINDS)))]
    return draw_texture(kind, table, level.contrast * rng.uniform(0.3, 1.0), rng)


def _within(rng: np.random.Generator, largest: float, count: int) -> FloatArray:
    return rng.uniform(-largest, largest, count)
