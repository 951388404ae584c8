"""What can lie on the table: shapes, sizes, colours and masses, as data.

Sizes are in [m], masses in [kg]. ``half_height`` is where the origin of a resting item lies
above the table.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..types import FloatArray

Rgba = tuple[float, float, float, float]
Profile = tuple[tuple[float, float], ...]  # (radius, height) from the axis at the bottom upwards


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A turned part of an item that is seen but touches nothing.

    Attributes:
        profile: Outline that is turned around the z axis, (radius, height) in [m].
        rgba: Colour.
        offset: Origin in the item's frame, in [m].
        lying: True when the part's axis is the item's y axis instead of its z axis.
    """

    profile: Profile
    rgba: Rgba
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    lying: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Grasp:
    """How the hand takes an item from above.

    Attributes:
        above: Height of the tool frame above the item's origin, in [m].
        closed: Angle of the fingers at which they stall on it, in [rad].
        symmetry: Turns of the hand around the vertical that fit equally well: 2 for a bar, 0
            when any turn fits.
        yaw: Direction of the tool's x axis, along which the fingers close, that is preferred
            among these, in [rad] from the base's x axis.
    """

    above: float
    closed: float
    symmetry: int
    yaw: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A free body: one simple shape that touches, and parts that are seen.

    Attributes:
        name: Name in a scene.
        shape: ``cylinder`` (radius, half height) or ``box`` (half sizes).
        size: Sizes of the shape in [m].
        mass: In [kg].
        radius: Radius of the circle that encloses it seen from above, in [m].
        rgba: Colour of the shape; seen only when there are no parts.
        parts: What is seen in place of the shape.
        grasp: How it is taken; None for what stays on the table.
    """

    name: str
    shape: str
    size: tuple[float, ...]
    mass: float
    radius: float
    rgba: Rgba
    parts: tuple[Part, ...] = ()
    grasp: Grasp | None = None

    @property
    def half_height(self) -> float:
        """Height of the origin above the table at rest, in [m]."""
        return self.size[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Receptacle(Item):
    """An item that others are put into.

    Attributes:
        inner_radius: Radius of the floor that counts as inside, in [m].
        floor: Height of that floor above the table, in [m].
    """

    inner_radius: float
    floor: float


HOME_YAW: Final = 1.115  # [rad], the hand's at home once it is tilted down
_ORANGE: Final[Rgba] = (0.96, 0.42, 0.05, 1.0)
_DARK_ORANGE: Final[Rgba] = (0.80, 0.30, 0.03, 1.0)
_CARROT: Final[Rgba] = (0.95, 0.40, 0.08, 1.0)
_BLUE: Final[Rgba] = (0.07, 0.22, 0.62, 1.0)
_LEAF: Final[Rgba] = (0.18, 0.50, 0.13, 1.0)

POT: Final = Item(
    name="pot",
    shape="cylinder",
    size=(0.027, 0.028),
    mass=0.06,
    radius=0.031,
    rgba=_ORANGE,
    grasp=Grasp(above=0.027, closed=0.95, symmetry=0, yaw=HOME_YAW),
    parts=(
        Part(
            profile=(
                (0.0, -0.028),
                (0.021, -0.028),
                (0.0255, -0.022),
                (0.027, 0.010),
                (0.0275, 0.017),
                (0.030, 0.018),
                (0.030, 0.021),
                (0.022, 0.022),
                (0.0, 0.022),
            ),
            rgba=_ORANGE,
        ),
        Part(
            profile=(
                (0.0, 0.0215),
                (0.027, 0.0215),
                (0.024, 0.026),
                (0.008, 0.029),
                (0.005, 0.032),
                (0.009, 0.036),
                (0.007, 0.040),
                (0.0, 0.041),
            ),
            rgba=_DARK_ORANGE,
        ),
    ),
)

CUBE: Final = Item(
    name="cube",
    shape="box",
    size=(0.022, 0.022, 0.022),
    mass=0.05,
    radius=0.032,
    rgba=(0.08, 0.22, 0.85, 1.0),
    grasp=Grasp(above=0.030, closed=1.02, symmetry=0, yaw=HOME_YAW),
)

CARROT: Final = Item(
    name="carrot",
    shape="box",
    size=(0.014, 0.046, 0.014),
    mass=0.04,
    radius=0.064,
    rgba=_CARROT,
    grasp=Grasp(above=0.031, closed=1.15, symmetry=2, yaw=0.0),
    parts=(
        Part(
            profile=(
                (0.0, -0.058),
                (0.004, -0.055),
                (0.009, -0.032),
                (0.0145, 0.015),
                (0.016, 0.034),
                (0.012, 0.042),
                (0.0, 0.043),
            ),
            rgba=_CARROT,
            lying=True,
        ),
        Part(
            profile=((0.0, 0.041), (0.005, 0.042), (0.012, 0.056), (0.008, 0.063), (0.0, 0.064)),
            rgba=_LEAF,
            lying=True,
        ),
    ),
)


def _plate(name: str, rgba: Rgba, inside: Rgba) -> Receptacle:
    outline = (
        (0.0, -0.004),
        (0.060, -0.004),
        (0.105, 0.010),
        (0.106, 0.0115),
        (0.103, 0.0115),
        (0.082, 0.004),
        (0.0, 0.004),
    )
    well = ((0.0, 0.0041), (0.080, 0.0041), (0.080, 0.0045), (0.0, 0.0045))
    return Receptacle(
        name=name,
        shape="cylinder",
        size=(0.085, 0.004),
        mass=0.30,
        radius=0.107,
        rgba=rgba,
        parts=(Part(profile=outline, rgba=rgba), Part(profile=well, rgba=inside)),
        inner_radius=0.085,
        floor=0.008,
    )


GREEN_PLATE: Final = _plate("green_plate", (0.08, 0.45, 0.16, 1.0), (0.12, 0.58, 0.22, 1.0))
WHITE_PLATE: Final = _plate("white_plate", (0.86, 0.86, 0.88, 1.0), (0.96, 0.96, 0.96, 1.0))

PAN: Final = Receptacle(
    name="pan",
    shape="cylinder",
    size=(0.088, 0.004),
    mass=0.40,
    radius=0.101,
    rgba=_BLUE,
    parts=(
        Part(
            profile=(
                (0.0, -0.004),
                (0.088, -0.004),
                (0.098, 0.022),
                (0.100, 0.023),
                (0.095, 0.023),
                (0.087, 0.004),
                (0.0, 0.004),
            ),
            rgba=_BLUE,
        ),
        Part(
            profile=((0.0, 0.0041), (0.085, 0.0041), (0.085, 0.0045), (0.0, 0.0045)),
            rgba=(0.14, 0.34, 0.80, 1.0),
        ),
        Part(
            profile=((0.0, 0.095), (0.008, 0.096), (0.010, 0.165), (0.006, 0.178), (0.0, 0.179)),
            rgba=(0.10, 0.10, 0.12, 1.0),
            offset=(0.0, 0.0, 0.018),
            lying=True,
        ),
    ),
    inner_radius=0.087,
    floor=0.008,
)

ITEMS: Final = {item.name: item for item in (POT, CUBE, CARROT, GREEN_PLATE, WHITE_PLATE, PAN)}

# What may share the table with a task's own items. Scenes of published seeds are drawn from this
# list, whatever tasks there are: another set, or another order, gives other scenes.
DISTRACTOR_SETS: Final[tuple[tuple[Item, ...], ...]] = (
    (CARROT, PAN),
    (CUBE, WHITE_PLATE),
    (POT, GREEN_PLATE),
)

Triangles = NDArray[np.int32]


def turn(profile: Profile, segments: int = 40) -> tuple[FloatArray, Triangles]:
    """Rotate an outline around the z axis.

    Args:
        profile: (radius, height) in [m], counter-clockwise seen with the radius to the right:
            it begins and ends on the axis (radius 0), bottom first.
        segments: Facets around the axis.

    Returns:
        Vertices of shape (n, 3) in [m] and triangles of shape (k, 3), outside facing out.

    Raises:
        ValueError: When the outline does not begin and end on the axis.
    """
    radii = np.array([r for r, _ in profile])
    heights = np.array([z for _, z in profile])
    if radii[0] != 0.0 or radii[-1] != 0.0 or len(profile) < 3:
        raise ValueError("an outline has at least 3 points, the first and last on the axis")
    angle = np.linspace(0.0, 2.0 * np.pi, segments, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)  # (S, 2)
    inner = radii[1:-1, None, None] * ring  # (R, S, 2)
    sides = np.concatenate(
        [inner, np.broadcast_to(heights[1:-1, None, None], (*inner.shape[:2], 1))], axis=2
    )
    poles = np.array([[0.0, 0.0, heights[0]], [0.0, 0.0, heights[-1]]])
    vertices = np.concatenate([poles, sides.reshape(-1, 3)])
    return vertices, _faces(len(profile) - 2, segments)


def blot(radii: FloatArray, height: float) -> tuple[FloatArray, Triangles]:
    """Make a flat blot with an uneven edge.

    Args:
        radii: Distance of the edge from the middle in equal steps of angle, shape (k,), in [m].
        height: Of its upper side above its lower, in [m].

    Returns:
        Vertices of shape (2 k + 2, 3) in [m] and triangles of shape (4 k, 3).
    """
    count = len(radii)
    vertices, faces = turn(((0.0, 0.0), (1.0, 0.0), (1.0, height), (0.0, height)), count)
    vertices[2:, :2] *= np.tile(radii, 2)[:, None]
    return vertices, faces


def _faces(rings: int, segments: int) -> Triangles:
    here = np.arange(segments)
    after = (here + 1) % segments
    first, last = 2, 2 + (rings - 1) * segments
    faces = [
        np.stack([np.zeros(segments, int), first + after, first + here], axis=1),
        np.stack([np.ones(segments, int), last + here, last + after], axis=1),
    ]
    for ring in range(rings - 1):
        low, high = first + ring * segments, first + (ring + 1) * segments
        faces.append(np.stack([low + here, low + after, high + after], axis=1))
        faces.append(np.stack([low + here, high + after, high + here], axis=1))
    return np.concatenate(faces).astype(np.int32)
