"""One door for every kind of policy: who recognises a directory loads it, and says what it is."""

import json
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest

from adp_ros.adp.text_driven import TextDrivenPruner
from adp_ros.errors import CheckpointError, ConfigError
from adp_ros.policies import policy as policies
from adp_ros.policies.policy import (
    POLICIES,
    Policy,
    PolicyInfo,
    Prediction,
    StageTimes,
    inspect_policy,
    load_policy,
)
from adp_ros.types import Observation

OUTSIDE = """
from adp_ros.policies.policy import Policy, PolicyInfo

class Plain(Policy):
    info = PolicyInfo(kind="plain", chunk_length=4)
    def predict(self, observation, pruner=None): ...

def recognises(directory):
    return (directory / "plain.txt").is_file()

def inspect(directory):
    return Plain.info

def load(directory, **options):
    return Plain()
"""


class Still(Policy):
    """A policy without tokens that does not move."""

    info = PolicyInfo(kind="still", chunk_length=2)

    def predict(self, observation, pruner=None):
        times = StageTimes(*[0.0] * 6)
        return Prediction(np.zeros((2, 7)), np.zeros((2, 7)), None, None, (0, 0), times, 1, 0)


OBSERVATION = Observation((np.zeros((4, 4, 3), np.uint8),), "stand")


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """A package of somebody else's, installed, and a fresh door that has not looked yet."""

    def install(name, source=OUTSIDE):
        (tmp_path / f"{name}.py").write_text(source)
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[adp_ros.policies]\n{name} = {name}\n")

    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(policies, "POLICIES", replace(POLICIES))
    yield install
    for path in tmp_path.glob("*.py"):
        sys.modules.pop(path.stem, None)


def test_another_package_s_kind_is_loaded(outside, tmp_path):
    """The directory that it recognises is its own, every other one stays ours."""
    outside("kind_a")
    (tmp_path / "plain.txt").touch()
    assert load_policy(tmp_path).info.kind == inspect_policy(tmp_path).kind == "plain"
    with pytest.raises(CheckpointError, match="is not a directory"):
        load_policy(tmp_path / "elsewhere")


def test_two_kinds_that_claim_a_directory_are_named(outside, tmp_path):
    """Nothing is loaded by luck."""
    outside("kind_a")
    outside("kind_b")
    (tmp_path / "plain.txt").touch()
    with pytest.raises(CheckpointError, match="several kinds: kind_a, kind_b"):
        load_policy(tmp_path)


def test_a_broken_package_does_not_stop_ours(outside, golden_checkpoint):
    """Its line is a problem of the door, and everything else goes on."""
    outside("kind_c", "1 / 0\n")
    assert inspect_policy(golden_checkpoint).kind == "openvla_oft"
    (line,) = policies.POLICIES.problems()
    assert line.startswith("package kind_c, entry point adp_ros.policies: kind_c = kind_c")


def test_inspection_tells_what_loading_tells(golden_policy, golden_checkpoint):
    """A checkpoint is described alike with and without its weights, but for where they lie."""
    info = golden_policy.info
    seen = inspect_policy(golden_checkpoint)
    assert (info.details["device"], info.details["dtype"]) == ("cpu", "float32")
    assert replace(info, details=seen.details) == seen
    assert {**info.details, **seen.details} == info.details


def test_an_undeclared_chunk_length_is_said(golden_checkpoint, tmp_path):
    """Weights don't tell how many actions a chunk has: what is assumed is told, with its file."""
    checkpoint = shutil.copytree(golden_checkpoint, tmp_path / "copy")
    values = json.loads((checkpoint / "config.json").read_text())
    values.pop("num_actions_chunk", None)
    (checkpoint / "config.json").write_text(json.dumps(values))
    for info in (inspect_policy(checkpoint), load_policy(checkpoint).info):
        (line,) = info.assumed
        assert line.startswith(f"{checkpoint / 'config.json'} has no num_actions_chunk, 8 actions")
    values["num_actions_chunk"] = 8
    (checkpoint / "config.json").write_text(json.dumps(values))
    assert inspect_policy(checkpoint).assumed == ()


def test_unknown_options_are_refused(golden_checkpoint):
    """An option of another kind of policy is named with what this kind has."""
    with pytest.raises(ConfigError, match="unknown setting 'centre_crop', did you mean 'center_c"):
        load_policy(golden_checkpoint, centre_crop=False)


def test_a_policy_needs_nothing_but_predict():
    """Episodes, audits and comparisons have an answer that fits a policy without tokens."""
    policy = Still()
    policy.reset()
    pruner = TextDrivenPruner()
    audit = policy.audit(OBSERVATION, policy.predict(OBSERVATION, pruner), pruner)
    assert audit.passed and np.isnan(audit.difference)
    for ask in (policy.plain_forward, policy.layer_scores):
        with pytest.raises(ConfigError, match="a policy of kind still has no"):
            ask(OBSERVATION)


def test_the_common_audit_counts_tokens():
    """A policy that kept others than the budget allows fails also without a reference."""
    times = StageTimes(*[0.0] * 6)
    kept = np.arange(100)
    told = Prediction(np.zeros((2, 7)), np.zeros((2, 7)), kept, None, (9, 9), times, 1, 256)
    audit = Still().audit(OBSERVATION, told, TextDrivenPruner(keep=0.5))
    assert audit.failures == ("100 patches kept, 128 expected",)
