"""Benchmark: fair order, an audit that notices, and a refusal to tell speeds it can't prove."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from adp_ros.adp.registry import make_pruner
from adp_ros.cli import main
from adp_ros.errors import ConfigError
from adp_ros.evaluation.bench import BenchConfig, interleave, run_bench, speedup
from adp_ros.policies.openvla.create import SIZES, NewCheckpoint, random_policy
from adp_ros.policies.openvla.load import PolicyOptions
from adp_ros.policies.openvla.reference import PlainForward, audit
from adp_ros.policies.policy import Prediction, StageTimes
from adp_ros.types import Observation


class Ticks:
    """A clock that goes on by one second at each look."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


@pytest.fixture(scope="module")
def policy():
    """Return a policy of the smallest size."""
    return random_policy(SIZES["tiny"], NewCheckpoint(), PolicyOptions(), Ticks())


@pytest.fixture(scope="module")
def observation():
    """Return two views of noise."""
    random = np.random.default_rng(1)
    picture = random.integers(0, 256, (120, 160, 3), dtype=np.uint8)
    return Observation((picture, picture[::-1]), "wipe the table", random.uniform(-0.2, 0.2, 8))


PRUNERS = ("adp", "inverse", "random", "uniform", "divprune", "fastv", "frame_difference")


@pytest.mark.parametrize("name", PRUNERS)
@pytest.mark.parametrize("keep", [0.3, 1.0])
def test_audit_passes_every_pruner(policy, observation, name, keep):
    """The plain float32 computation with the same kept patches gives the policy's actions."""
    pruner = make_pruner(name, keep=keep)
    result = audit(policy, observation, policy.predict(observation, pruner), pruner)
    assert result.failures == ()
    assert result.difference < 1e-5
    assert result.kept == round(512 * keep)


@pytest.mark.parametrize("name", PRUNERS)
@pytest.mark.parametrize("settings", [{"merge": "mean"}, {"merge": "grid", "positions": "kept"}])
def test_audit_passes_every_pruner_that_merges(policy, observation, name, settings):
    """The plain computation has each mean token as many times as patches it stands for."""
    pruner = make_pruner(name, keep=0.1, **settings)
    prediction = policy.predict(observation, pruner)
    result = audit(policy, observation, prediction, pruner)
    assert result.failures == ()
    assert result.difference < 1e-5
    assert result.kept == 51 - 2 * pruner.merge_side**2
    assert sum(prediction.merged_sizes) == 512 - result.kept
    assert (
        prediction.sequence_lengths[1]
        == policy.predict(observation, make_pruner(name, keep=0.1)).sequence_lengths[1]
    )


def test_audit_notices_a_missing_weight(policy, observation):
    """Means that count for one patch each are not what a weighted merge should have given."""
    wrong = make_pruner("adp", keep=0.1, merge="mean", merge_weighted=False)
    pruner = make_pruner("adp", keep=0.1, merge="mean")
    prediction = policy.predict(observation, wrong)
    assert audit(policy, observation, prediction, wrong).difference < 1e-5
    assert audit(policy, observation, prediction, pruner).difference > 1e-4


def test_text_scores_cut_in_front_of_a_later_layer(policy, observation):
    """Layers before the cut see every patch, the choice is the same as before the model."""
    before, behind = make_pruner("adp", keep=0.3), make_pruner("adp", keep=0.3, cut=1)
    first, later = policy.predict(observation, before), policy.predict(observation, behind)
    np.testing.assert_array_equal(first.kept, later.kept)
    assert later.sequence_lengths[0] - first.sequence_lengths[0] == 512 - 154
    assert later.sequence_lengths[1] == first.sequence_lengths[1]
    assert first.flops < later.flops < later.flops_full
    for keep in (0.1, 0.3):
        both = make_pruner("adp", keep=keep, cut=1, merge="grid")
        assert audit(policy, observation, policy.predict(observation, both), both).passed


def test_audit_notices_pruning_that_did_not_happen(policy, observation):
    """A full forward pass sold as pruned fails by tokens and by lengths."""
    pruner = make_pruner("adp", keep=0.5)
    result = audit(policy, observation, policy.predict(observation), pruner)
    assert not result.passed
    assert "512 patches kept (512 distinct), 256 expected" in result.failures[0]
    assert "tokens entered first and last layer" in result.failures[1]


def test_audit_notices_other_patches_than_told(policy, observation):
    """Indices that did not go in give actions that differ from the reference."""
    pruner = make_pruner("adp", keep=0.3)
    prediction = policy.predict(observation, pruner)
    others = np.setdiff1d(np.arange(512), prediction.kept)[: len(prediction.kept)]
    result = audit(policy, observation, replace(prediction, kept=others), pruner)
    assert len(result.failures) == 1
    assert "differ by" in result.failures[0]


def test_audit_notices_a_patch_counted_twice(policy, observation):
    """The right number of indices is not enough: they must be distinct."""
    pruner = make_pruner("adp", keep=0.3)
    prediction = policy.predict(observation, pruner)
    doubled = prediction.kept.copy()
    doubled[1] = doubled[0]
    result = audit(policy, observation, replace(prediction, kept=doubled), pruner)
    assert any("153 distinct" in text for text in result.failures)


