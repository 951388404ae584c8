"""Shape of an arm as capsules: a line with a thickness for each link, hand and finger."""

from dataclasses import dataclass
from math import isfinite

import numpy as np

from ..errors import ConfigError
from ..geometry import rotation_from_quaternion
from ..types import FloatArray

Point = tuple[float, float, float]
_FRAMES = 7  # the base and six links


@dataclass(frozen=True, slots=True)
class Capsule:
    """All points within a radius of a line.

    Attributes:
        name: For messages.
        frame: Frame that it is fixed to: 0 the base, 1 to 6 the links; the hand is link 6.
        start: One end of the line in that frame, in [m].
        end: The other end, in [m].
        radius: In [m].
    """

    name: str
    frame: int
    start: Point
    end: Point
    radius: float


@dataclass(frozen=True, slots=True)
class FingerShape:
    """One finger, a capsule that turns around an axis of the hand.

    Attributes:
        name: For messages.
        position: Origin of the finger's frame in link 6, in [m]; it turns around its z axis.
        rotation: Quaternion (x, y, z, w) of that frame in link 6 when the finger is open.
        start: One end of the line in the finger's frame, in [m].
        end: The other end, in [m].
        radius: In [m].
        closed: Angle of the closed hand, in [rad].
    """

    name: str
    position: Point
    rotation: tuple[float, float, float, float]
    start: Point
    end: Point
    radius: float
    closed: float

    def ends(self, angle: float) -> FloatArray:
        """Return both ends in link 6, shape (2, 3), in [m], at an angle in [rad]; 0 is open."""
        c, s = np.cos(angle), np.sin(angle)
        turned = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
        frame = rotation_from_quaternion(np.array(self.rotation)) @ turned
        return np.asarray(np.array(self.position) + np.array([self.start, self.end]) @ frame.T)


@dataclass(frozen=True, slots=True)
class ArmShape:
    """The whole arm.

    Attributes:
        links: Base, links and hand.
        fingers: Empty for an arm whose fingers nothing is known of.
        apart: Pairs of names that may touch each other; all others never can, or always do.

    Raises:
        ConfigError: Names the capsule that can't be meant.
    """

    links: tuple[Capsule, ...]
    fingers: tuple[FingerShape, ...]
    apart: tuple[tuple[str, str], ...]

    def __post_init__(self) -> None:
        parts: tuple[Capsule | FingerShape, ...] = (*self.links, *self.fingers)
        names = [part.name for part in parts]
        for part in parts:
            if names.count(part.name) > 1:
                raise ConfigError(f"shape has two capsules named {part.name!r}")
            if not all(map(isfinite, (*part.start, *part.end))):
                raise ConfigError(f"shape: ends of {part.name!r} are not finite numbers")
            if not (isfinite(part.radius) and part.radius > 0.0):
                raise ConfigError(
                    f"shape: radius of {part.name!r} is {part.radius}, allowed: above 0 [m]"
                )
        for link in self.links:
            if link.frame not in range(_FRAMES):
                raise ConfigError(
                    f"shape: frame of {link.name!r} is {link.frame}, allowed: 0 to {_FRAMES - 1}"
                )
        for name in (name for pair in self.apart for name in pair):
            if name not in names:
                raise ConfigError(
                    f"shape: apart names {name!r}, which is no capsule; known: {', '.join(names)}"
                )
