"""What makes a large model fit: parts of a batch, activations computed again, adapters alone."""

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from demonstration_data import demonstration
from training_data import INSTRUCTIONS, made_examples, small_start

from adp_ros.errors import ConfigError
from adp_ros.learning.batch import Collator
from adp_ros.learning.dataset import DatasetInfo, create_dataset
from adp_ros.learning.initial_model import recompute_activations
from adp_ros.learning.network import TrainingNetwork
from adp_ros.learning.processes import Processes
from adp_ros.learning.recipe import LoraSettings, LossWeights, Recipe, Stage
from adp_ros.learning.train import Request, train
from adp_ros.learning.trainer import STATE_FILE, Trainer
from adp_ros.policies.conventions import JACO_LAYOUT
from adp_ros.policies.openvla.create import SIZES, NewCheckpoint, create_checkpoint
from adp_ros.policies.policy import load_policy
from adp_ros.types import Observation

CPU = Processes(0, 1, torch.device("cpu"))
TWO_STAGES = (
    Stage(
        name="see",
        samples=8,
        batch=4,
        parts=2,
        losses=LossWeights(action=0.0, relevance=1.0, patches=1.0),
    ),
    Stage(name="act", samples=16, batch=4, parts=2, learning_rate=1e-2, warm_up=0),
)
LARGE = Recipe(
    held_out=0.5,
    save_every=1,
    validate_every=3,
    recompute=True,
    lora=LoraSettings(rank=4, base="bfloat16"),
    stages=TWO_STAGES,
)


class Silent:
    """Shows nothing, hears nothing."""

    def begin(self, text, samples, done):
        pass

    def advance(self, samples, stage, losses):
        pass

    def trained(self, place, losses):
        pass

    def validated(self, *told):
        pass


def stepped(directory, **changes):
    """Weights after two steps on made-up data."""
    examples = made_examples(pictures=12, seed=1)
    start, _, statistics = small_start(examples)
    torch.manual_seed(0)
    network = TrainingNetwork(start.model, len(INSTRUCTIONS))
    collator = Collator(examples, statistics, start.parts.preprocessor, start.parts.tokenizer)
    stage = Stage(samples=12, batch=6, warm_up=0, **changes)
    recipe = Recipe(size="tiny", held_out=0.0, stages=(stage,), average=0.0)
    if directory.name == "again":
        recompute_activations(start.model, CPU.device)
    directory.mkdir()
    trainer = Trainer(network, collator, recipe, directory=directory, processes=CPU, log=Silent())
    trainer.resume("a")
    assert trainer.run(lambda: False)
    return {name: p.detach().clone() for name, p in network.named_parameters()}


def test_computing_activations_again_changes_no_bit(tmp_path):
    """The second time they are the same, attention written out included."""
    one, two = stepped(tmp_path / "kept"), stepped(tmp_path / "again")
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_parts_of_a_batch_take_the_same_step(tmp_path):
    """Up to rounding: gradients of the parts add up to the batch's."""
    one, two = stepped(tmp_path / "whole"), stepped(tmp_path / "parts", parts=3)
    start, _, _ = small_start(made_examples(pictures=12, seed=1))
    before = dict(TrainingNetwork(start.model, len(INSTRUCTIONS)).policy.named_parameters())
    moved = apart = 0.0
    for name, weights in before.items():
        moved += float((one[f"policy.{name}"] - weights.detach()).abs().sum())
        apart += float((one[f"policy.{name}"] - two[f"policy.{name}"]).abs().sum())
    assert 0.0 < apart < 0.1 * moved


def test_more_parts_than_samples_are_refused():
    """By stage, setting and value."""
    with pytest.raises(ConfigError, match="stage act: parts is 5, allowed: 1 to the batch of 4"):
        Stage(name="act", batch=4, parts=5)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A tiny checkpoint with random weights, and demonstrations for it."""
    folder = tmp_path_factory.mktemp("large")
    create_checkpoint(folder / "base", SIZES["tiny"], NewCheckpoint(state=len(JACO_LAYOUT)))
    dataset = create_dataset(folder / "data", DatasetInfo(state=JACO_LAYOUT))
    for seed in range(4):
        dataset.write(f"e{seed}", demonstration(seed, states=len(JACO_LAYOUT)))
    return folder


def run(folder: Path, out: Path, interrupted):
    """Fine-tune with adapters."""
    request = Request(recipe=LARGE, data=[folder / "data"], out=out, checkpoint=folder / "base")
    return train(request, Silent(), interrupted, time.perf_counter)


def test_an_interrupted_run_with_adapters_ends_in_the_same_bits(checkpoint, tmp_path):
    """Killed after each step and gone on with: the checkpoint's files are the same."""
    whole = run(checkpoint, tmp_path / "whole", lambda: False)
    assert whole.finished and whole.steps == 6
    for _ in range(5):
        assert not run(checkpoint, tmp_path / "broken", lambda: True).finished
    again = run(checkpoint, tmp_path / "broken", lambda: False)
    assert again.finished and again.scores == whole.scores
    for name in ("model.safetensors", "action_head--6_checkpoint.pt"):
        one, two = ((o.checkpoint / name).read_bytes() for o in (whole, again))
        assert one == two


def test_the_state_holds_what_changes_and_nothing_else(checkpoint, tmp_path):
    """No weight of the base, which would be gigabytes at each save."""
    assert not run(checkpoint, tmp_path / "run", lambda: True).finished
    state = torch.load(tmp_path / "run" / STATE_FILE, weights_only=True)
    names = [name for name in state["network"] if name.startswith("policy.")]
    assert any("lora_A" in name for name in names)
    assert any("action_head" in name for name in names)
    assert [name for name in names if "base_layer" in name] == []
    assert all(state["network"][name].dtype == torch.float32 for name in names)


def test_adapters_are_trained_again_after_a_stage_that_left_them_out(checkpoint, tmp_path):
    """The first stage trains no decoder, the second does; the result is loaded as any other."""
    outcome = run(checkpoint, tmp_path / "run", lambda: False)
    base, tuned = (
        load_policy(d, "cpu", "float32") for d in (checkpoint / "base", outcome.checkpoint)
    )
    old, new = (dict(p.model.named_parameters()) for p in (base, tuned))
    changed = {name for name in old if not torch.equal(old[name], new[name])}
    assert any(name.startswith("language_model.layers.1.") for name in changed)
    assert any(name.startswith("vision_backbone.") for name in changed)
    assert not any("norm" in name and name.startswith("language_model") for name in changed)
    picture = np.zeros((480, 640, 3), np.uint8)
    instruction = demonstration(0).instruction
    found = tuned.predict(Observation((picture,), instruction, np.zeros(len(JACO_LAYOUT))))
    assert np.isfinite(found.actions).all()
