"""The demonstration's scene in simulated time: ADP beside full vision, whatever comes of it."""

import io
import json
import os
from dataclasses import replace

from evaluation_fakes import HoldChunker

from adp_ros.cli import demo
from adp_ros.evaluation.full_vision import RunNumbers, compare_with_full_vision
from adp_ros.evaluation.rollout import run_rollout
from adp_ros.evaluation.rollout_result import RolloutConfig
from adp_ros.evaluation.summary import relevance_of
from adp_ros.reports.progress import progress_display
from adp_ros.ros.launch_arguments import resolve_settings
from adp_ros.settings import share_directory

SCENE = RolloutConfig(task="cube_to_plate", seed=3, time_limit=1.5)


ADP = share_directory(os.environ) / "config" / "adp.yaml"


def test_both_runs_are_of_one_scene_and_differ_in_pruning_alone(twin_policy):
    """Full vision prunes nothing and costs all; ADP prunes some windows and costs less."""
    output = io.StringIO()
    with progress_display("simulated time", output) as show:
        comparison = compare_with_full_vision(twin_policy, ADP, SCENE, show)
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


def settings(**given):
    """Launch settings of the demonstration."""
    return resolve_settings(given, share_directory(os.environ))


def test_checkpoint_that_cannot_be_loaded_costs_the_comparison_alone(tmp_path, capsys):
    """What stands in the way is said in one line; nothing is raised."""
    broken = replace(settings(), checkpoint=tmp_path)
    assert demo._compare(broken, 1.5) is None
    said = capsys.readouterr().err
    assert said.startswith(f"no comparison with full vision: {tmp_path}")
    assert said.count("\n") == 1


def test_interrupt_ends_the_comparison_alone(monkeypatch, capsys):
    """Ctrl-C while it runs: the results of the live run are still written."""

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("adp_ros.evaluation.full_vision.run_rollout", interrupted)
    assert demo._compare(settings(), 1.5) is None
    assert "interrupted: no comparison with full vision" in capsys.readouterr().err


def test_run_that_planned_nothing_has_no_shares():
    """Without a policy no token was counted: the share of FLOPs is unknown, not zero."""
    numbers = RunNumbers.of(run_rollout(RolloutConfig(time_limit=0.5), HoldChunker()))
    assert numbers.flops_share is None
    assert numbers.ending == "time_limit"
    assert not numbers.success
