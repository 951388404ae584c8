"""The whole scene as one MuJoCo model: arm, table, room, items, sponge, stain, front camera.

A scene is a function of (task, seed, robot type, distractors, randomisation) alone, so that the
process that simulates and the process that renders build the same one. Everything that moves is
in ``qpos``; the stain's cells are made invisible as they are wiped.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from ..errors import TwinError
from ..robots.jaco2.arms import arm_model
from ..types import FloatArray, Rgb
from .arm_model import (
    ROBOT_CONTACT,
    SCENE_CONTACT,
    SOFT,
    SPONGE_GRIP,
    add_sponge,
    build_arm,
    damp_sponge,
    finger_joints,
    set_joint_dynamics,
)
from .engine import mujoco
from .items import Item, Part, Triangles, blot, turn
from .look import Look, draw_look
from .placement import Placement, check_reachable, place
from .stain import DirtPatch
from .task import SceneConfig

CAMERA: Final = "front"
HIDDEN_GROUP: Final = 4  # never drawn
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
    world.add_geom(  # what touches is a plane: contacts with it are exact, items do not creep
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


_CYLINDER: Final = mujoco.mjtGeom.mjGEOM_CYLINDER
_BLOTS: Final = 6  # different outlines
_FIRM: Final = {"solref": [0.01, 1.0], "solimp": [0.99, 0.999, 0.001, 0.5, 2.0]}  # held, no slip


def cell_geom(index: int) -> str:
    """Return the name of the geom that shows a cell of the stain."""
    return f"dirt_{index}"


def add_item(spec: Any, item: Item, look: Look, number: int) -> None:
    """Add an item that can be moved, coloured as the look says for its number."""
    body = spec.worldbody.add_body(name=item.name)
    body.add_freejoint(name=item.name)
    body.add_geom(
        name=item.name,
        type=_BOX if item.shape == "box" else _CYLINDER,
        size=list(item.size) + [0.0] * (3 - len(item.size)),
        mass=item.mass,
        rgba=look.tinted(item.rgba, number),
        group=HIDDEN_GROUP if item.parts else 0,
        contype=SCENE_CONTACT,
        conaffinity=ROBOT_CONTACT | SCENE_CONTACT,
        condim=4,
        friction=[1.2, 0.02, 0.001],
        **_FIRM,
    )
    for i, part in enumerate(item.parts):
        _add_part(spec, body, f"{item.name}_{i}", part, look.tinted(part.rgba, number))


def _add_part(spec: Any, body: Any, name: str, part: Part, rgba: list[float]) -> None:
    _add_mesh(spec, name, *turn(part.profile))
    quat = [np.sqrt(0.5), -np.sqrt(0.5), 0.0, 0.0] if part.lying else [1.0, 0.0, 0.0, 0.0]
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_MESH,
        meshname=name,
        pos=list(part.offset),
        quat=quat,
        rgba=rgba,
        **SEEN,
    )


def add_stain(spec: Any, dirt: DirtPatch, placement: Placement) -> None:
    """Show each cell as a flat blot of one of a few outlines, shifted and shaded a little."""
    cells, looks = placement.cells, placement.looks
    for kind in range(_BLOTS):
        edge = dirt.cell * (0.60 + 0.22 * np.resize(looks[kind::_BLOTS, 0], 14))
        _add_mesh(spec, f"blot_{kind}", *blot(edge, 0.0005))
    for i, ((x, y), (kind, dx, dy, shade)) in enumerate(zip(cells, looks, strict=True)):
        spec.worldbody.add_geom(
            name=cell_geom(i),
            type=mujoco.mjtGeom.mjGEOM_MESH,
            meshname=f"blot_{int(kind * _BLOTS)}",
            pos=[x + 0.2 * dirt.cell * (dx - 0.5), y + 0.2 * dirt.cell * (dy - 0.5), 0.0008],
            rgba=[0.36 + 0.08 * shade, 0.17 + 0.05 * shade, 0.06, 1.0],
            **SEEN,
        )


def _add_mesh(spec: Any, name: str, vertices: FloatArray, faces: Triangles) -> None:
    spec.add_mesh(name=name, uservert=vertices.ravel().tolist(), userface=faces.ravel().tolist())


OPEN_FINGER: Final = 0.0  # [rad]


@dataclass(frozen=True, slots=True)
class Scene:
    """A compiled scene.

    Attributes:
        config: What it is a function of.
        model: The compiled model; ``timestep`` 2 ms.
        start: Positions at the start, shape (nq,): arm at home, items at rest.
        placement: Where the items lie.
        look: Camera, light and colours.
    """

    config: SceneConfig
    model: mujoco.MjModel
    start: FloatArray
    placement: Placement
    look: Look

    @property
    def cells(self) -> FloatArray:
        """Centres of the stain's cells, shape (cells, 2), in [m], base frame."""
        return self.placement.cells


def build_scene(config: SceneConfig) -> Scene:
    """Make a scene.

    Raises:
        TwinError: When the robot type has no model, the seed is negative, an item of the task
            lies out of reach, there is no such choice of distractors or level, or the items can't
            be built.
    """
    placement = place(config)
    for item, spot in placement.items[: len(config.task.items)]:
        check_reachable(item, spot)
    look = draw_look(config.task.name, config.seed, config.randomisation)
    model = _compile(config, placement, look)
    return Scene(config, model, _start(model, config, placement), placement, look)


def _compile(config: SceneConfig, placement: Placement, look: Look) -> mujoco.MjModel:
    task, robot_type = config.task, config.robot_type
    spec = build_arm(robot_type)
    set_options(spec, look)
    add_room(spec, look)
    view, quat = look.view, np.zeros(4)
    mujoco.mju_mat2Quat(quat, view.rotation.ravel())
    spec.worldbody.add_camera(name=CAMERA, pos=view.position, quat=quat, fovy=view.fovy)
    try:
        for number, (item, _) in enumerate(placement.items):
            add_item(spec, item, look, number)
        if task.dirt is not None:
            add_stain(spec, task.dirt, placement)
            add_sponge(spec, finger_joints(robot_type))
        model = spec.compile()
    except ValueError as error:  # a name of the arm or the room, sizes that are no shape
        reason = " ".join(str(error).split())
        raise TwinError(f"the scene of task {task.name!r} can't be built: {reason}") from error
    set_joint_dynamics(model, robot_type)
    if task.dirt is not None:
        damp_sponge(model)
    return model


def _start(model: mujoco.MjModel, config: SceneConfig, placement: Placement) -> FloatArray:
    qpos = np.array(model.qpos0)
    qpos[:6] = arm_model(config.robot_type).home
    for name in finger_joints(config.robot_type):
        finger = OPEN_FINGER if config.task.dirt is None else SPONGE_GRIP
        qpos[model.joint(name).qposadr[0]] = finger
    for item, spot in placement.items:
        at, half = model.joint(item.name).qposadr[0], 0.5 * spot.yaw
        qpos[at : at + 3] = spot.x, spot.y, item.half_height
        qpos[at + 3 : at + 7] = np.cos(half), 0.0, 0.0, np.sin(half)
    return qpos
