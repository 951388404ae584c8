"""Tasks of the twin and where their things lie."""

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scenes import scene_of

from adp_ros.errors import ConfigError, TwinError
from adp_ros.sim.items import CUBE, DISTRACTOR_SETS, ITEMS, PAN, POT, WHITE_PLATE, Receptacle
from adp_ros.sim.kinds.place import PlaceTask
from adp_ros.sim.placement import AREA_HIGH, AREA_LOW, Spot, check_reachable, place
from adp_ros.sim.scene import build_scene
from adp_ros.sim.task import ItemState, SceneConfig, SceneState
from adp_ros.sim.tasks import TASKS as DOOR
from adp_ros.sim.tasks import find_task, task_names

RECORDED = Path(__file__).parents[1] / "golden" / "scenes" / "placements.json"
TASKS = ("carrot_to_pan", "cube_to_plate", "pot_to_plate", "wipe_table")


def _state(task_name, item_position, touched=False):
    task = find_task(task_name)
    item, target = task.items
    start = np.array([0.2, -0.3, item.half_height])
    rest = np.array([-0.1, -0.4, target.half_height])
    return task, SceneState(
        {
            item.name: ItemState(start, np.array(item_position), touched),
            target.name: ItemState(rest, rest, False),
        }
    )


def test_registry_holds_the_four_tasks_of_the_paper():
    """Every file of the package with a task is found, under its own name."""
    assert task_names() == TASKS
    assert all(task.name == name and task.instruction for name, task in DOOR.usable().items())


def test_unknown_task_names_those_that_exist():
    """The message of an unknown task lists what is allowed."""
    with pytest.raises(ConfigError, match="task is 'dance', allowed: carrot_to_pan, cube_to_plate"):
        find_task("dance")


@pytest.mark.parametrize("name", TASKS)
def test_placement_depends_on_task_and_seed_alone(name):
    """The same seed gives the same placement, another seed another one."""
    task = find_task(name)
    first, again, other = (place(SceneConfig(task, seed)) for seed in (7, 7, 8))
    assert first.items == again.items
    np.testing.assert_array_equal(first.looks, again.looks)
    same = first.items == other.items and np.array_equal(first.looks, other.looks)
    assert not same


def _digest(name, distractors):
    """Hash of the first 300 placements of a task, as the recorded ones were made."""
    digest = hashlib.sha256()
    for seed in range(300):
        placed = place(scene_of(name, seed, distractors=distractors))
        digest.update(",".join(item.name for item, _ in placed.items).encode())
        spots = np.array([[s.x, s.y, s.yaw] for _, s in placed.items]).reshape(-1, 3)
        for part in (spots, np.zeros(0) if placed.dirt is None else placed.dirt, placed.looks):
            digest.update(np.ascontiguousarray(part, dtype="<f8").tobytes())
    return digest.hexdigest()


@pytest.mark.parametrize("name", TASKS)
def test_scenes_of_published_seeds_stay_bit_for_bit(name):
    """300 seeds of each task and choice of distractors lie as the first release laid them."""
    recorded = json.loads(RECORDED.read_text())
    for seed, things in recorded["first"][name].items():
        placed = place(scene_of(name, int(seed)))
        found = {item.name: [spot.x, spot.y, spot.yaw] for item, spot in placed.items}
        if placed.dirt is not None:
            found["dirt"] = placed.dirt.tolist()
        assert found == things
    digests = recorded["digests"][name]
    assert {choice: _digest(name, choice) for choice in digests} == digests


@pytest.mark.parametrize("target", [WHITE_PLATE, PAN])
def test_a_task_of_existing_items_shares_the_table_with_other_items_only(target):
    """Two tasks may share an item: what is drawn beside it is none of the task's own things."""
    task = PlaceTask(name="cube_too", instruction="x", item=CUBE, target=target)
    for seed in range(60):
        scene = SceneConfig(task, seed, distractors="always")
        names = [item.name for item, _ in place(scene).items]
        assert len(names) == 4 and len(set(names)) == 4
    assert build_scene(scene).model.nq >= 6 + 3 + 4 * 7


def test_without_a_set_that_fits_a_task_has_the_table_for_itself():
    """When every set shares an item with the task there are no distractors, and no error."""
    every = tuple(item.name for items in DISTRACTOR_SETS for item in items)
    task = PlaceTask(name="x", instruction="y", item=POT, target=PAN, not_with=every)
    assert len(place(SceneConfig(task, 1, distractors="always")).items) == 2


def test_names_that_clash_are_refused_in_words():
    """Two items of one name, and an item that is called like a part of the room."""
    twice = PlaceTask(name="x", instruction="y", item=replace(CUBE, name="pan"), target=PAN)
    with pytest.raises(TwinError, match="task 'x' has items pan, pan, no name may come twice"):
        place(SceneConfig(twice))
    table = PlaceTask(name="x", instruction="y", item=replace(CUBE, name="table"), target=PAN)
    with pytest.raises(TwinError, match="the scene of task 'x' can't be built: .*table"):
        build_scene(SceneConfig(table))


@pytest.mark.parametrize("name", TASKS[:3])
def test_items_lie_apart_inside_the_reachable_area(name):
    """In 200 scenes no two items overlap, and each lies inside the area."""
    for seed in range(200):
        spots = place(scene_of(name, seed)).items
        for i, (item, spot) in enumerate(spots):
            assert AREA_LOW[0] < spot.x < AREA_HIGH[0]
            assert AREA_LOW[1] < spot.y < AREA_HIGH[1]
            for other, there in spots[:i]:
                gap = np.hypot(spot.x - there.x, spot.y - there.y)
                assert gap > item.radius + other.radius


