"""How a scene looks, and from where: camera, light, colours, randomised in named levels.

A look is a function of task, seed and level, and changes nothing that touches. Its random numbers
are its own: items lie in the same places at every level.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from ..errors import TwinError
from ..geometry import rotation_from_rotvec
from ..types import FloatArray, Rgb

CAMERA_POSITION: Final = (0.0, -1.18, 0.66)  # [m], base frame; it faces the arm
CAMERA_TARGET: Final = (0.0, -0.40, 0.18)
CAMERA_FOVY: Final = 44.0  # [deg]


@dataclass(frozen=True, slots=True)
class View:
    """A pinhole camera with square pixels and its principal point in the middle.

    Attributes:
        position: Of the pinhole in the base frame, shape (3,), in [m].
        rotation: Camera -> base, shape (3, 3): x to the right of the picture, y up, z backwards.
        fovy: Vertical field of view in [deg].
    """

    position: FloatArray
    rotation: FloatArray
    fovy: float

    def project(self, points: FloatArray, width: int = 640, height: int = 480) -> FloatArray:
        """Return where points are seen.

        Args:
            points: In the base frame, shape (n, 3), in [m].
            width: Of the picture, in pixels.
            height: Of the picture, in pixels.

        Returns:
            Shape (n, 2), in pixels, to the right and down from the picture's upper left corner;
            outside of the picture where they are not in it, NaN behind the camera.
        """
        local = (np.asarray(points, dtype=np.float64) - self.position) @ self.rotation
        depth = np.where(local[:, 2] < 0.0, -local[:, 2], np.nan)
        focal = 0.5 * height / np.tan(0.5 * np.radians(self.fovy))
        right = 0.5 * width + focal * local[:, 0] / depth
        below = 0.5 * height - focal * local[:, 1] / depth
        return np.stack([right, below], axis=1)

    def moved(self, shift: FloatArray, turn: FloatArray, zoom: float) -> "View":
        """Return the camera after a small move.

        Args:
            shift: Of the pinhole in the base frame, shape (3,), in [m].
            turn: Rotation vector in the camera's frame, shape (3,), in [rad].
            zoom: Factor on the field of view.
        """
        rotation = self.rotation @ rotation_from_rotvec(turn)
        return View(self.position + shift, rotation, self.fovy * zoom)


def nominal_view() -> View:
    """Return the front camera as it stands without randomisation."""
    eye, target = np.array(CAMERA_POSITION), np.array(CAMERA_TARGET)
    back = (eye - target) / np.linalg.norm(eye - target)
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right)
    return View(eye, np.stack([right, np.cross(back, right), back], axis=1), CAMERA_FOVY)


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


KINDS: Final[Mapping[str, Callable[[np.random.Generator], FloatArray]]] = {
    "planks": _planks,
    "checks": _checks,
    "clouds": _clouds,
    "specks": _specks,
}


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


LEVELS: Final[Mapping[str, Level | None]] = {
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
LEVEL_NAMES: Final = tuple(LEVELS)
DISTRACTORS: Final = ("auto", "always", "never")  # when another task's items are on the table


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


def draw_look(task: str, seed: int, randomisation: str) -> Look:
    """Draw how a scene looks.

    Args:
        task: Name of the task.
        seed: Of the scene, at least 0.
        randomisation: ``none``, ``default`` or ``strong``.

    Raises:
        TwinError: When there is no such level, naming those that exist.
    """
    if randomisation not in LEVELS:
        raise TwinError(f"randomisation is {randomisation!r}, allowed: {', '.join(LEVELS)}")
    level = LEVELS[randomisation]
    if level is None:
        return Look(
            view=nominal_view(),
            light=np.array(_LIGHT),
            direction=np.array([-0.25, 0.3, -1.0]),
            diffuse=np.array(_DIFFUSE),
            ambient=_AMBIENT,
            headlight=_HEADLIGHT,
            table=np.array(_TABLE),
            floor=np.array(_FLOOR),
            wall=np.array(_WALL),
            tints=np.ones((8, 3)),
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
