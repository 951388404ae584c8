"""The whole scene as one MuJoCo model: arm, table, room, items, sponge, stain, front camera.

A scene is a function of (task, seed, robot type, distractors, randomisation) alone, so that the
process that simulates and the process that renders build the same one. Everything that moves is
in ``qpos``; the stain's cells are made invisible as they are wiped.
"""

from dataclasses import dataclass
from typing import Final

import mujoco
import numpy as np

from ..kinematics import arm_model
from ..types import FloatArray
from .items import Item
from .look import Look, draw_look
from .model import build_arm, finger_joints, set_joint_dynamics
from .placement import Placement, Spot, check_reachable, place
from .room import CAMERA, TIMESTEP, add_camera, add_room, set_options
from .sponge import SPONGE_GRIP, add_sponge, damp_sponge
from .tasks import Task, find_task
from .things import add_item, add_stain, cell_geom

__all__ = ["CAMERA", "OPEN_FINGER", "TIMESTEP", "Scene", "build_scene", "cell_geom"]

OPEN_FINGER: Final = 0.0  # [rad]


@dataclass(frozen=True, slots=True)
class Scene:
    """A compiled scene.

    Attributes:
        task: What is to be done in it.
        seed: Seed of the placement and of the look.
        robot_type: Kind of arm.
        distractors: Whether another task's items share the table: ``auto``, ``always``, ``never``.
        randomisation: Level of the look: ``none``, ``default``, ``strong``.
        model: The compiled model; ``timestep`` 2 ms.
        start: Positions at the start, shape (nq,): arm at home, items at rest.
        placement: Where things lie.
        cells: Centres of the stain's cells, shape (cells, 2), in [m], base frame.
        look: Camera, light and colours.
    """

    task: Task
    seed: int
    robot_type: str
    distractors: str
    randomisation: str
    model: mujoco.MjModel
    start: FloatArray
    placement: Placement
    cells: FloatArray
    look: Look


def build_scene(
    task: str,
    seed: int,
    robot_type: str = "j2n6s300",
    *,
    distractors: str = "auto",
    randomisation: str = "default",
) -> Scene:
    """Make the scene of a task.

    Args:
        task: Name of the task.
        seed: Seed of the placement and of the look, at least 0.
        robot_type: ``j2n6s300`` or ``j2n6s200``.
        distractors: ``always``, ``never``, or ``auto`` for half of the seeds.
        randomisation: Level of the look: ``none``, ``default``, ``strong``.

    Raises:
        ConfigError: When there is no such task.
        TwinError: When the robot type has no model, the seed is negative, an item of the task
            lies out of reach, or there is no such choice of distractors or level.
    """
    found = find_task(task)
    placement = place(found, seed, distractors)
    for item, spot in placement.items[: len(found.items)]:
        check_reachable(item, spot)
    look = draw_look(task, seed, randomisation)
    cells = np.zeros((0, 2))
    if found.dirt is not None and placement.dirt is not None:
        cells = placement.dirt + found.dirt.offsets()
    model = _compile(found, robot_type, placement, look, cells)
    start = _start(model, placement, robot_type, holds_sponge=found.dirt is not None)
    names = (distractors, randomisation)
    return Scene(found, seed, robot_type, *names, model, start, placement, cells, look)


def _compile(
    task: Task, robot_type: str, placement: Placement, look: Look, cells: FloatArray
) -> mujoco.MjModel:
    spec = build_arm(robot_type)
    set_options(spec, look)
    add_room(spec, look)
    add_camera(spec, look.view)
    for number, (item, _) in enumerate(placement.items):
        add_item(spec, item, look, number)
    if task.dirt is not None:
        add_stain(spec, task.dirt, cells, placement.looks)
        add_sponge(spec, finger_joints(robot_type))
    model = spec.compile()
    set_joint_dynamics(model, robot_type)
    if task.dirt is not None:
        damp_sponge(model)
    return model


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
