"""Importance statistics against definitions, SciPy and the recorded scores."""

import json

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from scipy.stats import entropy

from adp_ros.adp.importance import (
    layer_statistics,
    mass_curve,
    normalized_entropy,
    participation_ratio,
    pruning_look,
    weights_of,
)
from adp_ros.adp.merging import Groups, merge_dropped
from adp_ros.adp.text_driven import TextDrivenPruner
from adp_ros.cli import main
from adp_ros.errors import ConfigError

SCORES = np.random.default_rng(6).normal(size=(3, 4, 50))


def test_participation_ratio_counts_the_patches_that_share():
    """Equal weights on k patches participate as k, one alone as one."""
    for k in (1, 7, 50):
        weights = np.zeros(50)
        weights[:k] = 1.0 / k
        assert participation_ratio(weights) == pytest.approx(k)
        assert normalized_entropy(weights) == pytest.approx(np.log(k) / np.log(50))


def test_entropy_is_that_of_scipy():
    """Entropy as share of its maximum, by SciPy's entropy."""
    weights = weights_of(SCORES)
    np.testing.assert_allclose(weights, softmax(SCORES, axis=-1))
    expected = entropy(weights, axis=-1) / np.log(50)
    np.testing.assert_allclose(normalized_entropy(weights), expected)
    assert normalized_entropy(np.ones((1,))) == 0.0


def test_ways_to_make_weights():
    """Every kind sums to 1, keeps its definition and treats equal scores alike."""
    shifted = SCORES[0, 0] - SCORES[0, 0].min()
    np.testing.assert_allclose(weights_of(SCORES[0, 0], "shifted"), shifted / shifted.sum())
    absolute = np.abs(SCORES[0, 0])
    np.testing.assert_allclose(weights_of(SCORES[0, 0], "absolute"), absolute / absolute.sum())
    for kind in ("softmax", "shifted", "absolute"):
        np.testing.assert_allclose(weights_of(SCORES, kind).sum(axis=-1), 1.0)
        np.testing.assert_allclose(weights_of(np.zeros(8), kind), 1 / 8)


@given(st.lists(st.floats(-50, 50), min_size=2, max_size=64))
def test_bounds(scores):
    """For any scores: 1 <= participation <= V, 0 <= entropy <= 1, mass rises to 1."""
    weights = weights_of(np.array(scores))
    assert 1 - 1e-9 <= participation_ratio(weights) <= len(scores) + 1e-9
    assert -1e-9 <= normalized_entropy(weights) <= 1 + 1e-9
    curve = mass_curve(weights)
    assert curve[-1] == pytest.approx(1.0)
    assert (np.diff(curve) >= 0).all()


def test_statistics_per_layer():
    """Means and deviations over the frames; half of the weight; agreement with layer 0."""
    found = layer_statistics(SCORES)
    weights = softmax(SCORES, axis=-1)
    for layer, entry in enumerate(found):
        ratios = [1.0 / np.square(weights[frame, layer]).sum() for frame in range(3)]
        assert entry.participation == pytest.approx(np.mean(ratios))
        assert entry.participation_deviation == pytest.approx(np.std(ratios))
        halves = []
        for frame in range(3):
            best = np.sort(weights[frame, layer])[::-1]
            halves.append(next(k for k in range(1, 51) if best[:k].sum() >= 0.5))
        assert entry.patches_for_half == pytest.approx(np.mean(halves))
        best_half = [
            {*np.argsort(-SCORES[f, layer])[:25]} & {*np.argsort(-SCORES[f, 0])[:25]}
            for f in range(3)
        ]
        assert entry.agreement == pytest.approx(np.mean([len(b) / 25 for b in best_half]))
    assert found[0].agreement == 1.0


def test_refusals():
    """Unknown kinds, NaN and wrong shapes are refused by name."""
    with pytest.raises(ConfigError, match="weights is 'max', allowed: softmax, shifted, absolute"):
        weights_of(SCORES, "max")
    with pytest.raises(ConfigError, match="not finite"):
        weights_of(np.array([1.0, np.nan]))
    with pytest.raises(ConfigError, match=r"\(frames, layers, patches\) is needed"):
        layer_statistics(SCORES[0])


