"""The sponge in the hand: a block on a spring along the tool, so that it presses softly.

Its underside is the lower end of its travel; pushed against the table it gives way by
force / stiffness, up to its travel.
"""

from typing import Any, Final

import mujoco
import numpy as np

from ..types import FloatArray
from .model import HAND, ROBOT_CONTACT, SCENE_CONTACT, TOOL_SITE

SPONGE: Final = "sponge"
SPONGE_GRIP: Final = 0.95  # [rad], the finger angle at which it stops the fingers
SPONGE_STIFFNESS: Final = 350.0  # [N/m]
SPONGE_TRAVEL: Final = 0.020  # [m]
SPONGE_HALF_SIZE: Final = (0.030, 0.050)  # [m], footprint along the tool's x and y
SPONGE_BOTTOM: Final = 0.066  # [m] from the tool frame along its z to the relaxed underside

_HEIGHT: Final = 0.054
_MASS: Final = 0.03


def add_sponge(spec: Any, fingers: tuple[str, ...]) -> None:
    """Fix the sponge to the hand of an arm's specification, and let it stop the fingers."""
    for finger in fingers:
        spec.joint(finger).range = [0.0, SPONGE_GRIP]
    hand = spec.body(f"{HAND}hand")
    tool = spec.site(TOOL_SITE)
    outward = np.array([0.0, 0.0, 1.0])  # tool z
    body = hand.add_body(name=SPONGE, pos=np.array(tool.pos), quat=np.array(tool.quat))
    body.gravcomp = 1.0
    body.add_joint(
        name=SPONGE,
        type=mujoco.mjtJoint.mjJNT_SLIDE,
        axis=-outward,
        range=[0.0, SPONGE_TRAVEL],
        limited=True,
        stiffness=SPONGE_STIFFNESS,
        armature=0.02,
    )
    x, y = SPONGE_HALF_SIZE
    middle = SPONGE_BOTTOM - 0.5 * _HEIGHT
    body.add_geom(
        name=SPONGE,
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[x, y, 0.5 * _HEIGHT],
        pos=middle * outward,
        mass=_MASS,
        rgba=[0.95, 0.83, 0.20, 1.0],
        contype=ROBOT_CONTACT,
        conaffinity=SCENE_CONTACT,
        friction=[0.3, 0.01, 0.001],
        priority=1,
    )
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[x * 1.01, y * 1.01, 0.005],
        pos=(SPONGE_BOTTOM - 0.0052) * outward,
        rgba=[0.15, 0.45, 0.22, 1.0],
        contype=0,
        conaffinity=0,
        mass=0.0,
    )


def wiped_cells(
    position: FloatArray, rotation: FloatArray, cells: FloatArray, reach: float
) -> FloatArray:
    """Tell which cells lie under the sponge and within its reach.

    Args:
        position: Middle of the sponge's underside, shape (3,), in [m], base frame.
        rotation: Sponge -> base, shape (3, 3).
        cells: Centres of the cells on the table, shape (n, 2), in [m].
        reach: Largest distance from the underside to the cell, in [m].

    Returns:
        Shape (n,), bool.
    """
    points = np.concatenate([cells, np.zeros((len(cells), 1))], axis=1)
    local = (points - position) @ rotation  # (n, 3), sponge frame, z outward
    across = np.abs(local[:, :2]) <= np.array(SPONGE_HALF_SIZE)
    return np.asarray(across.all(axis=1) & (np.abs(local[:, 2]) <= reach))
