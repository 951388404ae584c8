"""Episodes in the real loop: what is counted, what is filmed, where the camera stands."""

from dataclasses import replace
from types import SimpleNamespace

import av
import numpy as np
import pytest
from evaluation_fakes import config, plan
from scenes import scene_of

from adp_ros.adp.cost import DecoderSizes
from adp_ros.adp.gate_settings import GateConfig
from adp_ros.adp.text_driven import TextDrivenPruner
from adp_ros.errors import ConfigError
from adp_ros.evaluation import runner as rollout_runner
from adp_ros.evaluation.conditions import SceneVariant, shifted_camera
from adp_ros.evaluation.episodes import Episode, EpisodeJob
from adp_ros.evaluation.rollout import twin_camera
from adp_ros.evaluation.rollout_result import RolloutConfig
from adp_ros.evaluation.runner import RolloutFactory, RolloutRunner, RolloutWatch
from adp_ros.policies.policy import Policy, PolicyInfo, Prediction, StageTimes
from adp_ros.policies.setup import PolicySetup
from adp_ros.sim.items import Receptacle
from adp_ros.sim.scene import build_scene
from adp_ros.types import ActionConvention

SHORT = RolloutConfig(time_limit=1.5)
LLM = DecoderSizes(hidden=64, intermediate=128, layers=4)
INFO = PolicyInfo(kind="standing", chunk_length=8, layers=4)


class StandingPolicy(Policy):
    """Plans to stay where it is, with numbers as a real policy's; keeps the first patches."""

    info = INFO

    def __init__(self):
        self.pruners = []

    def predict(self, observation, pruner=None):
        self.pruners.append(pruner)
        kept = None if pruner is None else np.arange(pruner.kept_per_view(1, 256)[0])
        length = 91 + (256 if kept is None else len(kept))
        actions = np.zeros((8, 7))
        actions[:, 6] = 1.0
        times = StageTimes(0.0, 0.0, 0.0, 0.0, 0.0, 0.01 if kept is None else 0.006)
        return Prediction(
            actions, actions.astype(np.float32), kept, None, (length, length), times, 1, 256,
            LLM.flops(length), LLM.flops(91 + 256),
        )  # fmt: skip


@pytest.fixture
def policy():
    """A policy that stands still."""
    return StandingPolicy()


@pytest.fixture
def runner(policy):
    """A runner of short episodes with that policy."""
    setup = PolicySetup(policy, TextDrivenPruner(), GateConfig(), ActionConvention(), None)
    return RolloutRunner(setup, SHORT)


def episode(condition, seed=4, task="cube_to_plate", scene=None):
    """Return an episode of a condition of the package's own configuration."""
    known = config()
    return Episode(task, seed, scene or known.scene("default"), known.condition(condition))


def timeless(result):
    """The result without what a clock measured."""
    return replace(result, wall=0.0)


def test_full_and_static_are_counted(runner):
    """Full vision prunes no window, static every one, to the number of tokens it names."""
    full, static = (runner.run(EpisodeJob(episode(name))) for name in ("full", "static@0.25"))
    assert full.windows == static.windows >= 3
    assert (full.windows_pruned, static.windows_pruned) == (0, static.windows)
    assert full.tokens_kept == full.tokens_total == 256 * full.windows
    assert static.tokens_kept == 64 * static.windows
    assert (full.flops, static.flops_full) == (full.flops_full, full.flops)
    assert 0.3 < static.flops / static.flops_full < 0.6
    assert (set(full.forward_full), set(static.forward_pruned)) == ({0.01}, {0.006})
    assert (full.success, full.stop, full.duration) == (False, "", pytest.approx(1.5))


def test_episodes_repeat(runner):
    """The same episode again gives the same numbers, whatever was run between."""
    first = runner.run(EpisodeJob(episode("periodic")))
    runner.run(EpisodeJob(episode("full", seed=9)))
    assert timeless(runner.run(EpisodeJob(episode("periodic")))) == timeless(first)
    assert first.windows_pruned == first.windows // 2


def test_random_pruner_is_seeded_by_the_scene(runner, policy):
    """Each scene has draws of its own."""
    for seed in (4, 5):
        runner.run(EpisodeJob(episode("random_static", seed=seed)))
    seeds = [pruner.seed for pruner in policy.pruners]
    assert (set(seeds), seeds) == ({4, 5}, sorted(seeds))


