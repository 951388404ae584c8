"""Training network: the losses are those of the loaded policy; parts, places, augmentation."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from training_data import INSTRUCTIONS, made_examples, small_start

from adp_ros.adp.text_driven import TextDrivenPruner
from adp_ros.learning.batch import Collator, augment, central_window, unchanged
from adp_ros.learning.initial_model import choose_parts, part_of
from adp_ros.learning.network import TrainingNetwork
from adp_ros.learning.recipe import PARTS, Augmentation, LossWeights
from adp_ros.learning.relevance import inside, patch_distances, wanted_relevance
from adp_ros.learning.train import write_checkpoint
from adp_ros.policies.policy import load_policy
from adp_ros.types import Observation


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A new small network, its data, and the checkpoint written of it."""
    examples = made_examples(pictures=8, seed=3)
    start, values, statistics = small_start(examples)
    network = TrainingNetwork(start.model, len(INSTRUCTIONS)).eval()
    collator = Collator(examples, statistics, start.parts.preprocessor, start.parts.tokenizer)
    directory = tmp_path_factory.mktemp("trained") / "checkpoint"
    with torch.no_grad():
        for parameter in network.policy.parameters():
            parameter.copy_(parameter.bfloat16())  # what the files can hold
    training = {"steps": 7, "relevance": "Not at all."}
    write_checkpoint(
        directory,
        network.policy,
        start.parts.config,
        description=start.description,
        statistics=values,
        training=training,
    )
    return network, collator, examples, directory


def test_the_written_checkpoint_acts_as_the_trained_network(trained):
    """Through load_policy, with no special case: same actions, same scores."""
    network, collator, examples, directory = trained
    policy = load_policy(directory)
    indices = np.arange(len(examples))
    with torch.no_grad():
        batch = collator.test(indices)
        actions, scores = network.actions(batch).numpy(), network.scores(batch).numpy()
    for i in indices:
        instruction = INSTRUCTIONS[examples.instruction[i]]
        observation = Observation((examples.picture(i),), instruction, examples.state[i])
        result = policy.predict(observation, TextDrivenPruner(keep=0.5))
        np.testing.assert_allclose(result.scores, scores[i], atol=1e-4)
        full = policy.predict(observation)
        np.testing.assert_allclose(full.normalized_actions, actions[i], atol=1e-4)


def test_tensors_that_the_head_never_reads_are_zeros(trained):
    """They are there, as upstream's layout has them, and take no room in an archive."""
    from safetensors.torch import load_file

    weights = load_file(trained[3] / "model.safetensors")
    assert not weights["language_model.lm_head.weight"].any()
    assert weights["language_model.model.norm.weight"].any()


def test_dropping_all_but_some_tokens_equals_the_pruned_policy(trained):
    """Training on dropped tokens sees the very sequence that a pruned forward pass sees."""
    network, collator, examples, directory = trained
    policy = load_policy(directory)
    observation = Observation(
        (examples.picture(0),), INSTRUCTIONS[examples.instruction[0]], examples.state[0]
    )
    pruned = policy.predict(observation, TextDrivenPruner(keep=0.3))
    batch = collator.test(np.array([0]))
    wanted = torch.tensor(pruned.normalized_actions)[None]
    moved = dataclasses.replace(batch, chunk=wanted)
    with torch.no_grad():
        losses = network(moved, LossWeights(), torch.tensor(pruned.kept))
    assert float(losses["action"]) < 1e-4


def test_the_loss_is_the_l1_on_the_normalised_chunk(trained):
    """Against numpy on the network's own actions."""
    network, collator, _, _ = trained
    batch = collator.test(np.arange(4))
    with torch.no_grad():
        losses = network(batch, LossWeights(action=2.0))
        wanted = np.abs(network.actions(batch).numpy() - batch.chunk.numpy()).mean()
    assert float(losses["action"]) == pytest.approx(wanted, rel=1e-5)
    assert float(losses["total"]) == pytest.approx(2.0 * wanted, rel=1e-5)


def test_actions_are_normalised_and_clipped_to_the_quantiles(trained):
    """q01 and q99 become -1 and 1, nothing is beyond; the gripper is left alone."""
    _, collator, examples, _ = trained
    chunk = collator.test(np.arange(len(examples))).chunk.numpy()
    assert np.abs(chunk[..., :6]).max() <= 1.0
    np.testing.assert_allclose(chunk[..., 6], examples.chunk[..., 6], atol=1e-6)


