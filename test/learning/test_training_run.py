"""A whole run from a folder of demonstrations to a checkpoint, through the command."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from training_data import INSTRUCTIONS, STATE, made_examples, small_start

from adp_ros.cli import main
from adp_ros.errors import ConfigError, DemonstrationError
from adp_ros.learning.batch import Collator
from adp_ros.learning.dataset import DatasetInfo, create_dataset
from adp_ros.learning.demonstrations import Demonstration, Frames, Landmarks, NoOpFilter
from adp_ros.learning.examples import PICTURES, load_training_set
from adp_ros.learning.initial_model import add_lora, merge_lora, new_model, part_of, start_from
from adp_ros.learning.network import TrainingNetwork
from adp_ros.learning.recipe import Augmentation, LoraSettings, LossWeights, Recipe
from adp_ros.policies.openvla.preprocess import encode_jpeg, shrink
from adp_ros.policies.policy import load_policy
from adp_ros.types import Observation

GOLDEN = Path(__file__).parents[1] / "golden"
RECIPE = """
size: tiny
held_out: 0.5
validate_every: 2
save_every: 2
relevance: It was taught in a test.
stages:
  - name: see
    samples: 8
    batch: 4
    trains: [towers, projector, scoring]
    losses: {action: 0.0, relevance: 1.0, patches: 1.0}
  - name: act
    samples: 12
    batch: 4
    losses: {action: 1.0, readout: 1.0}
