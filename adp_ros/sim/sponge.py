"""The sponge in the hand: a block on a spring along the tool, so that it presses softly.

Its underside is the lower end of its travel; pushed against the table it gives way by
force / stiffness, up to its travel.
"""

from typing import Any, Final

import mujoco
import numpy as np

from .model import HAND, ROBOT_CONTACT, SCENE_CONTACT, SOFT, TOOL_SITE
from .wiping import SPONGE_BOTTOM, SPONGE_HALF_SIZE

SPONGE: Final = "sponge"
SPONGE_GRIP: Final = 0.95  # [rad], the finger angle at which it stops the fingers
_STIFFNESS: Final = 350.0  # [N/m]
_DAMPING: Final = 6.0  # [N s/m]
_TRAVEL: Final = 0.020  # [m]

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
        range=[0.0, _TRAVEL],
        limited=True,
        stiffness=_STIFFNESS,
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
        **SOFT,
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


def damp_sponge(model: mujoco.MjModel) -> None:
    """Let the sponge come to rest without ringing, in a compiled model."""
    model.dof_damping[model.joint(SPONGE).dofadr[0]] = _DAMPING
