"""The expert for placing, executed in the twin through the driver's emulation."""

import numpy as np
import pytest
from scenes import scene_of

from adp_ros.errors import TwinError
from adp_ros.geometry import compose, rotvec_from_rotation
from adp_ros.sim.base_controller import VelocityPoint
from adp_ros.sim.items import POT, WHITE_PLATE
from adp_ros.sim.kinds.motion import SHUT, STEP, finger_after
from adp_ros.sim.kinds.place import PlaceExpert, PlaceTask
from adp_ros.sim.scene import build_scene
from adp_ros.sim.task import SceneConfig, make_expert
from adp_ros.sim.tasks import find_task, task_names, tasks_with_expert
from adp_ros.sim.twin import Twin
from adp_ros.types import ActionConvention

TASKS = ("carrot_to_pan", "cube_to_plate", "pot_to_plate")
NOTHING = np.zeros(0, dtype=bool)
CONVENTION = ActionConvention()
POT_TO_WHITE = PlaceTask(
    name="pot_to_white", instruction="put the pot on the plate", item=POT, target=WHITE_PLATE
)


def _follow(twin, chunk, steps=4):
    """Execute the first steps of a chunk: 100 Hz commands with feedback 2/s."""
    goal = twin.truth().pose
    for action in chunk[:steps]:
        start, goal = goal, compose(goal, action, CONVENTION)
        for i in range(10):
            pose = twin.truth().pose
            due = start.position + i / 10 * (goal.position - start.position)
            linear = action[:3] / STEP + 2.0 * (due - pose.position)
            turn = rotvec_from_rotation(goal.rotation @ pose.rotation.T)
            angular = pose.rotation.T @ (action[3:6] / STEP + 2.0 * turn)
            fingers = twin.driver.finger_speeds(100.0 * (1.0 - action[6]))
            twin.driver.send(VelocityPoint(linear=linear, angular=angular, fingers=fingers))
            twin.step()


def _run(twin, expert, seconds=30.0):
    """Follow the expert until success; return all its chunks."""
    chunks = []
    while twin.time < seconds and not twin.truth().success:
        chunks.append(expert.plan(twin.truth().qpos, NOTHING))
        _follow(twin, chunks[-1])
    return np.concatenate(chunks)


def _with_item(qpos, position=None, yaw=None):
    """Return a state whose first item (three fingers) lies elsewhere."""
    moved = qpos.copy()
    if position is not None:
        moved[9:12] = position
    if yaw is not None:
        moved[12:16] = [np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)]
    return moved


@pytest.mark.parametrize("task", TASKS)
def test_places_the_item_smoothly_and_then_stays(task):
    """Within 20 s the item is inside, at most at 0.12 m/s; then the tool rises and stands still."""
    twin, expert = Twin(scene_of(task, 3)), make_expert(scene_of(task, 3))
    actions = _run(twin, expert)
    assert twin.truth().success
    assert twin.time < 20.0
    assert np.linalg.norm(actions[:, :3], axis=1).max() <= 0.12 * STEP + 1e-9
    assert np.linalg.norm(actions[:, 3:6], axis=1).max() <= 0.28 * STEP + 1e-9
    for _ in range(8):
        _follow(twin, expert.plan(twin.truth().qpos, NOTHING))
    truth = twin.truth()
    rest = expert.plan(truth.qpos, NOTHING)
    assert truth.success
    assert truth.pose.position[2] > 0.17
    assert np.abs(rest[:, :6]).max() < 2e-3
    assert (rest[:, 6] == 1.0).all()


def test_takes_up_a_dropped_item_again():
    """Let go of in the air half-way, the item is picked up from where it fell."""
    twin, expert = Twin(scene_of("cube_to_plate", 5)), make_expert(scene_of("cube_to_plate", 5))
    while not (expert.state(twin.truth().qpos).held and twin.truth().pose.position[2] > 0.10):
        _follow(twin, expert.plan(twin.truth().qpos, NOTHING))
    still = np.zeros((8, 7))
    still[:, 6] = 1.0
    _follow(twin, still, 8)
    assert not expert.state(twin.truth().qpos).held
    _run(twin, expert, twin.time + 25.0)
    assert twin.truth().success


def test_has_no_memory_and_looks_at_nothing_else():
    """The same state gives the same plan, whatever was planned between and what else is there."""
    alone = build_scene(scene_of("pot_to_plate", 2, distractors="never")).start
    expert = make_expert(scene_of("pot_to_plate", 2))
    first = expert.plan(alone, NOTHING)
    other = make_expert(scene_of("pot_to_plate", 77))
    other.plan(_with_item(alone, [0.1, -0.4, 0.028]), NOTHING)
    np.testing.assert_array_equal(other.plan(alone, NOTHING), first)
    crowded = np.concatenate([alone, np.ones(14)])
    np.testing.assert_array_equal(other.plan(crowded, NOTHING), first)


