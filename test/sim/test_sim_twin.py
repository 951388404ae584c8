"""The twin as a whole: determinism, sensors, path following, contact, wiping."""

import numpy as np
import pytest
from scenes import scene_of

from adp_ros.errors import ConfigError, TwinError
from adp_ros.geometry import rotation_from_rotvec, rotvec_from_rotation
from adp_ros.robots.jaco2.arms import arm_model
from adp_ros.robots.kinematics import forward, gravity_torque
from adp_ros.sim.base_controller import DriverMode, VelocityPoint
from adp_ros.sim.shared_twin import SharedTwin
from adp_ros.sim.sim_settings import SensorConfig
from adp_ros.sim.stain import SPONGE_BOTTOM, SPONGE_HALF_SIZE, WIPE_REACH, wiped_cells
from adp_ros.sim.twin import Twin

QUIET = SensorConfig(torque_noise=0.0, joint_noise=0.0, pose_noise=0.0)
DOWN = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])


def _go(twin, position, rotation, seconds, *, speed=0.10, fingers=None):
    """Drive the tool to a pose with proportional feedback at 100 Hz, limited in speed."""
    for _ in range(round(seconds * 100)):
        pose = twin.truth().pose
        linear, angular = position - pose.position, rotvec_from_rotation(rotation @ pose.rotation.T)
        linear *= min(2.0, speed / max(float(np.linalg.norm(linear)), 1e-9))
        angular *= min(2.0, 0.5 / max(float(np.linalg.norm(angular)), 1e-9))
        twin.driver.send(
            VelocityPoint(linear=linear, angular=pose.rotation.T @ angular, fingers=fingers)
        )
        twin.step()


def test_same_commands_give_the_same_positions_bit_for_bit():
    """Two twins of one seed agree exactly after 3 s of motion, also in their noise."""
    twins = [Twin(scene_of("pot_to_plate", 3)) for _ in range(2)]
    for twin in twins:
        for i in range(300):
            twin.driver.send(VelocityPoint(linear=np.array([0.05, 0.0, -0.1 * (i % 7)])))
            twin.step()
    first, second = (twin.truth() for twin in twins)
    np.testing.assert_array_equal(first.qpos, second.qpos)
    np.testing.assert_array_equal(twins[0].read().torques, twins[1].read().torques)


def test_reset_equals_a_new_twin():
    """After a reset the twin is what a new twin of that seed is, stopped or not before."""
    used = Twin(scene_of("cube_to_plate", 1))
    for _ in range(50):
        used.driver.send(VelocityPoint(linear=np.array([0.0, -0.1, -0.1])))
        used.step()
    used.driver.stop()
    used.reset(2)
    fresh = Twin(scene_of("cube_to_plate", 2))
    np.testing.assert_array_equal(used.truth().qpos, fresh.truth().qpos)
    assert (used.time, used.driver.mode) == (0.0, DriverMode.READY)
    assert used.truth().seed == 2


@pytest.mark.parametrize("task", ["pot_to_plate", "cube_to_plate", "carrot_to_pan"])
def test_things_rest_where_they_were_put(task):
    """Over 3 s no item moves by more than 1 mm, and the task has neither progress nor success."""
    twin = Twin(scene_of(task, 12))
    before = twin.truth().qpos[9:]
    for _ in range(300):
        twin.step()
    truth = twin.truth()
    np.testing.assert_allclose(truth.qpos[9:], before, atol=1e-3)
    assert truth.progress < 0.05
    assert not truth.success


@pytest.mark.parametrize("robot_type", ["j2n6s300", "j2n6s200"])
def test_torque_at_rest_is_the_gravity_load(robot_type):
    """At rest the sensors show the torques that hold the model's masses, with the same sign."""
    twin = Twin(scene_of("pot_to_plate", 0, robot_type), sensors=QUIET)
    _go(twin, np.array([0.1, -0.4, 0.25]), DOWN, 8.0)
    for _ in range(100):
        twin.step()
    data = twin._data
    np.testing.assert_allclose(twin.read().torques, data.qfrc_bias[:6], atol=0.02)


def test_torque_at_rest_agrees_with_the_controllers_gravity_model():
    """The numpy gravity model of the same masses explains the reading to 0.15 N m."""
    twin = Twin(scene_of("pot_to_plate", 0), sensors=QUIET)
    model = arm_model("j2n6s300")
    for goal in ([0.2, -0.4, 0.3], [-0.2, -0.5, 0.2]):
        _go(twin, np.array(goal), DOWN, 7.0)
        for _ in range(50):
            twin.step()
        reading = twin.read()
        expected = gravity_torque(model, reading.joints)
        np.testing.assert_allclose(reading.torques, expected, atol=0.15)
        assert abs(reading.torques[1]) > 4.0


