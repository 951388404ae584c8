"""The whole scene as one MuJoCo model: arm, table, room, items, sponge, stain, front camera.

A scene is a function of (task, seed, robot type) alone, so that the process that simulates and
the process that renders build the same one. Everything that moves is in ``qpos``; the stain's
cells are made invisible as they are wiped.
"""

from dataclasses import dataclass
from typing import Any, Final

import mujoco
import numpy as np

from ..kinematics import arm_model
from ..types import FloatArray
from .items import Item, Part
from .model import (
    ROBOT_CONTACT,
    SCENE_CONTACT,
    SOFT,
    build_arm,
    finger_joints,
    set_joint_dynamics,
)
from .placement import Placement, Spot, place
from .shapes import Triangles, blot, turn
from .sponge import SPONGE_GRIP, add_sponge, damp_sponge
from .tasks import DirtPatch, Task, find_task

CAMERA: Final = "front"
CAMERA_POSITION: Final = (0.0, -1.18, 0.66)  # [m], base frame; it faces the arm
CAMERA_TARGET: Final = (0.0, -0.40, 0.18)
CAMERA_FOVY: Final = 44.0  # [deg]
TIMESTEP: Final = 0.002  # [s]
OPEN_FINGER: Final = 0.0  # [rad]

_BOX: Final = mujoco.mjtGeom.mjGEOM_BOX
_CYLINDER: Final = mujoco.mjtGeom.mjGEOM_CYLINDER
_BLOTS: Final = 6  # different outlines
_HIDDEN_GROUP: Final = 4  # drawn by nobody
_ANY: Final = SCENE_CONTACT | ROBOT_CONTACT
_FIRM: Final = {"solref": [0.01, 1.0], "solimp": [0.99, 0.999, 0.001, 0.5, 2.0]}  # held, no slip
_SEEN: Final = {"contype": 0, "conaffinity": 0, "mass": 0.0}


@dataclass(frozen=True, slots=True)
class Scene:
    """A compiled scene.

    Attributes:
        task: What is to be done in it.
        seed: Seed of the placement.
        robot_type: Kind of arm.
        model: The compiled model; ``timestep`` 2 ms.
        start: Positions at the start, shape (nq,): arm at home, items at rest.
        placement: Where things lie.
        cells: Centres of the stain's cells, shape (cells, 2), in [m], base frame.
    """

    task: Task
    seed: int
    robot_type: str
    model: mujoco.MjModel
    start: FloatArray
    placement: Placement
    cells: FloatArray


def build_scene(task: str, seed: int, robot_type: str = "j2n6s300") -> Scene:
    """Make the scene of a task.

    Args:
        task: Name of the task.
        seed: Seed of the placement, at least 0.
        robot_type: ``j2n6s300`` or ``j2n6s200``.

    Raises:
        ConfigError: When there is no such task.
        TwinError: When the robot type has no model, or the seed is negative.
    """
    found = find_task(task)
    placement = place(found, seed)
    spec = build_arm(robot_type)
    _set_options(spec)
    _add_room(spec)
    _add_camera(spec)
    for item, _ in placement.items:
        _add_item(spec, item)
    cells = np.zeros((0, 2))
    if found.dirt is not None and placement.dirt is not None:
        cells = placement.dirt + found.dirt.offsets()
        _add_stain(spec, found.dirt, cells, placement.looks)
        add_sponge(spec, finger_joints(robot_type))
    model = spec.compile()
    set_joint_dynamics(model, robot_type)
    if found.dirt is not None:
        damp_sponge(model)
    start = _start(model, placement, robot_type, holds_sponge=found.dirt is not None)
    return Scene(found, seed, robot_type, model, start, placement, cells)


def cell_geom(index: int) -> str:
    """Return the name of the geom that shows a cell of the stain."""
    return f"dirt_{index}"


def _start(
    model: mujoco.MjModel, placement: Placement, robot_type: str, *, holds_sponge: bool
) -> FloatArray:
    qpos = np.array(model.qpos0)
    qpos[:6] = arm_model(robot_type).home
    for name in finger_joints(robot_type):
        finger = SPONGE_GRIP if holds_sponge else OPEN_FINGER
        qpos[model.joint(name).qposadr[0]] = finger
    for item, spot in placement.items:
        at = model.joint(item.name).qposadr[0]
        qpos[at : at + 7] = _free_pose(item, spot)
    return qpos


def _free_pose(item: Item, spot: Spot) -> list[float]:
    half = 0.5 * spot.yaw
    return [spot.x, spot.y, item.half_height, float(np.cos(half)), 0.0, 0.0, float(np.sin(half))]