"""


def episode(seed, landmarks=True, corrective=False):
    """Six steps towards the upper left, four of them with a picture."""
    rng = np.random.default_rng(seed)
    steps, kept = 6, [0, 2, 3, 5]
    action = np.tile([0.004, -0.003, 0.0, 0.0, 0.0, 0.01, 1.0], (steps, 1))
    pictures = [rng.integers(0, 255, (480, 640, 3), dtype=np.uint8) for _ in kept]
    places = Landmarks(
        ("tool", "item", "receptacle"),
        rng.uniform(-0.3, 0.3, (4, 3, 3)),
        np.tile(np.array([[320.0, 240.0], [64.0, 48.0], [640.0, 480.0]]), (4, 1, 1)),
    )
    return Demonstration(
        instruction=INSTRUCTIONS[seed % 2],
        task="made",
        seed=seed,
        source="policy" if corrective else "expert",
        success=True,
        time=0.1 * np.arange(steps),
        state=rng.uniform(-1.0, 1.0, (steps, len(STATE))),
        action=action,
        gripper=np.linspace(1.0, 0.0, steps),
        frames=Frames.of(kept, [encode_jpeg(picture) for picture in pictures]),
        chunk_label=rng.uniform(0.0, 0.01, (4, 8, 7)) if corrective else None,
        landmarks=places if landmarks else None,
    )


@pytest.fixture
def folder(tmp_path):
    """Four episodes, the last one corrective."""
    dataset = create_dataset(tmp_path / "made", DatasetInfo(state=STATE))
    for seed in range(4):
        dataset.write(f"e{seed}", episode(seed, corrective=seed == 3))
    return dataset.directory


def test_examples_are_what_the_episodes_hold(folder):
    """Chunk, state, landmarks in the small picture, held-out episodes; pictures are kept."""
    found = load_training_set([folder], 0.5, 8, NoOpFilter())
    examples = found.examples
    assert (len(examples), found.episodes, found.has_landmarks) == (16, 4, True)
    np.testing.assert_allclose(examples.chunk[1, :4], episode(0).action[2:6])
    assert not examples.chunk[1, 4:, :6].any()  # after the episode the arm stands still
    np.testing.assert_allclose(examples.chunk[12:], episode(3, corrective=True).chunk_label)
    np.testing.assert_allclose(examples.state[1], episode(0).state[2])
    np.testing.assert_allclose(examples.pixels[0], [[22.4, 22.4], [224.0, 224.0], [112.0, 112.0]])
    assert examples.held_out.tolist() == [False] * 4 + [True] * 4 + [False] * 4 + [True] * 4
    assert examples.corrective.tolist() == [False] * 12 + [True] * 4
    assert np.array_equal(examples.picture(1), shrink(episode(0).frames.picture(1)))
    assert len(list((folder / PICTURES).glob("e0-*.npy"))) == 1
    again = load_training_set([folder], 0.5, 8, NoOpFilter())
    assert again.fingerprint == found.fingerprint
    assert np.array_equal(again.examples.picture(1), examples.picture(1))


def test_statistics_are_those_of_what_is_learnt(folder):
    """Quantiles over all chunks, against numpy."""
    found = load_training_set([folder], 0.0, 8, NoOpFilter())
    chunks = found.examples.chunk.reshape(-1, 7)
    np.testing.assert_allclose(found.statistics["action"]["q99"], np.quantile(chunks, 0.99, 0))
    np.testing.assert_allclose(
        found.statistics["proprio"]["q01"], np.quantile(found.examples.state, 0.01, 0)
    )


def test_folders_that_mean_different_things_are_refused(folder, tmp_path):
    """The message names folder and field."""
    other = create_dataset(tmp_path / "other", DatasetInfo(state=STATE[:4]))
    with pytest.raises(DemonstrationError, match=r"other: state is \['x'"):
        load_training_set([folder, other.directory], 0.0, 8, NoOpFilter())
    empty = create_dataset(tmp_path / "empty", DatasetInfo(state=STATE))
    with pytest.raises(DemonstrationError, match="empty: no episode with a picture"):
        load_training_set([empty.directory], 0.0, 8, NoOpFilter())


def test_the_command_leaves_a_checkpoint_and_curves(folder, tmp_path, capsys):
    """Loadable with no special case; says how relevance was learnt; a second run is refused."""
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE)
    words = ["train", str(recipe), "--data", str(folder), "--out", str(tmp_path / "run"), "--json"]
    assert main(words) == 0
    outcome = json.loads(capsys.readouterr().out)
    assert (outcome["finished"], outcome["steps"]) == (True, 5)
    directory = Path(outcome["checkpoint"])
    training = json.loads((directory / "training.json").read_text())
    assert training["relevance"] == "It was taught in a test."
    picture = episode(0).frames.picture(0)
    state = episode(0).state[0]
    result = load_policy(directory).predict(Observation((picture,), INSTRUCTIONS[0], state))
    assert result.actions.shape == (8, 7)
    assert (tmp_path / "run" / "curves.png").stat().st_size > 10_000
    assert main(words) == 2
    assert "is there already" in capsys.readouterr().err


def test_named_parts_of_a_checkpoint_begin_anew(folder, tmp_path, capsys):
    """Decoder and head have a new model's weights, everything else has the checkpoint's."""
    recipe, out = tmp_path / "recipe.yaml", tmp_path / "run"
    recipe.write_text(RECIPE)
    assert main(["train", str(recipe), "--data", str(folder), "--out", str(out)]) == 0
    meaning, checkpoint = DatasetInfo(state=STATE), out / "checkpoint"
    kept = start_from(checkpoint, Recipe(), meaning, time.perf_counter)
    start = start_from(
        checkpoint, Recipe(anew=("decoder", "head"), seed=5), meaning, time.perf_counter
    )
    fresh = dict(new_model(kept.parts.config, len(STATE), 5).named_parameters())
    old = dict(kept.model.named_parameters())
    for name, weights in start.model.named_parameters():
        part = part_of(name)
        assert torch.equal(weights, (fresh if part in {"decoder", "head"} else old)[name])
    assert start.origin == "fine-tuned from checkpoint, decoder, head anew with seed 5"


def test_parts_that_begin_anew_need_a_checkpoint(folder, tmp_path, capsys):
    """And must be parts that there are."""
    recipe = tmp_path / "recipe.yaml"
    words = ["train", str(recipe), "--data", str(folder), "--out", str(tmp_path / "run")]
    recipe.write_text("size: tiny\nanew: [head]\n")
    assert main(words) == 2
    assert "anew is head: a new model is all new" in capsys.readouterr().err
    recipe.write_text("anew: [hand]\n")
    assert main(words) == 2
    assert "anew has 'hand', allowed: towers, projector" in capsys.readouterr().err


def test_losses_that_need_true_positions_are_refused_without_them(tmp_path, capsys):
    """The message names the stage and what to set to 0."""
    dataset = create_dataset(tmp_path / "real", DatasetInfo(state=STATE))
    dataset.write("e0", episode(0, landmarks=False))
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE)
    words = ["train", str(recipe), "--data", str(dataset.directory), "--out", str(tmp_path / "r")]
    assert main(words) == 2
    assert "stage see: losses.relevance" in capsys.readouterr().err


def test_low_rank_adapters_learn_and_merge(capsys):
    """The loss falls, base weights stay as they are, merging changes nothing."""
    torch.manual_seed(0)
    examples = made_examples(pictures=8, seed=1)
    start, _, statistics = small_start(examples)
    collator = Collator(examples, statistics, start.parts.preprocessor, start.parts.tokenizer)
    network = TrainingNetwork(start.model, len(INSTRUCTIONS))
    base = start.model.language_model.layers[0].self_attn.q_proj.weight
    before = base.detach().clone()
    wrapped = add_lora(start.model, LoraSettings(rank=8, alpha=16))
    trained = [p for p in network.policy.parameters() if p.requires_grad]
    step = torch.optim.AdamW(trained, 4e-3, betas=(0.9, 0.98))
    batch = collator.test(np.arange(8))
    losses = []
    for _ in range(60):
        loss = network(batch, LossWeights())["total"]
        losses.append(float(loss.detach()))
        step.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        step.step()
    assert losses[-1] < 0.5 * losses[0]
    assert torch.equal(base, before)
    with torch.no_grad():
        unmerged = network.actions(batch)
        merged = merge_lora(wrapped)
        assert not any("lora" in name for name, _ in merged.named_parameters())
        after = TrainingNetwork(merged, len(INSTRUCTIONS)).actions(batch)
    np.testing.assert_allclose(after, unmerged, atol=1e-4)


def test_adapters_need_a_package(monkeypatch):
    """Without it the message says what to install."""
    import sys

    monkeypatch.setitem(sys.modules, "peft", None)
    start, _, _ = small_start(made_examples(2, 0))
    with pytest.raises(ConfigError, match="pip install peft"):
        add_lora(start.model, LoraSettings(rank=4))


def test_augmentation_of_a_run_is_drawn_anew_each_step():
    """Two generators give two pictures, one generator's seed the same picture."""
    from adp_ros.learning.batch import augment

    picture = made_examples(1, 0).picture(0)
    changed = [augment(picture, Augmentation(), np.random.default_rng(s))[0] for s in (1, 2, 1)]
    assert not np.array_equal(changed[0], changed[1])
    assert np.array_equal(changed[0], changed[2])