def test_readings_agree_with_each_other():
    """Pose is the forward kinematics of the joints, speeds are their rate of change."""
    twin = Twin(scene_of("wipe_table", 0), sensors=QUIET)
    arm = arm_model("j2n6s300")
    for _ in range(100):
        twin.driver.send(VelocityPoint(linear=np.array([-0.05, -0.05, -0.05])))
        before = twin.read().joints
        twin.step()
    reading = twin.read()
    np.testing.assert_allclose(
        reading.pose.position, forward(arm, reading.joints).position, atol=1e-3
    )
    np.testing.assert_allclose(reading.speeds, (reading.joints - before) / 0.01, atol=5e-3)
    np.testing.assert_allclose(reading.commanded, reading.joints, atol=2e-3)


def test_noise_is_what_the_settings_say():
    """The spread of 2,000 readings at rest is the standard deviation asked for."""
    twin = Twin(scene_of("wipe_table", 0), sensors=SensorConfig(torque_noise=0.1, joint_noise=1e-3))
    readings = [twin.read() for _ in range(2000)]
    assert np.std([r.torques for r in readings], axis=0) == pytest.approx(np.full(6, 0.1), rel=0.1)
    assert np.std([r.joints for r in readings], axis=0) == pytest.approx(np.full(6, 1e-3), rel=0.1)


def test_reported_joint_speed_has_the_firmwares_factor():
    """With firmware that does not halve speeds the driver reports twice the true ones."""
    twins = [
        Twin(scene_of("wipe_table", 0), sensors=SensorConfig(speed_factor=f)) for f in (1.0, 2.0)
    ]
    for twin in twins:
        for _ in range(50):
            twin.driver.send(VelocityPoint(linear=np.array([0.0, 0.0, -0.1])))
            twin.step()
    np.testing.assert_allclose(twins[1].read().speeds, 2.0 * twins[0].read().speeds)


def test_square_of_10_cm_is_followed_within_1_mm():
    """At 5 cm/s, twist renewed at 10 Hz with feedback 2/s, the path error is under 1 mm RMS."""
    twin = Twin(scene_of("pot_to_plate", 0), sensors=QUIET)
    start = np.array([-0.05, -0.45, 0.15])
    _go(twin, start, DOWN, 10.0)
    corners = np.array([[0, 0], [0.1, 0], [0.1, 0.1], [0, 0.1], [0, 0]])
    errors = []
    for a, b in zip(corners[:-1], corners[1:], strict=True):
        for i in range(20):
            pose = twin.truth().pose
            ahead = start + np.array([*(a + (b - a) * i / 20), 0.0])
            linear = np.array([*(b - a) / 2.0, 0.0]) + 2.0 * (ahead - pose.position)
            angular = 2.0 * rotvec_from_rotation(DOWN @ pose.rotation.T)
            for _ in range(10):
                twin.driver.send(VelocityPoint(linear=linear, angular=pose.rotation.T @ angular))
                twin.step()
                at = twin.truth().pose.position - start
                along = np.clip((at[:2] - a) @ (b - a) / 0.01, 0.0, 1.0)
                off = at - np.array([*(a + (b - a) * along), 0.0])
                errors.append(np.linalg.norm(off))
    assert np.sqrt(np.mean(np.square(errors))) < 1e-3
    assert max(errors) < 3e-3


def test_pressing_on_the_table_shows_in_the_torque_and_stays_finite():
    """The bare hand pressed down: contact force rises, joint 2 shows it first and most."""
    twin = Twin(scene_of("pot_to_plate", 0), sensors=QUIET)
    _go(twin, np.array([0.0, -0.42, 0.12]), DOWN, 9.0, fingers=np.full(3, 5000.0))
    free = twin.read().torques
    force = 0.0
    for _ in range(400):
        twin.driver.send(VelocityPoint(linear=np.array([0.0, 0.0, -0.05])))
        twin.step()
        force = max(force, twin.truth().contact_force)
    change = np.abs(twin.read().torques - free)
    assert 20.0 < force < 400.0
    assert int(np.argmax(change)) == 1
    assert change[1] > 6.0
    assert twin.truth().pose.position[2] > 0.0