def test_a_bar_is_taken_across_whichever_way_it_points():
    """Turned by half a turn a carrot is taken the same way; turned a little the hand turns too."""
    start = build_scene(scene_of("carrot_to_pan", 0)).start
    expert = make_expert(scene_of("carrot_to_pan", 0))
    plans = [expert.plan(_with_item(start, yaw=a), NOTHING) for a in (0.3, 0.3 + np.pi, -0.3)]
    np.testing.assert_allclose(plans[0], plans[1], atol=1e-12)
    assert np.abs(plans[0][:, 3:6] - plans[2][:, 3:6]).max() > 1e-3


def test_an_item_that_is_in_already_is_left_alone():
    """With the item in the receptacle's middle the hand opens and does not move towards it."""
    start = build_scene(scene_of("pot_to_plate", 4)).start
    inside = _with_item(start, [*start[16:18], 0.036])
    plan = make_expert(scene_of("pot_to_plate", 4)).plan(inside, NOTHING)
    assert np.abs(plan[:, :6]).max() == 0.0
    assert (plan[:, 6] == 1.0).all()


def test_a_chunk_foresees_fingers_and_lift():
    """From the grasp on, one chunk closes the hand and begins to lift only then."""
    twin, expert = Twin(scene_of("pot_to_plate", 3)), make_expert(scene_of("pot_to_plate", 3))
    while expert.plan(twin.truth().qpos, NOTHING)[0, 6] == 1.0:
        _follow(twin, expert.plan(twin.truth().qpos, NOTHING), 1)
    for _ in range(3):
        _follow(twin, expert.plan(twin.truth().qpos, NOTHING), 1)
    plan = expert.plan(twin.truth().qpos, NOTHING)
    assert (plan[:, 6] == 0.0).all()
    assert abs(plan[0, 2]) < 1e-9
    assert plan[-1, 2] > 1e-3


def test_finger_model_agrees_with_the_driver():
    """Closing and opening for 1.2 s in the twin ends within 0.06 rad of the model."""
    twin = Twin(scene_of("cube_to_plate", 0))
    angle = 0.0
    for opening in (0.0, 1.0):
        for _ in range(12):
            angle = finger_after(angle, opening)
            for _ in range(10):
                fingers = twin.driver.finger_speeds(100.0 * (1.0 - opening))
                twin.driver.send(VelocityPoint(fingers=fingers))
                twin.step()
        assert twin.truth().qpos[6] == pytest.approx(angle, abs=0.06)
    assert finger_after(0.9, 0.0, stall=0.95) == 0.95
    assert finger_after(1.2, 0.0, stall=0.95) == 1.2
    assert finger_after(SHUT, 0.0) == pytest.approx(SHUT)


@pytest.mark.parametrize("task", task_names())
def test_landmarks_are_the_true_places(task):
    """Item, receptacle and tool are where the twin has them; for wiping they lie on the stain."""
    twin, expert = Twin(scene_of(task, 1)), make_expert(scene_of(task, 1))
    truth = twin.truth()
    found = expert.landmarks(truth.qpos, truth.cleaned)
    assert list(found) == ["item", "receptacle", "tool"]
    np.testing.assert_allclose(found["tool"], truth.pose.position, atol=2e-3)
    if task == "wipe_table":
        np.testing.assert_allclose(found["receptacle"][:2], twin.scene.cells.mean(axis=0))
        assert np.linalg.norm(twin.scene.cells - found["item"][:2], axis=1).min() < 0.0125
        return
    for key, item in zip(found, find_task(task).items, strict=False):
        np.testing.assert_allclose(found[key], twin._position(item.name), atol=1e-4)


def test_every_task_has_an_expert_without_an_entry():
    """Each task of a kind has the kind's expert."""
    assert tasks_with_expert() == task_names()


def test_a_task_of_existing_items_is_done_by_the_kinds_expert():
    """The pot into the white plate, two items of two other tasks: its expert does it."""
    for seed in (0, 3):  # alone, and with things of a third task
        scene = SceneConfig(POT_TO_WHITE, seed, distractors="always" if seed else "never")
        twin, expert = Twin(scene), make_expert(scene)
        _run(twin, expert)
        assert twin.truth().success


def test_wrong_scenes_are_refused():
    """A task without items, a negative seed and a state that is too short are refused."""
    with pytest.raises(TwinError, match="'wipe_table' has no item to grasp"):
        PlaceExpert(scene_of("wipe_table"))
    with pytest.raises(TwinError, match="seed is -1"):
        make_expert(scene_of("pot_to_plate", -1))
    with pytest.raises(TwinError, match="state has 9 positions, at least 23 are needed"):
        make_expert(scene_of("pot_to_plate", 0)).plan(np.zeros(9), NOTHING)
