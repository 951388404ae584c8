"""The demonstration's scene in simulated time: ADP beside full vision, whatever comes of it."""

import io
import json
import os

import pytest

from adp_ros.cli.demo import ComparePlan, compare_or_say_why, numbers_of
from adp_ros.evaluation.chunkers import HoldChunker
from adp_ros.evaluation.rollout import run_rollout
from adp_ros.evaluation.rollout_result import RolloutConfig
from adp_ros.evaluation.summary import relevance_of
from adp_ros.settings import share_directory

SCENE = RolloutConfig(task="cube_to_plate", seed=3, time_limit=1.5)


@pytest.fixture
def plan(twin_policy):
    """A short scene with the settings of the nodes."""
    adp = share_directory(os.environ) / "config" / "adp.yaml"
    return ComparePlan(checkpoint=twin_policy, adp=adp, rollout=SCENE)


def test_both_runs_are_of_one_scene_and_differ_in_pruning_alone(plan, twin_policy):
    """Full vision prunes nothing and costs all; ADP prunes some windows and costs less."""
    output = io.StringIO()
    comparison = compare_or_say_why(plan, output)
    adp, full = comparison.adp, comparison.full
    assert (adp.time_s, full.time_s) == (1.5, 1.5)
    assert adp.windows == full.windows > 3
    assert (full.windows_pruned, full.tokens_per_window, full.flops_share) == (0, 256.0, 1.0)
    assert 0 < adp.windows_pruned < adp.windows
    assert 128.0 <= adp.tokens_per_window < 256.0
    assert 0.5 < adp.flops_share < 1.0
    assert min(adp.forward_ms_p50, full.forward_ms_p50) > 0.0
    assert comparison.relevance == relevance_of(twin_policy)
    assert "simulated time    0%  adp, 0 s, 0 of 1 windows pruned" in output.getvalue()
    assert json.loads(json.dumps(comparison.to_json(), allow_nan=False))["time"] == "simulated"


def test_checkpoint_that_cannot_be_loaded_costs_the_comparison_alone(plan, tmp_path):
    """What stands in the way is said in one line; nothing is raised."""
    output = io.StringIO()
    broken = ComparePlan(checkpoint=tmp_path, adp=plan.adp, rollout=SCENE)
    assert compare_or_say_why(broken, output) is None
    assert output.getvalue().startswith(f"no comparison with full vision: {tmp_path}")
    assert output.getvalue().count("\n") == 1


def test_interrupt_ends_the_comparison_alone(plan, monkeypatch):
    """Ctrl-C while it runs: the results of the live run are still written."""

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("adp_ros.cli.demo.compare", interrupted)
    output = io.StringIO()
    assert compare_or_say_why(plan, output) is None
    assert "interrupted: no comparison with full vision" in output.getvalue()


def test_run_that_planned_nothing_has_no_shares():
    """Without a policy no token was counted: the share of FLOPs is unknown, not zero."""
    numbers = numbers_of(run_rollout(RolloutConfig(time_limit=0.5), HoldChunker()))
    assert numbers.flops_share is None
    assert numbers.ending == "time_limit"
    assert not numbers.success
