"""Rollouts: the nodes' loop in one process, in simulated time."""

from dataclasses import replace

import numpy as np
import pytest
from evaluation_fakes import HoldChunker

from adp_ros.control.controller_settings import ControllerSettings
from adp_ros.errors import ConfigError, TwinError
from adp_ros.evaluation.chunkers import ExpertChunker, NoisyExpert, RelievedPolicy
from adp_ros.evaluation.rollout import run_rollout
from adp_ros.evaluation.rollout_result import Ending, RolloutConfig
from adp_ros.policies.window import Window

SHORT = RolloutConfig(task="cube_to_plate", seed=5, time_limit=2.0)


class Steady:
    """Plans the same action all the time."""

    def __init__(self, *action):
        self.action = np.array(action, dtype=np.float64)

    def begin(self, config):
        pass

    def plan(self, view):
        return Window(window=view.window, actions=np.tile(self.action, (8, 1)))


class Notes:
    """Remembers all it was shown."""

    def __init__(self):
        self.steps, self.windows = [], []

    def on_step(self, step):
        self.steps.append(step)

    def on_window(self, view, window):
        self.windows.append((view, window))


def no_camera(config):
    """A camera that must not be needed."""
    raise TwinError("somebody asked for a picture")


def watched(config, chunker, **arguments):
    """Result and notes of a rollout without pictures."""
    notes = Notes()
    return run_rollout(config, chunker, notes, no_camera, **arguments), notes


def test_expert_does_a_task_without_a_missed_step():
    """The scripted expert succeeds through the real controller, and no picture is rendered."""
    result, notes = watched(replace(SHORT, time_limit=None), ExpertChunker())
    assert (result.success, result.ending, result.progress) == (True, Ending.SUCCESS, 1.0)
    assert result.steps > 80 and result.steps_missed == 0
    assert [step.step for step in notes.steps] == list(range(notes.steps[0].step, len(notes.steps)))
    assert 0.5 < result.path_length < 2.0 and result.peak_force > 0.0


def test_same_seed_and_planner_give_the_same_episode_bit_for_bit():
    """Results and true states are equal from run to run, also with disturbances."""
    runs = [watched(SHORT, NoisyExpert(1.0)) for _ in range(2)]
    (first, one), (second, other) = runs
    assert first == second
    assert len(one.steps) == len(other.steps) > 10
    for mine, yours in zip(one.steps, other.steps, strict=True):
        assert np.array_equal(mine.view.truth.qpos, yours.view.truth.qpos)
        assert np.array_equal(mine.view.arm.joints, yours.view.arm.joints)


def test_windows_see_the_newest_picture_that_has_arrived():
    """A picture is of the 30 Hz grid, at least the camera's delay old, and no older than needed."""
    result, notes = watched(replace(SHORT, camera_delay=0.03), HoldChunker())
    ages = [record.asked - view.time for view, record in notes.windows]
    assert len(result.windows) == len(notes.windows) >= 3
    assert min(ages) >= 0.03 - 1e-9 and max(ages) < 0.03 + 1 / 30 + 0.01 + 1e-9
    assert [record.window for record in result.windows] == list(range(len(notes.windows)))


@pytest.mark.parametrize(("latency", "execution"), [(0.1, "pipelined"), (0.4, "sync")])
def test_chunk_arrives_after_the_latency(latency, execution):
    """Nothing moves before request + latency; sync execution waits for every chunk."""
    config = replace(SHORT, latency=latency, execution=execution)
    result, notes = watched(config, Steady(0.004, 0, 0, 0, 0, 0, 1))
    begun = notes.steps[0].view.time
    assert latency - 1e-9 <= begun - result.windows[0].asked <= latency + 0.11
    gaps = np.diff([record.asked for record in result.windows])
    if execution == "sync":
        assert result.counters.steps_idle >= 4 * (len(gaps) - 1)
        assert gaps == pytest.approx(0.8 + latency, abs=0.11)
    else:
        assert result.steps_missed == result.counters.steps_idle == 0


def test_step_is_shown_with_the_action_that_begins():
    """An observer sees each executed action, in its order, with arm and scene of that instant."""
    _, notes = watched(SHORT, Steady(0.004, 0, 0, 0, 0, 0, 1))
    executed = [step for step in notes.steps if step.action is not None]
    assert len(executed) == len(notes.steps)
    assert all(step.action.action[0] == 0.004 for step in executed)
    times = np.array([step.view.time for step in notes.steps])
    assert np.diff(times) == pytest.approx(0.1, abs=0.0101)
    way = np.diff([step.view.truth.pose.position[0] for step in notes.steps])
    assert way[5:] == pytest.approx(0.004, abs=6e-4)


