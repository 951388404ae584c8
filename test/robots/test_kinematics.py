"""Forward kinematics, Jacobian and gravity torques against MuJoCo and Kinova's DH table."""

import os
from pathlib import Path

import dm_control
import mujoco
import numpy as np
import pytest

from adp_ros.errors import ConfigError
from adp_ros.robots.jaco2.arms import ROBOT_TYPES, arm_model
from adp_ros.robots.kinematics import Chain, forward, gravity_torque, jacobian

# Kinova's DH parameters (user guide): s q + o, a, d, alpha per joint.
D1, D2, D3, E2, D6 = 0.2755, 0.41, 0.2073, 0.0098, 0.160
_AA = np.pi / 6
_K = np.sin(_AA) / np.sin(2 * _AA)
DH = {
    "n": (
        [-1, 1, 1, 1, 1, 1],
        [0, -90, 90, 0, -180, 90],
        [0, D2, 0, 0, 0, 0],
        [D1, 0, -E2, -(D3 + _K * 0.0741), -2 * _K * 0.0741, -(_K * 0.0741 + D6)],
        [90, 180, 90, 60, 60, 180],
    ),
    "s": (
        [1, 1, 1, 1, 1, 1],
        [-180, 90, 90, 0, 0, -90],
        [0, D2, 0, 0, 0, 0],
        [-D1, 0, -E2, -(D3 + 0.1038), 0, -(0.1038 + D6)],
        [90, 180, 90, 90, 90, 180],
    ),
}


def _dh_pose(wrist, joints):
    signs, offsets, lengths, distances, twists = DH[wrist]
    # The table of the spherical arm starts from a base frame whose z points down.
    pose = np.diag([1.0, -1.0, -1.0, 1.0]) if wrist == "s" else np.eye(4)
    for s, o, a, d, twist, q in zip(
        signs, offsets, lengths, distances, np.radians(twists), joints, strict=True
    ):
        theta = s * q + np.radians(o)
        c, si, ca, sa = np.cos(theta), np.sin(theta), np.cos(twist), np.sin(twist)
        pose = pose @ np.array(
            [
                [c, -si * ca, si * sa, a * c],
                [si, c * ca, -c * sa, a * si],
                [0, sa, ca, d],
                [0, 0, 0, 1],
            ]
        )
    return pose


@pytest.fixture(scope="module")
def stock_arm():
    """The unchanged MuJoCo model of dm_control: arm, hand, three fingers."""
    folder = Path(os.path.dirname(dm_control.__file__)) / "third_party" / "kinova"
    spec = mujoco.MjSpec.from_file(str(folder / "jaco_arm.xml"))
    hand = mujoco.MjSpec.from_file(str(folder / "jaco_hand.xml"))
    spec.attach(hand, site=spec.site("wristsite"), prefix="hand_")
    model = spec.compile()
    return model, mujoco.MjData(model)


def _random_joints(count, seed=0):
    return np.random.default_rng(seed).uniform(0.0, 2 * np.pi, (count, 6))


@pytest.mark.parametrize("robot_type", ROBOT_TYPES)
def test_tool_pose_equals_the_makers_dh_table(robot_type):
    """URDF numbers and DH table agree to 0.1 mm at 200 random postures, for both wrists."""
    model = arm_model(robot_type)
    for joints in _random_joints(200):
        pose, expected = forward(model, joints), _dh_pose(model.robot_type[2], joints)
        np.testing.assert_allclose(pose.position, expected[:3, 3], atol=1e-4)
        np.testing.assert_allclose(pose.rotation, expected[:3, :3], atol=1e-6)


def test_tool_pose_equals_mujocos(stock_arm):
    """dm_control's grip site lies 1 mm before the end effector and turns with it."""
    mj, data = stock_arm
    model = arm_model("j2n6s300")
    for joints in _random_joints(100):
        data.qpos[:6] = joints
        mujoco.mj_kinematics(mj, data)
        site, pose = data.site("hand_gripsite"), forward(model, joints)
        apart = np.linalg.norm(site.xpos - pose.position)
        assert apart == pytest.approx(1e-3, abs=2e-5 + 1e-4)
        np.testing.assert_allclose(site.xmat.reshape(3, 3), pose.rotation, atol=1e-6)


def test_jacobian_equals_mujocos(stock_arm):
    """At the same point of the hand both Jacobians are equal to 1e-6."""
    mj, data = stock_arm
    model = arm_model("j2n6s300")
    linear, angular = np.zeros((3, mj.nv)), np.zeros((3, mj.nv))
    for joints in _random_joints(50, seed=1):
        data.qpos[:6] = joints
        mujoco.mj_kinematics(mj, data)
        mujoco.mj_comPos(mj, data)
        point = forward(model, joints).position
        mujoco.mj_jac(mj, data, linear, angular, point, mj.body("hand_hand").id)
        expected = np.concatenate([linear[:, :6], angular[:, :6]])
        np.testing.assert_allclose(jacobian(model, joints), expected, atol=1e-6)


