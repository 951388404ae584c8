"""Recording and replay of stages, with a recorder that works without a GPU."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from cpu_recorder import record_on_cpu
from hypothesis import given, settings
from hypothesis import strategies as st

from adp_ros.adp.registry import PRUNERS, make_pruner
from adp_ros.adp.text_driven import TextDrivenPruner
from adp_ros.policies.openvla.graphs import EagerRunner, GraphRunner
from adp_ros.policies.openvla.oft_policy import OpenVlaPolicy
from adp_ros.policies.policy import Prediction
from adp_ros.types import Observation


def add(left, right):
    """A stage."""
    return left if right is None else left + right


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(1, 3), st.integers(-9, 9)), min_size=1, max_size=20))
def test_replay_gives_what_running_gives(calls):
    """Any sequence of shapes and values: same results, one recording per shape."""
    runner = GraphRunner(record_on_cpu)
    for size, value in calls:
        left, right = torch.full((size,), float(value)), torch.arange(size)
        result = runner("add", add, left, right)
        torch.testing.assert_close(result, EagerRunner()("add", add, left, right))
    assert runner.recorded == len({size for size, _ in calls})


def test_recordings_are_told_apart():
    """Key, shape, type and absence of an input each make a recording of their own."""
    runner = GraphRunner(record_on_cpu)
    one = torch.ones(2)
    for key, left, right in [
        ("a", one, one),
        ("b", one, one),
        ("a", one, None),
        ("a", torch.ones(3), torch.ones(3)),
        ("a", one, one.double()),
    ] * 2:
        runner(key, add, left, right)
    assert runner.recorded == 5


def test_least_recently_used_recording_goes_first():
    """No more recordings are held than allowed; those in use stay."""
    runner = GraphRunner(record_on_cpu, limit=2)
    for size in (1, 2, 1, 3, 1):
        runner("add", add, torch.ones(size), torch.ones(size))
    assert runner.recorded == 3
    runner("add", add, torch.ones(2), torch.ones(2))
    assert runner.recorded == 4


@pytest.fixture
def recorded(golden_policy):
    """A policy on the recorded weights that records its stages, and the runner."""
    runner = GraphRunner(record_on_cpu)
    policy = OpenVlaPolicy(
        golden_policy.model, golden_policy.parts, run=runner, clock=golden_policy._clock
    )
    return policy, runner


def picture(seed):
    """A random picture."""
    return np.random.default_rng(seed).integers(0, 256, (224, 224, 3), dtype=np.uint8)


def observe(seed, instruction="wipe the table", views=1):
    """A random observation."""
    state = np.random.default_rng(seed).uniform(-0.5, 0.5, 8)
    return Observation(tuple(picture(seed + i) for i in range(views)), instruction, state)


def same(actual, expected):
    """Compare two predictions in everything but time."""
    for name in Prediction.__slots__:
        if name != "timing":
            np.testing.assert_array_equal(
                getattr(actual, name) is None, getattr(expected, name) is None
            )
    np.testing.assert_allclose(actual.actions, expected.actions, rtol=0, atol=1e-6)
    if expected.kept is not None:
        np.testing.assert_array_equal(actual.kept, expected.kept)
    assert actual.sequence_lengths == expected.sequence_lengths


def test_two_states_need_two_shapes(recorded, golden_policy):
    """A gate that switches at every window records each stage once and nothing later."""
    policy, runner = recorded
    pruner = TextDrivenPruner(keep=0.3)
    for seed, chosen in [(0, None), (1, pruner)]:
        policy.predict(observe(seed), chosen)
    assert runner.recorded == 5  # vision, choice, language model full and pruned, head
    for seed in range(2, 8):
        chosen = pruner if seed % 2 else None
        result = policy.predict(observe(seed), chosen)
        same(result, golden_policy.predict(observe(seed), chosen))
    assert runner.recorded == 5


def test_other_words_of_the_same_length_are_replayed(recorded, golden_policy):
    """The prompt is an input: only another length needs another recording."""
    policy, runner = recorded
    policy.predict(observe(0, "wipe the table"), TextDrivenPruner())
    before = runner.recorded
    result = policy.predict(observe(1, "wipe the TABLE"), TextDrivenPruner())
    assert runner.recorded == before
    same(result, golden_policy.predict(observe(1, "wipe the table"), TextDrivenPruner()))
    policy.predict(observe(0, "place the blue cube on the plate"), TextDrivenPruner())
    assert runner.recorded == before + 2  # choice and language model


@pytest.mark.parametrize("merge", ["none", "grid"])
@pytest.mark.parametrize("name", PRUNERS.names)
def test_every_pruner_replays(recorded, golden_policy, name, merge):
    """With each pruner replays give what running gives; those that remember are not recorded."""
    policy, _ = recorded
    pruner, other = (make_pruner(name, keep=0.2, merge=merge) for _ in range(2))
    for seed in range(3):
        observation = observe(seed, views=2)
        same(policy.predict(observation, pruner), golden_policy.predict(observation, other))


def test_results_outlive_the_next_call(recorded):
    """A prediction is not overwritten by the replay after it."""
    policy, _ = recorded
    first = policy.predict(observe(0), TextDrivenPruner())
    copy = replace(first, actions=first.actions.copy(), kept=first.kept.copy())
    policy.predict(observe(1), TextDrivenPruner())
    same(first, copy)
