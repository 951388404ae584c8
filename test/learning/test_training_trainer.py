"""Trainer: learns, goes on exactly where it was interrupted, refuses what does not fit."""

import dataclasses

import numpy as np
import pytest
import torch
from torch.profiler import ProfilerActivity, profile
from training_data import INSTRUCTIONS, made_examples, small_start

from adp_ros.errors import CheckpointError, ConfigError
from adp_ros.learning.batch import Collator
from adp_ros.learning.examples import Sampler
from adp_ros.learning.network import TrainingNetwork
from adp_ros.learning.optimisation import RunningMean, learning_rate
from adp_ros.learning.processes import Processes
from adp_ros.learning.recipe import (
    Augmentation,
    LossWeights,
    Recipe,
    Stage,
    load_recipe,
)
from adp_ros.learning.trainer import Trainer
from adp_ros.settings import config_from_mapping

CPU = Processes(0, 1, torch.device("cpu"))
PERCEPTION = Stage(
    name="see",
    samples=24,
    batch=4,
    warm_up=2,
    trains=("towers", "projector", "scoring"),
    losses=LossWeights(action=0.0, relevance=1.0, patches=1.0),
)
POLICY = Stage(name="act", samples=32, batch=4, warm_up=2, drop_share=0.5)
SHORT = Recipe(size="tiny", validate_every=4, save_every=3, stages=(PERCEPTION, POLICY))


class Listener:
    """Keeps what the trainer tells."""

    def __init__(self):
        self.losses, self.scores = [], []

    def trained(self, place, losses):
        self.losses.append((place, losses))

    def validated(self, place, scores):
        self.scores.append((place, scores))


def make_trainer(directory, recipe=SHORT, examples=None, fingerprint="a"):
    """A trainer on made-up data, from the same weights every time."""
    examples = examples or made_examples(pictures=20, seed=1)
    start, _, statistics = small_start(examples)
    torch.manual_seed(0)
    network = TrainingNetwork(start.model, len(INSTRUCTIONS))
    collator = Collator(examples, statistics, start.parts.preprocessor, start.parts.tokenizer)
    listener = Listener()
    trainer = Trainer(network, collator, recipe, directory=directory, processes=CPU, log=listener)
    trainer.resume(fingerprint)
    return trainer, network, listener


def interrupt_after(steps):
    """Ask to end at the given call."""
    calls = iter(range(10**6))
    return lambda: next(calls) + 1 >= steps