@pytest.mark.parametrize("robot_type", ["j2n6s300", "j2s6s200"])
def test_jacobian_is_the_derivative_of_the_pose(robot_type):
    """Central differences of the tool position agree to 1e-6, also for the spherical wrist."""
    model, h = arm_model(robot_type), 1e-6
    for joints in _random_joints(20, seed=2):
        j = jacobian(model, joints)
        for i, step in enumerate(h * np.eye(6)):
            ahead, behind = forward(model, joints + step), forward(model, joints - step)
            slope = (ahead.position - behind.position) / (2 * h)
            np.testing.assert_allclose(j[:3, i], slope, atol=1e-6)
            spin = (ahead.rotation - behind.rotation) / (2 * h) @ behind.rotation.T
            np.testing.assert_allclose(j[3:, i], [spin[2, 1], spin[0, 2], spin[1, 0]], atol=1e-5)


def test_height_jacobian_is_the_derivative_of_the_heights():
    """Central differences of the joint origins' heights agree to 1e-6."""
    model, h = arm_model("j2n6s300"), 1e-6
    for joints in _random_joints(20, seed=5):
        slopes = [
            (Chain.at(model, joints + step).origin - Chain.at(model, joints - step).origin)[:6, 2]
            / (2 * h)
            for step in h * np.eye(6)
        ]
        rates = Chain.at(model, joints).height_jacobian()
        np.testing.assert_allclose(rates, np.transpose(slopes), atol=1e-6)


def test_gravity_torque_equals_mujocos(stock_arm):
    """With dm_control's masses gravity torques agree to 0.03 N m: fingers are lumped."""
    mj, data = stock_arm
    model = arm_model("j2n6s300", "dm_control")
    for joints in _random_joints(100, seed=3):
        data.qpos[:6], data.qpos[6:] = joints, 0.6
        data.qvel[:] = 0.0
        mujoco.mj_forward(mj, data)
        expected = data.qfrc_bias[:6]
        np.testing.assert_allclose(gravity_torque(model, joints), expected, atol=0.03)
        assert np.abs(expected).max() > 0.5


@pytest.mark.parametrize("robot_type", ROBOT_TYPES)
def test_gravity_torque_is_the_slope_of_the_potential_energy(robot_type):
    """Torque equals dV/dq for the URDF's masses with a payload, by central differences."""
    model = arm_model(robot_type).with_payload(0.4, (0.01, 0.02, 0.05))
    h = 1e-6

    def energy(joints):
        chain = Chain.at(model, joints)
        heights = chain.origin[:6] + np.einsum(
            "lij,lj->li", chain.rotation[:6], model.inertia.center
        )
        return 9.81 * float(model.inertia.mass @ heights[:, 2])

    for joints in _random_joints(20, seed=4):
        slopes = [
            (energy(joints + step) - energy(joints - step)) / (2 * h) for step in h * np.eye(6)
        ]
        np.testing.assert_allclose(gravity_torque(model, joints), slopes, atol=1e-6)


def test_payload_weighs_where_it_hangs():
    """A payload in the tool frame adds its weight times its lever about each joint axis."""
    bare = arm_model("j2n6s300")
    loaded = bare.with_payload(0.5, (0.0, 0.0, 0.03))
    joints = np.array([4.8, 2.9, 1.0, 4.2, 1.4, 1.3])
    chain = Chain.at(bare, joints)
    point = chain.tool.position + chain.tool.rotation @ [0.0, 0.0, 0.03]
    lever = np.cross(point - chain.origin[:6], [0.0, 0.0, 0.5 * 9.81])
    added = gravity_torque(loaded, joints) - gravity_torque(bare, joints)
    np.testing.assert_allclose(added, np.einsum("ij,ij->i", lever, chain.axes), atol=1e-9)


@pytest.mark.parametrize("robot_type", ROBOT_TYPES)
def test_home_is_where_kinovas_demo_expects_the_tool(robot_type):
    """Home lies within 4 mm of kinova_demo's default pose, inside the limits, far from singular."""
    model = arm_model(robot_type)
    tool = forward(model, model.home).position
    np.testing.assert_allclose(tool, [0.2123, -0.2572, 0.5096], atol=4e-3)
    assert np.all(model.home > model.lower) and np.all(model.home < model.upper)
    assert np.linalg.cond(jacobian(model, model.home)) < 25


def test_unknown_arms_and_masses_are_refused_by_name():
    """The message names what was asked for and what exists."""
    with pytest.raises(ConfigError, match="robot_type is 'j2n7s300', allowed: j2n6s200, j2n6s300"):
        arm_model("j2n7s300")
    with pytest.raises(ConfigError, match="inertia is 'mine', allowed: kinova, dm_control"):
        arm_model("j2n6s300", "mine")
