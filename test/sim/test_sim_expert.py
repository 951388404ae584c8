"""The scripted expert, executed in the twin through the driver's emulation."""

from dataclasses import replace

import numpy as np
import pytest
from scenes import scene_of

from adp_ros.errors import ConfigError, TwinError
from adp_ros.geometry import compose, rotvec_from_rotation
from adp_ros.robots.jaco2.arms import arm_model
from adp_ros.robots.kinematics import jacobian
from adp_ros.sim.base_controller import VelocityPoint
from adp_ros.sim.items import PAN, POT
from adp_ros.sim.kinds.motion import STEP, STEPS
from adp_ros.sim.kinds.place import PlaceTask
from adp_ros.sim.stain import SPONGE_BOTTOM, WIPE_REACH
from adp_ros.sim.task import SceneConfig, make_expert
from adp_ros.sim.twin import Twin
from adp_ros.types import ActionConvention

CONVENTION = ActionConvention()


class Attempt:
    """Executes chunks: 100 Hz commands that follow the chunk's path with feedback 2/s."""

    def __init__(self, seed, robot_type="j2n6s300"):
        self.twin = Twin(scene_of("wipe_table", seed, robot_type))
        self.expert = make_expert(scene_of("wipe_table", seed, robot_type))
        self.force = self.speed = self.turn = self.condition = 0.0
        self.arm = arm_model(robot_type)
        self.low = np.full(3, np.inf)
        self.high = np.full(3, -np.inf)

    def chunk(self):
        truth = self.twin.truth()
        goal = truth.pose
        for action in self.expert.plan(truth.qpos, truth.cleaned):
            start, goal = goal, compose(goal, action, CONVENTION)
            self.speed = max(self.speed, float(np.linalg.norm(action[:3])) / STEP)
            self.turn = max(self.turn, float(np.linalg.norm(action[3:6])) / STEP)
            for i in range(10):
                self._command(start, goal, action, i / 10)

    def _command(self, start, goal, action, share):
        twin, pose = self.twin, self.twin.truth().pose
        due = start.position + share * (goal.position - start.position)
        linear = action[:3] / STEP + 2.0 * (due - pose.position)
        angular = action[3:6] / STEP + 2.0 * rotvec_from_rotation(goal.rotation @ pose.rotation.T)
        fingers = twin.driver.finger_speeds(100.0 * (1.0 - action[6]))
        twin.driver.send(
            VelocityPoint(linear=linear, angular=pose.rotation.T @ angular, fingers=fingers)
        )
        twin.step()
        truth = twin.truth()
        self.force = max(self.force, truth.contact_force)
        condition = np.linalg.cond(jacobian(self.arm, truth.qpos[:6]))
        self.condition = max(self.condition, float(condition))
        self.low = np.minimum(self.low, truth.pose.position)
        self.high = np.maximum(self.high, truth.pose.position)

    def run(self, seconds):
        while self.twin.time < seconds and self.twin.truth().progress < 1.0:
            self.chunk()
        return self.twin.truth()


def in_first_lane(progress):
    """Wipe scene 3 so far; return the attempt, the twin's state and the cells."""
    attempt = Attempt(3)
    while attempt.twin.truth().progress < progress:
        attempt.chunk()
    return attempt, attempt.twin.truth(), attempt.expert._cells


@pytest.mark.parametrize(
    ("seed", "robot_type"), [(0, "j2n6s300"), (11, "j2n6s300"), (5, "j2n6s200")]
)
def test_wipes_the_table_gently_and_inside_the_workspace(seed, robot_type):
    """Within 60 s all is wiped: at most 5 N and 0.1 m/s, far from singularities and borders."""
    attempt = Attempt(seed, robot_type)
    truth = attempt.run(60.0)
    assert truth.success
    assert truth.progress > 0.95
    assert 1.0 < attempt.force <= 5.0
    assert attempt.speed <= 0.1 + 1e-9
    assert attempt.turn <= 0.3
    assert attempt.condition < 40.0
    assert (attempt.low > [-0.30, -0.60, 0.045]).all()
    assert (attempt.high < [0.30, -0.22, 0.55]).all()


def test_has_no_memory():
    """Asked twice about one state, in any order, it answers the same."""
    attempt = Attempt(2)
    first = attempt.twin.truth()
    plan = attempt.expert.plan(first.qpos, first.cleaned)
    assert plan.shape == (STEPS, 7)
    assert plan.dtype == np.float64
    attempt.chunk()
    later = attempt.twin.truth()
    attempt.expert.plan(later.qpos, later.cleaned)
    np.testing.assert_array_equal(attempt.expert.plan(first.qpos, first.cleaned), plan)


def test_recovers_from_a_state_of_somebody_elses_making():
    """From a turned hand off to the side and a half-wiped stain it still finishes."""
    attempt = Attempt(4)
    for _ in range(250):
        twist = VelocityPoint(
            linear=np.array([-0.12, -0.05, -0.05]), angular=np.array([0.1, 0.2, 0.5])
        )
        attempt.twin.driver.send(twist)
        attempt.twin.step()
    attempt.twin._cleaned[::2] = True
    assert attempt.run(60.0).progress > 0.95


def test_puts_a_hovering_sponge_down_before_it_goes_on():
    """From a centimetre up it is on the table within 5 steps, though the next dirt is far."""
    attempt = Attempt(3)
    while attempt.twin.truth().pose.position[2] > 0.080:
        attempt.chunk()
    truth = attempt.twin.truth()
    height = truth.pose.position[2]
    assert height > SPONGE_BOTTOM + WIPE_REACH
    dirt = attempt.expert._cells
    away = np.linalg.norm(dirt - truth.pose.position[:2], axis=1)
    plan = attempt.expert.plan(truth.qpos, away < 0.09)
    assert np.linalg.norm(plan[:5, :2].sum(axis=0)) < 0.05
    assert height + plan[:5, 2].sum() < SPONGE_BOTTOM