def test_layer_scores_are_the_recorded_ones(golden_policy, golden_observations, golden_runs):
    """One pass over the decoder gives the released code's scores at every recorded layer."""
    seen = set()
    for case, observation in golden_observations.items():
        scores = golden_policy.layer_scores(observation)
        names = [n for n in golden_runs if n.startswith(f"adp.{case}.L") and n.endswith(".score")]
        for name in names:
            layer = int(name.split(".L")[1][0])
            np.testing.assert_allclose(scores[layer], golden_runs[name], atol=1e-5)
            seen.add((layer, observation.images[1:] == ()))
    assert seen >= {(0, True), (1, True), (2, True), (0, False)}


def test_command(golden_checkpoint, tmp_path, capsys):
    """The command reports every layer and writes both plots as pictures."""
    rng = np.random.default_rng(7)
    for i in range(3):
        cv2.imwrite(str(tmp_path / f"{i}.png"), rng.integers(0, 256, (96, 128, 3), np.uint8))
    words = ["importance", str(golden_checkpoint), "--images", str(tmp_path)]
    words += ["--instruction", "wipe the table", "--output", str(tmp_path / "plots"), "--json"]
    assert main([*words, "--frames", "2"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["frames"], report["patches"]) == (2, 256)
    assert [entry["layer"] for entry in report["layers"]] == list(range(len(report["layers"])))
    full, dropped, merged = report["pruning"]
    assert (full["path"], full["gripper"], full["flops_share"]) == (0.0, 0.0, 1.0)
    assert dropped["path"] > 0.0 and dropped["flops_share"] < 0.5
    assert merged["name"] == "merged 2x2"
    for path in report["plots"]:
        assert cv2.imread(path) is not None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--images", "nowhere"], "nowhere does not exist"),
        (["--images", "{empty}"], "has no picture, allowed: .png, .jpg, .jpeg"),
        (["--images", "{text}"], "cannot be read"),
        (["--images", "{empty}", "--frames", "0"], "frames is 0, 1 or more is needed"),
    ],
)
def test_command_refuses(tmp_path, capsys, words, message):
    """Missing or unreadable pictures are one line and exit status 2."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.png").write_text("no picture")
    places = {"empty": tmp_path / "empty", "text": tmp_path / "text.png"}
    given = [word.format(**places) for word in words]
    assert main(["importance", "none", "--instruction", "wipe", *given]) == 2
    assert message in capsys.readouterr().err


def test_errors_of_a_chunk_are_those_of_where_the_arm_would_be():
    """Increments add up: 1 mm too far in each of two steps is 1 mm and then 2 mm."""
    full = np.zeros((1, 2, 7))
    told = full.copy()
    told[..., 1], told[..., 5], told[0, 1, 6] = 1e-3, np.radians(2.0), 1.0
    look = pruning_look("x", np.array([[0.5, 0.25]]), told, full, 0.3)
    assert look.path == pytest.approx(1.5) and look.turn == pytest.approx(3.0)
    assert (look.gripper, look.mass, look.flops_share) == (0.5, (0.5, 0.25), 0.3)


def test_mass_on_vision_is_that_of_the_written_out_attention(golden_policy, golden_observations):
    """Weights of one layer, spelled out with a mean token n times, sum to what is reported."""
    observation = next(iter(golden_observations.values()))
    policy, model = golden_policy, golden_policy.model
    full = policy.vision_mass(observation, policy.predict(observation), None)
    assert full.shape == (policy.info.layers,) and (full > 0.0).all() and (full < 1.0).all()
    pruner = TextDrivenPruner(keep=0.1, merge="grid")
    told = policy.predict(observation, pruner)
    seen = policy.vision_mass(observation, told, pruner)
    tokens = policy.tokens(observation)
    merged = merge_dropped(
        tokens.patches[0], torch.from_numpy(told.kept), Groups(told.views, 256, 2)
    )
    copies = merged.bias.exp().round().long()
    vision = merged.tokens.repeat_interleave(copies, 0)[None]
    hidden = model.sequence(vision, tokens.proprio, tokens.text)
    places = torch.arange(len(copies)).repeat_interleave(copies)
    tail = torch.arange(len(copies), len(copies) + hidden.shape[1] - 1 - len(places))
    rotary = model.rotary(hidden, torch.cat([torch.zeros(1), places + 1, tail + 1]))
    rows = model.action_rows(hidden.shape[1])
    received = model.layer(0).attention_received(hidden, rotary, rows)[0]
    assert seen[0] == pytest.approx(received[1 : 1 + vision.shape[1]].sum().item(), abs=1e-5)
