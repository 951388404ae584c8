"""The Jaco2's shape: the thinnest capsules around the convex hulls of its meshes.

Meshes: those of the dm_control package (third_party/kinova), made from Kinova's own. The spherical
wrist has no mesh there; its links have the radius of the forearm.
"""

from math import radians
from typing import Final

from ..shape import ArmShape, Capsule, FingerShape

_ARM: Final = (
    Capsule("base", 0, (0.0, 0.0015, 0.0315), (0.0, 0.0015, 0.1335), 0.0490),
    Capsule("shoulder", 1, (0.0, 0.0, -0.0155), (0.0, -0.0138, -0.1186), 0.0445),
    Capsule("upper arm", 2, (0.0, 0.0, -0.0148), (0.0, -0.4098, -0.0146), 0.0445),
    Capsule("forearm", 3, (0.0, 0.0, -0.0158), (0.0, 0.1763, -0.0115), 0.0445),
)
_WRISTS: Final = {
    "n": (
        Capsule("wrist 1", 4, (0.0, 0.0, -0.0110), (0.0, -0.0275, -0.0586), 0.0338),
        Capsule("wrist 2", 5, (0.0, 0.0, -0.0110), (0.0, -0.0275, -0.0586), 0.0338),
    ),
    "s": (
        Capsule("wrist 1", 4, (0.0, 0.0, 0.0), (0.0, 0.0, -0.1038), 0.0445),
        Capsule("wrist 2", 5, (0.0, 0.0, 0.0), (0.0, 0.1038, 0.0), 0.0445),
    ),
}
_HAND: Final = (
    Capsule("hand", 6, (0.0, -0.0022, -0.0803), (0.0, 0.0, -0.0481), 0.0580),
    Capsule("palm", 6, (-0.0072, 0.0001, -0.1031), (0.0096, -0.0010, -0.1047), 0.0245),
)
_LINE: Final = ((0.0006, -0.0066, 0.0), (0.0749, -0.0060, 0.0))  # knuckle and tip
_FINGER_RADIUS: Final = 0.0170
_CLOSED: Final = radians(80.0)
_THREE: Final = (
    ((0.00279, 0.03126, -0.11467), (-0.631592, -0.38818123, 0.62521198, 0.24396077)),
    ((-0.02226, -0.02707, -0.11482), (-0.25467106, 0.65965315, -0.37146008, 0.60167914)),
    ((0.02226, -0.02707, -0.11482), (-0.37146008, 0.60167914, -0.25467106, 0.65965315)),
)
_TWO: Final = (
    _THREE[0],  # and its image under half a turn around the hand's axis
    ((-0.00279, -0.03126, -0.11467), (0.38818123, -0.631592, 0.24396077, -0.62521198)),
)


def jaco2_shape(wrist: str, fingers: int) -> ArmShape:
    """Return the capsules of an arm.

    Args:
        wrist: ``n`` non-spherical or ``s`` spherical.
        fingers: 2 or 3.
    """
    placed = _TWO if fingers == 2 else _THREE
    shapes = tuple(
        FingerShape(f"finger {i + 1}", position, rotation, *_LINE, _FINGER_RADIUS, _CLOSED)
        for i, (position, rotation) in enumerate(placed)
    )
    links = (*_ARM, *_WRISTS[wrist], *_HAND)
    outer = (*(c.name for c in links if c.frame >= 4), *(finger.name for finger in shapes))
    # Forearm and hand, and all that is closer along the arm, can't reach each other.
    apart = tuple((name, inner) for inner in ("base", "shoulder", "upper arm") for name in outer)
    return ArmShape(links, shapes, apart)