def test_every_parameter_belongs_to_one_part(trained):
    """All parts are there, and choosing one trains that one alone."""
    policy = small_start(made_examples(2, 0))[0].model
    assert {part_of(name) for name, _ in policy.named_parameters()} == set(PARTS)
    choose_parts(policy, ("scoring",))
    trained_names = {name for name, p in policy.named_parameters() if p.requires_grad}
    assert trained_names == {
        f"language_model.layers.0.{name}.weight"
        for name in ("input_layernorm", "self_attn.q_proj", "self_attn.k_proj")
    }


def test_a_landmark_in_the_middle_of_a_patch_has_that_patch():
    """Patch 3 of row 2 has its middle at (3.5, 2.5) * 14 px."""
    places = torch.tensor([[[49.0, 35.0], [-5.0, 10.0], [223.0, 1.0]]])
    distances = patch_distances(places)
    assert distances[0, 0].argmin() == 2 * 16 + 3
    assert float(distances[0, 0].min()) == 0.0
    assert inside(places).tolist() == [[1.0, 0.0, 1.0]]
    wanted = wanted_relevance(places)
    assert float(wanted.sum()) == pytest.approx(1.0)
    row = wanted[0, 2 * 16 : 3 * 16]
    assert row[:8].argmax() == 3 and row[3] > 10 * row[8]


def test_a_point_moves_with_the_picture():
    """The brightest pixel after the crop is where the window says."""
    picture = np.zeros((224, 224, 3), dtype=np.uint8)
    picture[99:102, 59:62] = 255
    still = Augmentation(brightness=0.0, contrast=0.0, saturation=0.0, hue=0.0)
    for seed in range(5):
        out, window = augment(picture, still, np.random.default_rng(seed))
        rows, columns = np.nonzero(out[..., 0] > 100)
        wanted = window.place(np.array([60.5, 100.5]))
        assert columns.mean() + 0.5 == pytest.approx(wanted[0], abs=0.6)
        assert rows.mean() + 0.5 == pytest.approx(wanted[1], abs=0.6)


def test_no_play_and_no_colours_is_the_picture_of_the_test():
    """Within a grey level: the two croppings are different arithmetic."""
    picture = np.random.default_rng(0).integers(0, 255, (28, 28, 3)).astype(np.uint8)
    picture = np.kron(picture, np.ones((8, 8, 1), dtype=np.uint8))
    still = Augmentation(crop_play=0.0, brightness=0.0, contrast=0.0, saturation=0.0, hue=0.0)
    changed, window = augment(picture, still, np.random.default_rng(0))
    same, middle = unchanged(picture)
    assert window == middle == central_window()
    inner = np.abs(changed.astype(int) - same.astype(int))[4:-4, 4:-4]
    assert np.mean(inner) < 4.0  # half a pixel at sharp edges


def test_the_relevance_loss_falls_when_scores_rise_at_the_landmarks():
    """A gradient step on it moves scores towards the wanted shares."""
    torch.manual_seed(0)
    examples = made_examples(pictures=4, seed=5)
    start, _, statistics = small_start(examples)
    network = TrainingNetwork(start.model, len(INSTRUCTIONS))
    collator = Collator(examples, statistics, start.parts.preprocessor, start.parts.tokenizer)
    batch = collator.test(np.arange(4))
    weights = LossWeights(action=0.0, relevance=1.0)
    step = torch.optim.SGD(list(network.parameters()), lr=0.02)
    losses = []
    for _ in range(6):
        loss = network(batch, weights)["total"]
        losses.append(float(loss.detach()))
        step.zero_grad()
        loss.backward()
        step.step()
    assert losses[-1] < losses[0]


def test_a_landmark_that_is_unknown_costs_nothing(trained):
    """Losses of data without true positions are finite and independent of them."""
    network, collator, examples, _ = trained
    blind = dataclasses.replace(
        examples,
        positions=np.full_like(examples.positions, np.nan),
        pixels=np.full_like(examples.pixels, np.nan),
    )
    unknown = Collator(blind, collator._statistics, *_parts(trained))
    with torch.no_grad():
        losses = network(unknown.test(np.arange(3)), LossWeights(readout=1.0, patches=1.0))
    assert all(np.isfinite(float(v)) for v in losses.values())
    assert float(losses["readout"]) == 0.0


def _parts(trained):
    from adp_ros.policies.openvla.load import PolicyOptions, read_parts

    parts = read_parts(Path(trained[3]), PolicyOptions())
    return parts.preprocessor, parts.tokenizer