def test_wrench_points_up_while_pressing():
    """The reported force is the table's push, upwards, about as large as the contact force."""
    twin = Twin(scene_of("wipe_table", 0), sensors=QUIET)
    _go(twin, np.array([0.0, -0.42, 0.12]), DOWN, 9.0)
    _go(twin, np.array([0.0, -0.42, SPONGE_BOTTOM - 0.010]), DOWN, 5.0, speed=0.03)
    force = twin.read().wrench[:3]
    truth = twin.truth()
    assert truth.contact_force == pytest.approx(3.5, abs=1.2)
    assert force[2] == pytest.approx(truth.contact_force, abs=1.0)


def test_only_a_touching_sponge_wipes():
    """Hovering 15 mm above the stain leaves it; touching cleans what lies under the sponge."""
    twin = Twin(scene_of("wipe_table", 3))
    middle = twin.scene.cells.mean(axis=0)
    _go(twin, np.array([*middle, SPONGE_BOTTOM + 0.015]), DOWN, 9.0)
    assert not twin.truth().cleaned.any()
    _go(twin, np.array([*middle, SPONGE_BOTTOM - 0.005]), DOWN, 3.0, speed=0.03)
    truth = twin.truth()
    near = np.abs(twin.scene.cells - middle) <= np.array(SPONGE_HALF_SIZE)[::-1] - 0.004
    assert truth.cleaned[near.all(axis=1)].all()
    assert truth.cleaned.sum() <= 20
    assert truth.progress == truth.cleaned.mean()


def test_wiped_cells_follow_the_sponges_footprint():
    """Turned by 90 degrees the long side wipes along the other axis; out of reach nothing."""
    cells = np.array([[0.0, 0.0], [0.045, 0.0], [0.0, 0.045], [0.07, 0.07]])
    low = np.array([0.0, 0.0, 0.001])
    down = np.diag([1.0, -1.0, -1.0])
    assert wiped_cells(low, down, cells).tolist() == [True, False, True, False]
    turned = rotation_from_rotvec(np.array([0.0, 0.0, np.pi / 2])) @ down
    assert wiped_cells(low, turned, cells).tolist() == [True, True, False, False]
    high = np.array([0.0, 0.0, WIPE_REACH + 1e-4])
    assert not wiped_cells(high, down, cells).any()


@pytest.mark.parametrize("robot_type", ["j2n6s300", "j2n6s200"])
@pytest.mark.parametrize("task", ["pot_to_plate", "cube_to_plate"])
def test_closing_fingers_hold_an_item(task, robot_type):
    """An item between the closing fingers stops them early, and is lifted by friction alone."""
    twin = Twin(scene_of(task, 1, robot_type))
    item = 6 + int(robot_type[5])  # address of its position, behind arm and fingers
    x, y, _ = twin.truth().qpos[item : item + 3]
    _go(twin, np.array([x, y, 0.15]), DOWN, 8.0)
    _go(twin, np.array([x, y, 0.059]), DOWN, 3.0, speed=0.06)
    for _ in range(150):
        twin.driver.send(VelocityPoint(fingers=twin.driver.finger_speeds(100.0)))
        twin.step()
    stalled = twin.read().fingers
    _go(twin, np.array([x, y, 0.15]), DOWN, 3.0, speed=0.06)
    assert (stalled < 6700.0).all()
    assert twin.truth().qpos[item + 2] > 0.10
    assert not twin.truth().success


def test_wrong_names_and_seeds_are_refused():
    """Unknown task, unmodelled arm and negative seed are refused, saying what is allowed."""
    with pytest.raises(ConfigError, match="task is 'x', allowed"):
        Twin(scene_of("x", 0))
    with pytest.raises(TwinError, match="'j2s6s300', allowed: j2n6s300, j2n6s200"):
        Twin(scene_of("wipe_table", 0, "j2s6s300"))
    twin = Twin(scene_of("wipe_table", 5))
    with pytest.raises(TwinError, match="seed is -3"):
        twin.reset(-3)
    assert twin.truth().seed == 5


def test_shared_twin_counts_what_happens_to_commands():
    """Taken, ignored and queued points are counted; a new scene empties the queue."""
    shared = SharedTwin(Twin(scene_of("wipe_table", 4)))
    point = VelocityPoint(linear=np.array([0.0, 0.0, 0.02]))
    with shared.driver() as driver:
        for _ in range(3):
            driver.send(point)
    reading, truth = shared.step(read=True, truth=False)
    assert reading is not None
    assert truth is None
    with shared.driver() as driver:
        assert (driver.taken, driver.queued, driver.ignored) == (3, 2, 0)
        driver.stop()
        driver.send(point)
        assert (driver.ignored, driver.queued) == (1, 0)
        assert not driver.home()
    assert shared.next_scene() == 5
    with shared.driver() as driver:
        assert driver.mode is DriverMode.READY
