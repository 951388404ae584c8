"""The arm's model and the scene, against the manufacturer's numbers."""

import hashlib
import subprocess
import sys
from pathlib import Path

import mujoco
import numpy as np
import pytest
from scenes import scene_of

from adp_ros.errors import ConfigError, TwinError
from adp_ros.sim import arm_model as model_module
from adp_ros.sim.arm_model import build_arm, set_joint_dynamics
from adp_ros.sim.items import blot, turn
from adp_ros.sim.scene import build_scene

# Classic Denavit-Hartenberg parameters of the non-spherical Jaco2 (Kinova's DH sheet).
_AA = np.radians(30.0)
_K = np.sin(_AA) / np.sin(2 * _AA)
_A = [0.0, 0.41, 0.0, 0.0, 0.0, 0.0]
_D = [
    0.2755,
    0.0,
    -0.0098,
    -(0.2073 + _K * 0.0741),
    -(_K * 0.0741 + _K * 0.0741),
    -(_K * 0.0741 + 0.160),
]
_ALPHA = np.radians([90.0, 180.0, 90.0, 60.0, 60.0, 180.0])
_SIGN = [-1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
_OFFSET = np.radians([0.0, -90.0, 90.0, 0.0, -180.0, 90.0])


def _dh_pose(joints):
    pose = np.eye(4)
    for a, d, alpha, sign, offset, q in zip(_A, _D, _ALPHA, _SIGN, _OFFSET, joints, strict=True):
        t = sign * q + offset
        c, s, ca, sa = np.cos(t), np.sin(t), np.cos(alpha), np.sin(alpha)
        pose = pose @ np.array(
            [
                [c, -ca * s, sa * s, a * c],
                [s, ca * c, -sa * c, a * s],
                [0.0, sa, ca, d],
                [0.0, 0.0, 0.0, 1.0],
            ]
        )
    return pose


def _compiled(robot_type):
    model = build_arm(robot_type).compile()
    set_joint_dynamics(model, robot_type)
    return model, mujoco.MjData(model)


@pytest.mark.parametrize("robot_type", ["j2n6s300", "j2n6s200"])
def test_tool_pose_equals_the_makers_kinematics(robot_type):
    """At 100 random joint angles the tool site is where the maker's DH table says."""
    model, data = _compiled(robot_type)
    rng = np.random.default_rng(0)
    for _ in range(100):
        data.qpos[:6] = rng.uniform(0.9, 5.3, 6)
        mujoco.mj_kinematics(model, data)
        expected = _dh_pose(data.qpos[:6])
        np.testing.assert_allclose(data.site("tool").xpos, expected[:3, 3], atol=2e-4)
        np.testing.assert_allclose(
            data.site("tool").xmat.reshape(3, 3), expected[:3, :3], atol=1e-6
        )


def test_home_is_where_the_makers_set_up_says():
    """A scene starts with the tool at (0.2127, -0.2566, 0.507) m."""
    model, data = _compiled("j2n6s300")
    data.qpos[:6] = build_scene(scene_of("pot_to_plate", 0)).start[:6]
    mujoco.mj_kinematics(model, data)
    np.testing.assert_allclose(data.site("tool").xpos, [0.2127, -0.2566, 0.507], atol=1e-4)


def test_arm_holds_its_pose_without_sagging():
    """For 5 s at zero command no joint moves by more than 0.001 rad, stretched out far."""
    model, data = _compiled("j2n6s300")
    pose = np.array([4.7, 4.3, 2.2, 6.0, 1.0, 1.2])
    data.qpos[:6] = data.ctrl[:6] = pose
    for _ in range(2500):
        mujoco.mj_step(model, data)
    assert np.max(np.abs(data.qpos[:6] - pose)) < 1e-3


def test_two_finger_hand_is_opposed():
    """The fingers of j2n6s200 are each other's image under half a turn about the hand's axis."""
    model, data = _compiled("j2n6s200")
    assert model.nq == 8
    data.qpos[6:] = 0.7
    mujoco.mj_kinematics(model, data)
    hand = data.body("hand_hand")
    local = [
        hand.xmat.reshape(3, 3).T @ (data.body(f"hand_b_finger_tip_{i}").xpos - hand.xpos)
        for i in (1, 2)
    ]
    np.testing.assert_allclose(local[0] * [-1.0, -1.0, 1.0], local[1], atol=1e-9)


@pytest.mark.parametrize("robot_type", ["j2s6s300", "m1n6s200", ""])
def test_other_arms_are_refused_by_name(robot_type):
    """An arm without a model is refused, naming those that exist."""
    with pytest.raises(TwinError, match=f"'{robot_type}', allowed: j2n6s300, j2n6s200"):
        build_arm(robot_type)


def test_missing_model_files_are_named(monkeypatch):
    """Without dm_control the message says what to install."""
    monkeypatch.setattr(model_module, "find_spec", lambda _: None)
    with pytest.raises(TwinError, match="pip install dm_control"):
        build_arm("j2n6s300")


def _digest(task, seed):
    scene = build_scene(scene_of(task, seed))
    model = scene.model
    parts = (scene.start, scene.cells, model.geom_pos, model.geom_rgba, model.body_pos)
    return hashlib.sha256(b"".join(np.ascontiguousarray(p).tobytes() for p in parts)).hexdigest()


@pytest.mark.parametrize("task", ["wipe_table", "pot_to_plate"])
def test_another_process_builds_the_same_scene(task):
    """The renderer's process and the simulator's build equal scenes from task and seed."""
    paths = [str(folder) for folder in Path(__file__).parents[:2]]
    code = (
        f"import sys; sys.path[:0] = {paths};"
        f"from test_sim_model import _digest; print(_digest({task!r}, 3))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == _digest(task, 3)
    assert _digest(task, 4) != _digest(task, 3)


def test_unknown_task_is_refused():
    """A scene of an unknown task is refused, naming those that exist."""
    with pytest.raises(ConfigError, match="task is 'sweep', allowed: .*wipe_table"):
        build_scene(scene_of("sweep", 0))


def test_turned_shapes_are_closed_and_face_outwards():
    """The volume that the triangles enclose is that of the solid of revolution."""
    outline = ((0.0, 0.0), (0.02, 0.0), (0.03, 0.05), (0.0, 0.05))
    vertices, faces = turn(outline, segments=200)
    a, b, c = vertices[faces[:, 0]], vertices[faces[:, 1]], vertices[faces[:, 2]]
    volume = np.einsum("ij,ij->", a, np.cross(b, c)) / 6.0
    frustum = np.pi * 0.05 / 3 * (0.02**2 + 0.02 * 0.03 + 0.03**2)
    assert volume == pytest.approx(frustum, rel=1e-3)


def test_outline_must_begin_and_end_on_the_axis():
    """An open outline is refused."""
    with pytest.raises(ValueError, match="first and last on the axis"):
        turn(((0.01, 0.0), (0.02, 0.0), (0.0, 0.05)))


def test_blot_has_the_edge_it_is_given():
    """The distances of a blot's edge from its middle are those asked for."""
    radii = np.array([0.01, 0.02, 0.015, 0.012])
    vertices, faces = blot(radii, 0.001)
    np.testing.assert_allclose(np.linalg.norm(vertices[2:6, :2], axis=1), radii)
    assert faces.max() == len(vertices) - 1


@pytest.mark.parametrize("task", ["pot_to_plate", "cube_to_plate", "carrot_to_pan"])
@pytest.mark.parametrize("tilt", [0.0, 0.03])
def test_an_item_that_is_dropped_lies_on_its_receptacle(task, tilt):
    """From 15 mm, upright or tilted by 2 degrees: it sinks in by less than 3 mm, and rests on it.

    An item that is let go of 15 mm high comes down with 0.54 m/s, 1.1 mm in a step of the physics;
    its weight alone loads the receptacle in the end.
    """
    scene = build_scene(scene_of(task, 1, distractors="never", randomisation="none"))
    item, target = scene.config.task.items
    data = mujoco.MjData(scene.model)
    data.qpos[:] = scene.start
    of_item, of_target = (scene.model.body(name).jntadr[0] for name in (item.name, target.name))
    at, on = scene.model.jnt_qposadr[of_item], scene.model.jnt_qposadr[of_target]
    rest = target.floor + item.half_height
    data.qpos[at : at + 2] = data.qpos[on : on + 2] + [0.02, 0.01]
    data.qpos[at + 2] = rest + 0.015
    data.qpos[at + 3 : at + 7] = [np.cos(0.5 * tilt), np.sin(0.5 * tilt), 0.0, 0.0]
    heights = []
    for _ in range(500):
        mujoco.mj_step(scene.model, data)
        heights.append(float(data.body(item.name).xpos[2]))
    assert min(heights) > rest - 0.003
    assert heights[-1] == pytest.approx(rest, abs=0.001)
    force = _force_between(scene.model, data, item.name, target.name)
    assert force == pytest.approx(item.mass * 9.81, rel=0.1)


def _force_between(model, data, first, second):
    """Vertical force between two bodies in [N]."""
    total, wrench = 0.0, np.zeros(6)
    pair = {model.body(first).id, model.body(second).id}
    for number in range(data.ncon):
        contact = data.contact[number]
        if {int(model.geom_bodyid[g]) for g in contact.geom} == pair:
            mujoco.mj_contactForce(model, data, number, wrench)
            total += abs(float((contact.frame.reshape(3, 3).T @ wrench[:3])[2]))
    return total