@pytest.mark.parametrize(("spots", "comes_back"), [(6, False), (7, True)])
def test_the_rest_of_a_lane_it_left_is_wiped_last(spots, comes_back):
    """Up to 6 cells do not call it back from elsewhere; with nothing else left they do."""
    expert = make_expert(scene_of("wipe_table", 3))
    qpos = Twin(scene_of("wipe_table", 3)).truth().qpos
    columns = np.argsort(np.argsort(expert._cells[:, 0], kind="stable")) // 8
    clean = columns < 5
    clean[np.flatnonzero(columns == 1)[:spots]] = False
    edge = expert._cells[columns == 4, 0].mean()
    assert (expert.landmarks(qpos, clean)["item"][0] < edge) == comes_back
    clean[columns >= 5] = True
    assert expert.landmarks(qpos, clean)["item"][0] < edge


@pytest.mark.parametrize(("spots", "stays"), [(2, False), (3, True)])
def test_a_lane_is_finished_before_it_is_left(spots, stays):
    """In its lane the sponge goes on to the last row; only 2 cells do not hold it there."""
    attempt, truth, cells = in_first_lane(0.1)
    lane = np.flatnonzero(cells[:, 0] < cells[:, 0].min() + 0.06)
    clean = np.zeros(len(cells), dtype=bool)
    clean[lane[np.argsort(cells[lane, 1])[spots:]]] = True
    goes_to = attempt.expert.landmarks(truth.qpos, clean)["item"]
    assert (abs(goes_to[0] - truth.pose.position[0]) < 0.02) == stays


def test_a_missed_column_belongs_to_the_next_lane():
    """Half-way down a lane that misses its inner columns it goes on to the end, then sideways."""
    attempt, truth, cells = in_first_lane(0.1)
    lane = cells[:, 0] < cells[:, 0].min() + 0.06
    passed = cells[:, 1] > truth.pose.position[1] - 0.03
    onward = attempt.expert.plan(truth.qpos, lane & passed)[:3, :2].sum(axis=0)
    assert onward[1] < -0.01
    assert abs(onward[0]) < 0.003
    sideways = attempt.expert.plan(truth.qpos, lane)[:3, :2].sum(axis=0)
    assert sideways[0] > 0.01
    assert abs(sideways[1]) < 0.006


@pytest.mark.parametrize("short", [-1, 1])
def test_the_shorter_side_of_a_lane_comes_first(short):
    """In mid-lane it turns to the side with one dirty row, though the other side is nearer."""
    attempt, truth, cells = in_first_lane(0.15)
    lane = cells[:, 0] < cells[:, 0].min() + 0.06
    rows, row = np.unique(cells[:, 1].round(4), return_inverse=True)
    under = int(np.argmin(np.abs(rows - truth.pose.position[1])))
    assert 2 < under < 5
    clean = np.ones(len(cells), dtype=bool)
    clean[lane & (row == under + 3 * short)] = False
    clean[lane & (short * (row - under) < 0)] = False
    goes_to = attempt.expert.landmarks(truth.qpos, clean)["item"]
    assert short * (goes_to[1] - truth.pose.position[1]) > 0.05


@pytest.mark.parametrize("end", [0, 7])
def test_a_lane_is_entered_at_its_nearer_end(end):
    """From beside the lane, abreast of its second row, it makes for the first one."""
    attempt, truth, cells = in_first_lane(0.15)
    beside = cells[:, 0] > truth.pose.position[0] + 0.04
    rows, row = np.unique(cells[:, 1].round(4), return_inverse=True)
    shift = truth.pose.position[1] - rows[1 if end == 0 else 6]
    attempt.expert._cells = cells + [0.0, shift]
    goes_to = attempt.expert.landmarks(truth.qpos, ~beside)["item"]
    assert goes_to[1] == pytest.approx(rows[end] + shift, abs=1e-3)


def test_rises_when_all_is_clean():
    """With nothing left to wipe it lifts the sponge and stays there."""
    attempt = Attempt(0)
    attempt.run(60.0)
    for _ in range(6):
        attempt.chunk()
    truth = attempt.twin.truth()
    assert truth.pose.position[2] == pytest.approx(0.22, abs=0.01)
    rest = attempt.expert.plan(truth.qpos, truth.cleaned)
    assert np.abs(rest[:, :3]).max() < 2e-3


def test_keeps_the_gripper_closed():
    """The sponge is never let go of."""
    scene = scene_of("wipe_table", 0)
    truth = Twin(scene).truth()
    assert (make_expert(scene).plan(truth.qpos, truth.cleaned)[:, 6] == 0.0).all()


def test_errors_name_what_is_allowed():
    """Unknown task, task without an expert, wrong seed and wrong cells are refused."""
    with pytest.raises(ConfigError, match="task is 'x', allowed: carrot_to_pan"):
        make_expert(scene_of("x", 0))
    stone = replace(POT, name="stone", grasp=None)
    task = PlaceTask(name="lift", instruction="lift the stone", item=stone, target=PAN)
    with pytest.raises(ConfigError, match="task 'lift' has no expert"):
        make_expert(SceneConfig(task))
    with pytest.raises(TwinError, match="seed is -1"):
        make_expert(scene_of("wipe_table", -1))
    truth = Twin(scene_of("wipe_table", 0)).truth()
    with pytest.raises(TwinError, match="state has 5 cells, the scene 96"):
        make_expert(scene_of("wipe_table", 0)).plan(truth.qpos, np.zeros(5, dtype=bool))
