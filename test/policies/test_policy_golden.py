"""The policy against recorded runs of the original code, from pictures to actions."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from adp_ros.adp.text_driven import TextDrivenPruner
from adp_ros.policies.policy import load_policy

RUNS = json.loads((Path(__file__).parents[1] / "golden" / "policy.json").read_text())["runs"]
FULL = [run for run in RUNS if "layer" not in run]
PRUNED = [run for run in RUNS if "layer" in run]
TOLERANCE = 1e-4  # of hidden states and actions
SCORE_TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def policies(golden_checkpoint, golden_policy):
    """The head's rows as trained, and one later."""
    return golden_policy, load_policy(golden_checkpoint, action_slice="replicate_release")


def close(actual, expected, tolerance=TOLERANCE):
    """Compare with an absolute tolerance."""
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance)


def check_actions(policies, observation, pruner, run, golden_runs):
    """Compare a run for each policy's slice; return what the first policy gave."""
    results = [policy.predict(observation, pruner) for policy in policies]
    for offset, result in enumerate(results):
        expected = golden_runs[f"{run['name']}.norm_actions_off{offset}"]
        close(result.normalized_actions, expected)
        close(result.actions, golden_runs[f"{run['name']}.actions_off{offset}"])
        assert result.sequence_lengths == (run["length"], run["length"])
    return results[0]


@pytest.mark.parametrize("run", FULL, ids=[run["name"] for run in FULL])
def test_full_vision(run, policies, golden_observations, golden_runs):
    """Without pruning actions are those of OpenVLA-OFT, for either slice of the decoder."""
    result = check_actions(policies, golden_observations[run["case"]], None, run, golden_runs)
    assert result.kept is None
    assert result.scores is None
    assert not result.pruned


@pytest.mark.parametrize("run", PRUNED, ids=[run["name"] for run in PRUNED])
def test_pruned(run, policies, golden_observations, golden_runs):
    """Kept patches, their order, scores and actions are those of the released ADP code."""
    pruner = TextDrivenPruner(
        keep=run["keep"],
        layer=run["layer"],
        split=tuple(run["split"]) if run["split"] else None,
        order=run["order"],
    )
    slices = policies if run["name"].startswith("adp.") else policies[:1]
    result = check_actions(slices, golden_observations[run["case"]], pruner, run, golden_runs)
    close(result.scores, golden_runs[f"{run['name']}.score"], SCORE_TOLERANCE)
    np.testing.assert_array_equal(result.kept, golden_runs[f"{run['name']}.kept"])
    assert sum(result.kept_per_view) == len(result.kept)


@pytest.fixture(scope="module")
def tokens(golden_policy, golden_observations):
    """Tokens of the first case."""
    return golden_policy.tokens(golden_observations["v1_c0"])


def test_patches_and_state_token(tokens, golden_runs):
    """Towers, projector and proprio projector give the recorded tokens."""
    close(tokens.patches[0], golden_runs["v1_c0.projected_patches"])
    close(tokens.proprio[0, 0], golden_runs["v1_c0.proprio_token"])


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_hidden_states(golden_policy, tokens, golden_runs, layer):
    """Every layer of the decoder gets what the original's got."""
    model = golden_policy.model
    with torch.inference_mode():
        hidden = model.sequence(tokens.patches, tokens.proprio, tokens.text)
        hidden = model.language_model.run(hidden, model.rotary(hidden), 0, layer)
    close(hidden[0], golden_runs[f"v1_c0.hidden_layer{layer}_input"])


def test_last_hidden_states(golden_policy, tokens, golden_runs):
    """Computing the action rows alone changes none of them."""
    model = golden_policy.model
    with torch.inference_mode():
        hidden = model.sequence(tokens.patches, tokens.proprio, tokens.text)
        rows = model.action_rows(hidden.shape[1])
        some = model.language_model(hidden, model.rotary(hidden), rows).hidden[0]
        everything = model.language_model(hidden, model.rotary(hidden), slice(None)).hidden[0]
    close(everything, golden_runs["v1_c0.full.last_hidden"])
    close(some, golden_runs["v1_c0.full.last_hidden"][rows])
    assert some.shape[0] == 56


def test_bfloat16_stays_close(golden_checkpoint, golden_observations, golden_runs):
    """In bfloat16, the type of real checkpoints, actions differ by its precision only."""
    policy = load_policy(golden_checkpoint, dtype="bfloat16")
    result = policy.predict(golden_observations["v1_c1"])
    close(result.normalized_actions, golden_runs["oft.v1_c1.full.norm_actions_off0"], 0.05)
    assert {p.dtype for p in policy.model.parameters()} == {torch.bfloat16}