def test_an_interrupted_run_ends_with_the_same_weights(tmp_path):
    """Stopped in the first and in the second stage, and gone on with: bit for bit the same."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    trainer, network, listener = make_trainer(whole)
    assert trainer.run(lambda: False)
    assert len(listener.losses) == 6 + 8
    for steps in (4, 5):
        part, _, _ = make_trainer(broken)
        assert not part.run(interrupt_after(steps))
    last, again, _ = make_trainer(broken)
    assert last.place.total == 9
    assert last.run(lambda: False)
    for name, parameter in network.named_parameters():
        assert torch.equal(parameter, dict(again.named_parameters())[name]), name


def test_places_are_learnt_from_pictures(tmp_path):
    """A blue square on grey: the perception losses fall by a third in 60 steps."""
    stage = dataclasses.replace(PERCEPTION, samples=60 * 8, batch=8, learning_rate=2e-3)
    recipe = Recipe(size="tiny", validate_every=10**6, save_every=10**6, stages=(stage,))
    trainer, _, listener = make_trainer(tmp_path, recipe, made_examples(pictures=100, seed=2))
    assert trainer.run(lambda: False)
    losses = [losses["patches"] for _, losses in listener.losses]
    assert np.mean(losses[-10:]) < 0.67 * np.mean(losses[:5])


def test_remembered_vision_gives_the_losses_of_the_pictures_at_test(tmp_path):
    """Up to the half precision in which tokens are kept."""
    stage = dataclasses.replace(
        POLICY, samples=4, remember_vision=True, drop_share=0.0, trains=("decoder", "head")
    )
    still = Augmentation(crop_play=0.0, brightness=0.0, contrast=0.0, saturation=0.0, hue=0.0)
    seen = dataclasses.replace(stage, remember_vision=False)
    first = []
    for one in (stage, seen):
        directory = tmp_path / str(one.remember_vision)
        directory.mkdir()
        recipe = dataclasses.replace(SHORT, augmentation=still, stages=(one,))
        trainer, _, listener = make_trainer(directory, recipe)
        assert trainer.run(lambda: False)
        first.append(listener.losses[0][1]["action"])
    assert first[0] == pytest.approx(first[1], abs=0.01)


def test_only_the_parts_of_the_stage_change(tmp_path):
    """The perception stage leaves decoder and head as they were."""
    recipe = dataclasses.replace(SHORT, stages=(PERCEPTION,))
    trainer, network, _ = make_trainer(tmp_path, recipe)
    before = {n: p.detach().clone() for n, p in network.policy.named_parameters()}
    assert trainer.run(lambda: False)
    changed = {n for n, p in network.policy.named_parameters() if not torch.equal(p, before[n])}
    assert "language_model.layers.0.self_attn.q_proj.weight" in changed
    assert not any(n.startswith(("action_head", "language_model.layers.1")) for n in changed)
    assert any(n.startswith("vision_backbone.featurizer.") for n in changed)


def test_held_out_examples_are_never_drawn():
    """And the corrective share is kept on average."""
    examples = made_examples(pictures=40, seed=0)
    corrective = np.arange(40) % 10 == 0
    examples = dataclasses.replace(examples, corrective=corrective)
    draws = np.concatenate([Sampler(examples, 0, 0.5).draw(0, s, 64) for s in range(20)])
    assert not examples.held_out[draws].any()
    assert 0.5 < examples.corrective[draws].mean() < 0.65  # 0.5, and 1 in 10 of the rest


def test_validation_looks_at_the_running_mean_and_changes_nothing(tmp_path):
    """Weights before and after are the same; scores are there for every part."""
    trainer, _, listener = make_trainer(tmp_path)
    assert trainer.run(lambda: False)
    assert [place.total for place, _ in listener.scores] == [4, 6, 10, 14]
    assert all(np.isfinite(v) for v in dataclasses.asdict(listener.scores[-1][1]).values())


def test_a_state_of_another_run_is_refused(tmp_path):
    """And so is one that is broken; both name the file."""
    trainer, _, _ = make_trainer(tmp_path)
    trainer.run(interrupt_after(2))
    with pytest.raises(CheckpointError, match=r"state\.pt is of another recipe"):
        make_trainer(tmp_path, fingerprint="b")
    (tmp_path / "state.pt").write_bytes(b"not a state")
    with pytest.raises(CheckpointError, match=r"state\.pt cannot be read"):
        make_trainer(tmp_path)


def test_the_learning_rate_warms_up_and_ends_low():
    """A tenth of the way up after a tenth of the warm-up, the final share at the end."""
    stage = Stage(samples=1000, batch=1, learning_rate=1.0, warm_up=100, final_share=0.1)
    assert learning_rate(stage, 9) == pytest.approx(0.1, rel=0.01)
    assert learning_rate(stage, 999) == pytest.approx(0.1, abs=0.001)


def test_the_running_mean_forgets_the_beginning():
    """With a decay of 0.5 the newest value weighs one half."""
    mean = RunningMean(0.5)
    for value in (1.0, 1.0, 3.0):
        mean.take([("a", torch.tensor(value))])
    assert float(mean.values["a"]) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sizes": "twin"}, "unknown setting 'sizes', did you mean 'size'"),
        ({"stages": []}, "stages is empty"),
        ({"stages": [{"trains": ["tower"]}]}, "trains has 'tower', allowed: towers"),
        ({"stages": [{"losses": {"relevance": -1.0}}]}, "losses.relevance is -1.0, allowed: 0"),
        ({"augmentation": {"hue": 2.0}}, "augmentation.hue is 2.0"),
        ({"stages": [{"remember_vision": True}]}, "trains must not have towers"),
        ({"stages": [{"drop_keep": [0.7, 0.3]}]}, "the smaller comes first"),
    ],
)
def test_a_recipe_with_a_mistake_is_refused_by_name(values, message):
    """Each message names setting and value."""
    with pytest.raises(ConfigError, match=message.replace(".", r"\.")):
        config_from_mapping(Recipe, values, "here")


def test_a_recipe_may_differ_from_another_one_in_a_few_settings(tmp_path):
    """Named settings win, groups are changed one by one, the rest is the base's."""
    (tmp_path / "plain.yaml").write_text(
        "seed: 3\nstages:\n  - {samples: 7, losses: {relevance: 0.5, action: 2.0}}\n"
    )
    path = tmp_path / "other.yaml"
    path.write_text("base: plain\nsize: tiny\nevery_stage: {batch: 2, losses: {relevance: 0.0}}")
    recipe = load_recipe(path)
    stage = recipe.stages[0]
    assert (recipe.seed, recipe.size, stage.samples, stage.batch) == (3, "tiny", 7, 2)
    assert (stage.losses.relevance, stage.losses.action) == (0.0, 2.0)


STAGES = """\
stages:
  - {name: see, samples: 7, losses: {patches: 0.5, action: 2.0}}
  - {name: act, samples: 9}
"""


def test_a_recipe_may_change_stages_by_name(tmp_path):
    """Only the named one, setting by setting; order and the other stage are the base's."""
    (tmp_path / "plain.yaml").write_text(STAGES)
    path = tmp_path / "other.yaml"
    path.write_text("base: plain\nstages: {see: {batch: 2, losses: {patches: 0.0}}}")
    see, act = load_recipe(path).stages
    assert (see.name, see.samples, see.batch) == ("see", 7, 2)
    assert (see.losses.patches, see.losses.action) == (0.0, 2.0)
    assert act == load_recipe(tmp_path / "plain.yaml").stages[1]


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ("{hear: {batch: 2}}", "stages has hear, the base has see, act"),
        ("{see: 2}", "stage see is 2, settings are needed"),
    ],
)
def test_a_change_of_a_stage_that_does_not_fit_is_refused(tmp_path, stages, message):
    """Names the stage and what the base has."""
    (tmp_path / "plain.yaml").write_text(STAGES)
    path = tmp_path / "other.yaml"
    path.write_text(f"base: plain\nstages: {stages}")
    with pytest.raises(ConfigError, match=message):
        load_recipe(path)


def test_the_recipes_of_the_package_can_be_read():
    """Every file in config/train, with a sentence on relevance."""
    from pathlib import Path

    files = sorted(Path(__file__).parents[2].joinpath("config", "train").glob("*.yaml"))
    assert files
    for path in files:
        assert load_recipe(path).relevance.endswith(".")


def test_a_step_on_a_cpu_has_no_fused_attention(tmp_path):
    """Its slow backward pass is not met: attention of towers and decoder is written out."""
    trainer, _, listener = make_trainer(tmp_path, dataclasses.replace(SHORT, stages=(POLICY,)))
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        assert not trainer.run(interrupt_after(1))
    called = {event.key for event in seen.key_averages()}
    assert len(listener.losses) == 1
    assert not any("scaled_dot_product" in name for name in called)
    assert "aten::softmax" in called