def test_half_of_the_scenes_have_distractors_that_the_instruction_excludes():
    """About half of the scenes hold another task's items, never a second thing that is meant."""
    scenes = [scene_of("cube_to_plate", seed) for seed in range(400)]
    names = [[item.name for item, _ in place(scene).items] for scene in scenes]
    share = np.mean([len(n) > 2 for n in names])
    assert 0.4 < share < 0.6
    assert all("green_plate" not in n for n in names)
    assert any("pan" in n for n in names)


@pytest.mark.parametrize("name", TASKS)
def test_distractors_can_be_forced_and_forbidden(name):
    """Always and never hold for every seed; an unknown choice is refused by name."""
    task = find_task(name)
    for seed in range(40):
        alone, shared = (scene_of(name, seed, distractors=d) for d in ("never", "always"))
        assert len(place(alone).items) == len(task.items)
        assert len(place(shared).items) == len(task.items) + 2
    with pytest.raises(TwinError, match="distractors is 'some', allowed: auto, always, never"):
        place(scene_of(name, distractors="some"))


def test_the_hand_has_room_around_what_it_takes():
    """In 200 scenes no other graspable thing lies where the open fingers sweep."""
    for seed in range(200):
        spots = place(scene_of("carrot_to_pan", seed, distractors="always")).items
        (_, carrot), (other, there) = spots[0], spots[2]
        assert np.hypot(carrot.x - there.x, carrot.y - there.y) > 0.115 + other.radius


def test_things_beside_a_stain_leave_room_for_the_wiping_hand():
    """In 100 scenes nothing lies within 9 cm of the stain."""
    task = find_task("wipe_table")
    for seed in range(100):
        placement = place(scene_of("wipe_table", seed, distractors="always"))
        for item, spot in placement.items:
            gap = np.abs([spot.x, spot.y] - placement.dirt) - task.dirt.half_size
            assert np.hypot(*np.maximum(gap, 0.0)) >= item.radius + 0.09


@pytest.mark.parametrize("spot", [(0.26, -0.4), (0.0, -0.2), (0.0, -0.7), (float("nan"), -0.4)])
def test_places_out_of_reach_are_refused(spot):
    """The message names the item, where it lies and what is allowed."""
    check_reachable(ITEMS["pot"], Spot(0.25, -0.62, 0.0))
    with pytest.raises(TwinError, match=r"pot at .* m is out of reach, allowed: x -0.25 to 0.25"):
        check_reachable(ITEMS["pot"], Spot(*spot, 0.0))


def test_the_stain_lies_inside_the_area():
    """In 200 scenes every cell of the stain is inside the reachable area."""
    for seed in range(200):
        cells = place(scene_of("wipe_table", seed)).cells
        assert len(cells) == 96
        assert (cells > AREA_LOW).all() and (cells < AREA_HIGH).all()


def test_negative_seed_is_refused():
    """A seed below 0 is refused by value."""
    with pytest.raises(TwinError, match="seed is -1, allowed: 0 and above"):
        place(scene_of("wipe_table", -1))


def test_wiping_succeeds_above_80_percent():
    """Exactly 80 % is not enough, one cell more is."""
    task = find_task("wipe_table")
    cleaned = np.zeros(100, dtype=bool)
    cleaned[:80] = True
    assert not task.success(SceneState(cleaned=cleaned))
    cleaned[80] = True
    assert task.success(SceneState(cleaned=cleaned))
    assert task.progress(SceneState(cleaned=cleaned)) == pytest.approx(0.81)


@pytest.mark.parametrize(
    ("position", "touched", "done"),
    [
        ((-0.1, -0.4, 0.04), False, True),  # in the middle of the plate
        ((-0.1, -0.4, 0.04), True, False),  # still held
        ((-0.1, -0.33, 0.04), False, False),  # over the edge
        ((-0.1, -0.4, 0.15), False, False),  # in the air above it
        ((0.2, -0.3, 0.03), False, False),  # not moved
    ],
)
def test_placing_succeeds_wholly_inside_and_released(position, touched, done):
    """The item must lie wholly inside the receptacle, on its floor, and be let go of."""
    task, state = _state("pot_to_plate", position, touched)
    assert task.success(state) is done
    assert (task.progress(state) == 1.0) is done


def test_progress_of_placing_is_the_share_of_the_way():
    """Halfway to the plate is half of the task."""
    task, state = _state("pot_to_plate", (0.05, -0.35, 0.1))
    assert task.progress(state) == pytest.approx(0.5)


def test_every_target_has_room_for_its_item():
    """Each task's item fits into its receptacle with room to spare."""
    for name in TASKS[:3]:
        item, target = find_task(name).items
        assert isinstance(target, Receptacle)
        assert item.radius < target.inner_radius - 0.015
    assert len(ITEMS) == 6


def test_tasks_and_placement_need_no_simulator():
    """Launch files can list tasks on a machine without MuJoCo."""
    code = (
        "import sys; sys.modules['mujoco'] = None;"
        "from adp_ros.sim.tasks import find_task, task_names;"
        "from adp_ros.sim.task import SceneConfig, make_expert;"
        "make_expert(SceneConfig(find_task('wipe_table'))); print(*task_names())"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert tuple(out.stdout.split()) == TASKS