@pytest.mark.parametrize("robot_type", ["j2n6s300", "j2n6s200"])
@pytest.mark.parametrize("task", ["pot_to_plate", "carrot_to_pan"])
def test_items_are_where_the_model_has_them(task, robot_type):
    """Places are read from the state at the joints of the compiled model."""
    chosen = RolloutConfig(task=task, seed=3, robot_type=robot_type, distractors="always")
    scene = build_scene(scene_of(task, 3, robot_type, distractors="always"))
    graspable = [i.name for i, _ in scene.placement.items if not isinstance(i, Receptacle)]
    assert len(graspable) == 2
    for name in graspable:
        watch = RolloutWatch(chosen, None, "")
        for height in (0.0, 0.05):
            qpos = scene.start.copy()
            qpos[scene.model.joint(name).qposadr[0] + 2] += height
            truth = SimpleNamespace(qpos=qpos, progress=0.0)
            watch.on_step(SimpleNamespace(view=SimpleNamespace(truth=truth, time=0.0)))
        assert (watch.taken.first, watch.taken.candidates, watch.distractors) == (name, 2, True)
        assert watch.taken.taken == ("named" if name == graspable[0] else "other")


def test_wiping_names_no_item():
    """Whatever else lies there, no item is counted as taken."""
    watch = RolloutWatch(RolloutConfig(task="wipe_table", distractors="always"), None, "")
    assert (watch.distractors, watch.taken.candidates, watch.taken.taken) == (True, 0, "")


def test_video_shows_the_episode(runner, tmp_path):
    """Ten pictures a second, in one file that plays; the result is that of the unfilmed run."""
    path = tmp_path / "video.mp4"
    filmed = runner.run(EpisodeJob(episode("static"), path))
    assert timeless(filmed) == timeless(runner.run(EpisodeJob(episode("static"))))
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    assert 12 <= len(frames) <= 16
    assert [p.name for p in tmp_path.iterdir()] == ["video.mp4"]


def test_expert_asks_no_policy(policy):
    """The expert moves the arm; nothing is counted as a window of a policy."""
    result = RolloutRunner(None, SHORT).run(EpisodeJob(episode("expert")))
    assert (result.windows, result.tokens_total, policy.pruners) == (0, 0, [])
    assert result.path_length > 0.05
    with pytest.raises(ConfigError, match="condition full needs a checkpoint"):
        RolloutRunner(None, SHORT).run(EpisodeJob(episode("full")))


def test_shifted_camera_stands_where_it_says():
    """Shift and turn have the asked lengths; without them the picture is the scene's own."""
    chosen = RolloutConfig(task="cube_to_plate", seed=2)
    plain = twin_camera(chosen)
    scene = SceneVariant(name="x", camera_shift=0.03, camera_turn=2.0)
    moved, still = shifted_camera(chosen, scene), shifted_camera(chosen, SceneVariant(name="y"))
    try:
        before, after = (r.scene.model.camera("front") for r in (plain, moved))
        assert np.linalg.norm(after.pos - before.pos) == pytest.approx(0.03)
        half = np.arccos(min(1.0, abs(float(after.quat @ before.quat))))
        assert np.degrees(2 * half) == pytest.approx(2.0, abs=1e-3)
        state = (plain.scene.start, np.zeros(0, dtype=bool))
        pictures = [renderer.render(*state).astype(int) for renderer in (plain, still, moved)]
    finally:
        for renderer in (plain, moved, still):
            renderer.close()
    assert np.array_equal(pictures[0], pictures[1])
    assert np.abs(pictures[0] - pictures[2]).mean() > 1.0


def test_moved_camera_reaches_the_policy(runner, policy, monkeypatch):
    """A variant with a shift plans from other pictures; the scene is the same."""
    seen = []
    predict = policy.predict

    def remember(observation, pruner=None):
        seen.append(observation.images[0])
        return predict(observation, pruner)

    monkeypatch.setattr(policy, "predict", remember)
    runner.run(EpisodeJob(episode("full")))
    count = len(seen)
    shifted = replace(config().scene("default"), name="moved", camera_shift=0.03)
    runner.run(EpisodeJob(episode("full", scene=shifted)))
    assert seen[0].shape == seen[count].shape
    assert not np.array_equal(seen[0], seen[count])


def test_layers_that_are_not_there_are_refused(monkeypatch, tmp_path):
    """Before any episode, with the condition's name; conditions without a score don't matter."""
    monkeypatch.setattr(rollout_runner, "inspect_policy", lambda path: INFO)
    factory = RolloutFactory(tmp_path, SHORT)
    factory.refuse_unfit(plan(("full", "adp_layer3", "random")))
    shallow = replace(INFO, layers=2)
    monkeypatch.setattr(rollout_runner, "inspect_policy", lambda path: shallow)
    with pytest.raises(
        ConfigError, match="condition adp_layer3 asks for layer 3, .* layers 0 to 1"
    ):
        factory.refuse_unfit(plan(("full", "adp_layer3")))


def test_loop_is_part_of_the_identity(tmp_path):
    """Another arm, latency or controller setting is another loop."""
    loops = [
        RolloutFactory(None, chosen).loop()
        for chosen in (
            RolloutConfig(),
            RolloutConfig(latency=0.2),
            RolloutConfig(start_offset=(0.1,) * 6),
        )
    ]
    assert loops[0] == RolloutFactory(None, RolloutConfig()).loop()
    assert loops[0]["latency"] != loops[1]["latency"]
    assert loops[0]["settings"] != loops[2]["settings"]