def _set_options(spec: Any) -> None:
    spec.modelname = "jaco2_table"
    spec.option.timestep = TIMESTEP
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.impratio = 10.0
    spec.visual.quality.offsamples = 0  # no multisampling: six times faster without a GPU
    spec.visual.quality.shadowsize = 0
    spec.visual.headlight.ambient = [0.42, 0.42, 0.42]
    spec.visual.headlight.diffuse = [0.38, 0.38, 0.38]
    spec.visual.headlight.specular = [0.05, 0.05, 0.05]
    spec.visual.map.znear = 0.02  # of the extent
    spec.stat.extent = 1.5
    spec.visual.global_.offwidth = 1280
    spec.visual.global_.offheight = 960


def _add_room(spec: Any) -> None:
    world = spec.worldbody
    world.add_light(
        pos=[0.5, -1.0, 2.2], dir=[-0.25, 0.3, -1.0], diffuse=[0.35, 0.34, 0.32], castshadow=False
    )
    world.add_geom(  # what touches is a plane: contacts with it are exact, things do not creep
        name="table",
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[0.55, 0.48, 0.02],
        group=_HIDDEN_GROUP,
        contype=SCENE_CONTACT,
        conaffinity=_ANY,
        friction=[1.0, 0.02, 0.001],
        **SOFT,
    )
    world.add_geom(
        type=_BOX,
        size=[0.55, 0.48, 0.02],
        pos=[0.0, -0.33, -0.0201],
        rgba=[0.74, 0.62, 0.48, 1.0],
        **_SEEN,
    )
    for x in (-0.50, 0.50):
        for y in (-0.76, 0.10):
            world.add_geom(
                type=_BOX,
                size=[0.03, 0.03, 0.33],
                pos=[x, y, -0.37],
                rgba=[0.30, 0.27, 0.25, 1.0],
                **_SEEN,
            )
    world.add_geom(
        type=_BOX,
        size=[3.0, 3.0, 0.02],
        pos=[0.0, 0.0, -0.72],
        rgba=[0.52, 0.53, 0.55, 1.0],
        **_SEEN,
    )
    world.add_geom(
        type=_BOX,
        size=[3.0, 0.02, 2.0],
        pos=[0.0, 1.2, 0.5],
        rgba=[0.80, 0.81, 0.80, 1.0],
        **_SEEN,
    )


def _add_camera(spec: Any) -> None:
    eye, target = np.array(CAMERA_POSITION), np.array(CAMERA_TARGET)
    back = (eye - target) / np.linalg.norm(eye - target)
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right)
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, np.stack([right, np.cross(back, right), back], axis=1).ravel())
    spec.worldbody.add_camera(name=CAMERA, pos=eye, quat=quat, fovy=CAMERA_FOVY)


def _add_item(spec: Any, item: Item) -> None:
    body = spec.worldbody.add_body(name=item.name)
    body.add_freejoint(name=item.name)
    body.add_geom(
        name=item.name,
        type=_BOX if item.shape == "box" else _CYLINDER,
        size=list(item.size) + [0.0] * (3 - len(item.size)),
        mass=item.mass,
        rgba=item.rgba,
        group=_HIDDEN_GROUP if item.parts else 0,
        contype=SCENE_CONTACT,
        conaffinity=_ANY,
        condim=4,
        friction=[1.2, 0.02, 0.001],
        **_FIRM,
    )
    for number, part in enumerate(item.parts):
        _add_part(spec, body, f"{item.name}_{number}", part)


def _add_part(spec: Any, body: Any, name: str, part: Part) -> None:
    _add_mesh(spec, name, *turn(part.profile))
    quat = [np.sqrt(0.5), -np.sqrt(0.5), 0.0, 0.0] if part.lying else [1.0, 0.0, 0.0, 0.0]
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_MESH,
        meshname=name,
        pos=list(part.offset),
        quat=quat,
        rgba=part.rgba,
        **_SEEN,
    )


def _add_stain(spec: Any, dirt: DirtPatch, cells: FloatArray, looks: FloatArray) -> None:
    """Show each cell as a flat blot of one of a few outlines, shifted and shaded a little."""
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
            **_SEEN,
        )


def _add_mesh(spec: Any, name: str, vertices: FloatArray, faces: Triangles) -> None:
    spec.add_mesh(name=name, uservert=vertices.ravel().tolist(), userface=faces.ravel().tolist())
