"""What surrounds the arm: options of the physics, table, room, light, front camera."""

from typing import Any, Final

import mujoco
import numpy as np

from ..types import Rgb
from .look import Look
from .model import ROBOT_CONTACT, SCENE_CONTACT, SOFT
from .view import View

CAMERA: Final = "front"
HIDDEN_GROUP: Final = 4  # drawn by nobody
TIMESTEP: Final = 0.002  # [s]
_BOX: Final = mujoco.mjtGeom.mjGEOM_BOX
_TABLE_TOP: Final = "table_top"
SEEN: Final = {"contype": 0, "conaffinity": 0, "mass": 0.0}
_LEGS: Final = ((-0.50, -0.76), (-0.50, 0.10), (0.50, -0.76), (0.50, 0.10))  # [m]


def set_options(spec: Any, look: Look) -> None:
    """Choose integrator, contacts, rendering quality and the light from the camera."""
    spec.modelname = "jaco2_table"
    spec.option.timestep = TIMESTEP
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.impratio = 10.0
    # dm_control's files turn it off, and the older one lets a cylinder sink into another.
    spec.option.disableflags &= ~int(mujoco.mjtDisableBit.mjDSBL_NATIVECCD)
    spec.visual.quality.offsamples = 0  # no multisampling: six times faster without a GPU
    spec.visual.quality.shadowsize = 0
    spec.visual.headlight.ambient = [look.ambient] * 3
    spec.visual.headlight.diffuse = [look.headlight] * 3
    spec.visual.headlight.specular = [0.05, 0.05, 0.05]
    spec.visual.map.znear = 0.02  # of the extent
    spec.stat.extent = 1.5
    spec.visual.global_.offwidth = 1280
    spec.visual.global_.offheight = 960


def add_room(spec: Any, look: Look) -> None:
    """Add light, table, floor and wall."""
    world = spec.worldbody
    world.add_light(
        pos=look.light, dir=look.direction, diffuse=look.diffuse.tolist(), castshadow=False
    )
    world.add_geom(  # what touches is a plane: contacts with it are exact, things do not creep
        name="table",
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[0.55, 0.48, 0.02],
        group=HIDDEN_GROUP,
        contype=SCENE_CONTACT,
        conaffinity=ROBOT_CONTACT | SCENE_CONTACT,
        friction=[1.0, 0.02, 0.001],
        **SOFT,
    )
    top = _add_block(world, [0.55, 0.48, 0.02], [0.0, -0.33, -0.0201], look.table)
    if look.texture is not None:
        _paint(spec, top, look.texture)
    for x, y in _LEGS:
        _add_block(world, [0.03, 0.03, 0.33], [x, y, -0.37], [0.30, 0.27, 0.25])
    _add_block(world, [3.0, 3.0, 0.02], [0.0, 0.0, -0.72], look.floor)
    _add_block(world, [3.0, 0.02, 2.0], [0.0, 1.2, 0.5], look.wall)


def add_camera(spec: Any, view: View) -> None:
    """Add the front camera."""
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, view.rotation.ravel())
    spec.worldbody.add_camera(name=CAMERA, pos=view.position, quat=quat, fovy=view.fovy)


def _add_block(world: Any, size: list[float], pos: list[float], rgb: Any) -> Any:
    return world.add_geom(type=_BOX, size=size, pos=pos, rgba=[*rgb, 1.0], **SEEN)


def _paint(spec: Any, geom: Any, texture: Rgb) -> None:
    """Give a geom a texture in place of its colour."""
    spec.add_texture(
        name=_TABLE_TOP,
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        width=texture.shape[1],
        height=texture.shape[0],
        nchannel=3,
        data=texture.ravel().tolist(),
    )
    material = spec.add_material(name=_TABLE_TOP)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = _TABLE_TOP
    geom.material = _TABLE_TOP
    geom.rgba = [1.0, 1.0, 1.0, 1.0]