def test_plain_forward_agrees_with_the_policy(policy, observation):
    """The stock model with mask and logits gives the policy's actions, so the race is fair."""
    ours = policy.predict(observation)
    stock = PlainForward(policy, Ticks())(observation)
    assert np.abs(stock.normalized_actions - ours.normalized_actions).max() < 1e-5
    assert stock.timing.llm == 1.0  # two looks at the clock
    assert stock.timing.total == ours.timing.total - ours.timing.llm + 1.0


def test_arms_take_turns_in_changing_order():
    """Each round runs every arm once, on the round's observation, in an order that changes."""
    calls = []

    def arm(name):
        def predict(observation):
            calls.append((name, observation))
            times = StageTimes(0.0, 0.0, 0.0, float(len(calls)), 0.0, float(len(calls)))
            return Prediction(np.zeros((8, 7)), np.zeros((8, 7)), None, None, (1, 1), times, 1, 1)

        return predict

    arms = {name: arm(name) for name in "abc"}
    random = np.random.default_rng(0)
    times = interleave(arms, ["x", "y"], rounds=10, warm_up=2, random=random)
    rounds = [calls[i : i + 3] for i in range(0, 36, 3)]
    assert [sorted(name for name, _ in r) for r in rounds] == [["a", "b", "c"]] * 12
    assert [{o for _, o in r} for r in rounds] == [{"x"}, {"y"}] * 6
    assert len({tuple(name for name, _ in r) for r in rounds}) > 1
    assert all(len(t.seconds["llm"]) == 10 for t in times.values())
    assert min(t.seconds["llm"].min() for t in times.values()) > 6  # warm-up is not counted


def test_speedup_is_the_median_of_paired_ratios():
    """Drift that slows both arms alike leaves the ratio alone."""
    drift = np.linspace(1.0, 10.0, 101)
    ratio = speedup(2.0 * drift, drift, np.random.default_rng(0))
    assert (ratio.low, ratio.value, ratio.high) == (2.0, 2.0, 2.0)


def test_no_speed_is_told_when_an_audit_fails(policy, observation, monkeypatch):
    """One failing arm takes the speed-ups of all arms away, and says why."""
    monkeypatch.setattr("adp_ros.policies.openvla.reference.TOLERANCE", {torch.float32: 0.0})
    config = BenchConfig(rounds=2, warm_up=0)
    pruners = {"adp 0.5": make_pruner("adp", keep=0.5)}
    result = run_bench(policy, [observation], pruners, config, clock=Ticks())
    assert "adp 0.5: actions differ" in result.failures[-1]
    assert all(arm.faster is None and arm.faster_total is None for arm in result.arms.values())


def test_command_reports_everything_as_json(capsys):
    """The JSON names versions, device, convention, stages, audit and speed-ups."""
    words = ["bench", "--size", "tiny", "--rounds", "2", "--warm-up", "0", "--json"]
    assert main([*words, "--views", "2", "--keep", "0.5", "--plain"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert set(report["arms"]) == {"full", "plain", "adp 0.5"}
    arm = report["arms"]["adp 0.5"]
    assert arm["audit"]["passed"]
    assert arm["kept_per_view"] == [102, 154]
    assert arm["sequence_lengths"][0] == report["arms"]["full"]["sequence_lengths"][0] - 256
    assert set(arm["milliseconds"]["llm"]) == {"mean", "p50", "p95", "p99"}
    assert arm["llm_speedup"]["low"] <= arm["llm_speedup"]["median"] <= arm["llm_speedup"]["high"]
    assert 0.0 < report["gate_decision_milliseconds"]["p50"] < 0.1
    assert "multiply-accumulate" in report["flop_convention"]
    assert report["environment"]["versions"]["torch"] == torch.__version__


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--keep", "0"], "keep is 0.0, allowed: above 0 up to 1"),
        (["--keep", "1.5"], "keep is 1.5"),
        (["--threads", "0"], "threads is 0, allowed: 1 or more"),
        (["--rounds", "1"], "rounds is 1, allowed: 2 to 100000"),
        (["--pruner", "magic"], "pruner is 'magic', allowed: adp"),
        (["--images", "/nowhere"], "images is '/nowhere': no such directory"),
        (["--checkpoint", "/nowhere"], "/nowhere is not a directory"),
        (["--device", "cuda:77"], "device is 'cuda:77'"),
    ],
)
def test_bad_arguments_are_named(words, message, capsys):
    """A wrong argument is one line with its value and what is allowed, and exit status 2."""
    size = [] if "--checkpoint" in words else ["--size", "tiny"]
    assert main(["bench", *size, *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_settings_out_of_range_are_refused():
    """The configuration checks itself."""
    with pytest.raises(ConfigError, match="rounds is 1, allowed: 2 to 100000"):
        BenchConfig(rounds=1)
