"""Shape of an arm as capsules: a line with a thickness for each link, hand and finger."""

from dataclasses import dataclass

import numpy as np

from ..geometry import rotation_from_quaternion
from ..types import FloatArray

Point = tuple[float, float, float]


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
    """

    name: str
    position: Point
    rotation: tuple[float, float, float, float]
    start: Point
    end: Point
    radius: float

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
    """

    links: tuple[Capsule, ...]
    fingers: tuple[FingerShape, ...]
    apart: tuple[tuple[str, str], ...]