def test_push_into_the_table_ends_as_a_safety_stop():
    """The torque monitor is at work: its stop ends the episode and is told with its cause."""
    config = replace(SHORT, time_limit=20.0)
    result, _ = watched(config, Steady(0, 0, -0.015, 0, 0, 0, 1))
    assert (result.success, result.ending, result.stop) == (False, Ending.SAFETY_STOP, "torque")
    assert result.safety[-1].status == "stopped" and result.safety[-1].time == result.time


def test_chunk_that_must_not_move_the_arm_does_not():
    """A chunk with NaN is refused as in the nodes; the arm stands until the time is up."""
    result, _ = watched(SHORT, Steady(0, 0, np.nan, 0, 0, 0, 1))
    assert (result.ending, result.steps, result.counters.chunks) == (Ending.TIME_LIMIT, 0, 0)
    assert result.counters.chunks_refused > 1 and result.path_length < 0.01
    assert result.time == pytest.approx(SHORT.time_limit, abs=0.011)


def test_gripper_follows_through_the_drivers_units():
    """An opening of 0 closes the fingers at the driver's own pace."""
    _, notes = watched(SHORT, Steady(0, 0, 0, 0, 0, 0, 0))
    fingers = notes.steps[-1].view.arm.fingers
    assert fingers == pytest.approx(fingers[0], abs=0.02) and fingers[0] > 0.9


def test_start_pose_is_off_home_as_asked():
    """The arm goes to its start pose before the episode; the torque's offset is measured there."""
    offset = (0.05, -0.05, 0.03, 0.1, -0.1, 0.0)
    at_home, home = watched(SHORT, HoldChunker())
    result, notes = watched(replace(SHORT, start_offset=offset), HoldChunker())
    moved = notes.steps[0].view.arm.joints - home.steps[0].view.arm.joints
    assert moved == pytest.approx(offset, abs=0.01)
    assert (result.safety, at_home.safety) == ((), ())


def test_picture_is_drawn_once_and_only_when_asked_for():
    """Two looks at one view render once; the camera is closed at the end."""

    class Camera:
        drawn = closed = 0

        def render(self, qpos, cleaned):
            self.drawn += 1
            return np.zeros((480, 640, 3), np.uint8)

        def close(self):
            self.closed += 1

    class Looking(HoldChunker):
        def plan(self, view):
            assert view.rgb() is view.rgb()
            return super().plan(view)

    camera = Camera()
    result = run_rollout(SHORT, Looking(), make_camera=lambda config: camera)
    assert (camera.drawn, camera.closed) == (len(result.windows), 1)


def test_expert_relieves_a_policy_in_the_wanted_share():
    """With share 1 the expert moves the arm, with share 0 the policy; the policy always thinks."""

    class Counting(HoldChunker):
        asked = 0

        def plan(self, view):
            self.asked += 1
            return super().plan(view)

    for share, moves in ((0.0, False), (1.0, True)):
        policy = Counting()
        result, _ = watched(SHORT, RelievedPolicy(policy, share))
        assert (result.path_length > 0.05) is moves
        assert policy.asked == len(result.windows)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"seed": -1}, "seed is -1"),
        ({"execution": "later"}, "execution is 'later'"),
        ({"latency": float("nan")}, "latency is nan"),
        ({"start_offset": (0.1, 0.1)}, "start_offset has 2 numbers"),
        ({"distractors": "many"}, "distractors is 'many'"),
        ({"robot_type": "j2s7s300"}, "robot_type is 'j2s7s300'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(values, text):
    """The message names the setting and its value."""
    with pytest.raises(ConfigError, match=text):
        RolloutConfig(**values)


def test_unknown_task_is_refused():
    """Nothing is built for a task that does not exist."""
    with pytest.raises(ConfigError, match="task is 'cook', allowed: carrot_to_pan"):
        run_rollout(RolloutConfig(task="cook"), HoldChunker())


def test_controllers_own_settings_are_used():
    """What config/controller.yaml would say reaches the loop; execution and arm type win."""
    settings = ControllerSettings()
    settings = replace(settings, chunk=replace(settings.chunk, min_lead=0.6))
    config = replace(SHORT, controller=settings, execution="sync", robot_type="j2n6s200")
    chosen = config.controller_settings()
    assert (chosen.chunk.min_lead, chosen.chunk.execution) == (0.6, "sync")
    assert chosen.arm.robot_type == "j2n6s200"
