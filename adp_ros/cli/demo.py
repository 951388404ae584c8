"""``adp-ros demo``: the whole loop in the twin, with progress, summary and video."""

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING, TextIO

import torch

from .. import __version__
from ..adp.adp_settings import AdpSettings
from ..errors import AdpError
from ..evaluation.chunkers import PolicyChunker, load_setup
from ..evaluation.rollout import StepView, run_rollout
from ..evaluation.rollout_result import (
    RolloutConfig,
    RolloutResult,
    View,
)
from ..evaluation.summary import SIMULATION, relevance_of
from ..policies.checkpoints import shipped_policy, small_checkpoint
from ..policies.window import Window
from ..reports.progress import ShowProgress, progress_display
from ..reports.run_summary import Comparison, RunNumbers
from ..ros.launch_arguments import AUTO, LaunchSettings, resolve_settings
from ..ros.launch_table import NodeSpec
from ..ros.runner import StopRequest, prepare_nodes
from ..ros.twin_run import add_output_arguments, new_directory, use_private_domain
from ..settings import number_between, share_directory
from ..sim.tasks import find_task, task_names

if TYPE_CHECKING:
    from ..evaluation.video import VideoLog
    from ..reports.run_summary import Comparison
    from ..ros.twin_run import RunResult


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparePlan:
    """What is compared.

    Attributes:
        checkpoint: Directory of the policy that moved the arm.
        adp: File with the settings of gate and pruning.
        rollout: Scene, arm and time limit.
    """

    checkpoint: Path
    adp: Path
    rollout: RolloutConfig


def compare_or_say_why(plan: ComparePlan, output: TextIO) -> Comparison | None:
    """Compare, or say what stands in its way: that must not cost the results of the live run.

    Args:
        plan: What is compared.
        output: Gets the progress, and the reason where there is no result.
    """
    try:
        with progress_display("simulated time", output) as show:
            return compare(plan, show)
    except KeyboardInterrupt:
        output.write("interrupted: no comparison with full vision\n")
    except AdpError as error:
        output.write(f"no comparison with full vision: {error}\n")
    return None


def compare(plan: ComparePlan, show: ShowProgress) -> Comparison:
    """Run the scene with ADP and with full vision.

    Args:
        plan: What is compared.
        show: Gets the progress; its times are wall times since the start.

    Raises:
        AdpError: The checkpoint is unusable, the controller does not arm, or no picture can be
            drawn.
    """
    began = time.monotonic()
    torch.set_num_threads(1)
    adp = AdpSettings.load(plan.adp)
    full = replace(adp, pruning=replace(adp.pruning, qk_keep_enabled=False))
    setup = load_setup(plan.checkpoint, adp, "cuda" if torch.cuda.is_available() else "cpu")

    def run(name: str, settings: AdpSettings) -> RunNumbers:
        watch = _Watch(name, began, show)
        result = run_rollout(plan.rollout, PolicyChunker(setup, settings), watch)
        return numbers_of(result)

    return Comparison(
        adp=run("adp", adp),
        full=run("full vision", full),
        simulation=SIMULATION,
        relevance=relevance_of(plan.checkpoint),
        wall_s=round(time.monotonic() - began, 3),
    )


def numbers_of(result: RolloutResult) -> RunNumbers:
    """Sum up one run."""
    windows = result.windows
    flops_full = sum(window.audit.flops_full for window in windows)
    forward = [window.times.total for window in windows if window.times is not None]
    return RunNumbers(
        success=result.success,
        progress=result.progress,
        ending=str(result.ending),
        stop=result.stop,
        time_s=round(result.time, 3),
        path_length_m=result.path_length,
        windows=len(windows),
        windows_pruned=sum(window.pruned for window in windows),
        tokens_per_window=fmean(w.audit.tokens_kept for w in windows) if windows else None,
        flops_share=sum(w.audit.flops for w in windows) / flops_full if flops_full else None,
        forward_ms_p50=median(forward) if forward else None,
    )


class _Watch:
    """Shows how far a run is."""

    def __init__(self, name: str, began: float, show: ShowProgress) -> None:
        self._name = name
        self._began = began
        self._show = show
        self._windows = 0
        self._pruned = 0

    def on_step(self, step: StepView) -> None:
        """Show time and progress."""
        words = (
            f"{self._name}, {step.view.time:.0f} s, {self._pruned} of {self._windows} "
            "windows pruned"
        )
        self._show(time.monotonic() - self._began, step.view.truth.progress, words)

    def on_window(self, view: View, window: Window) -> None:
        """Count."""
        self._windows += 1
        self._pruned += window.pruned


LONGEST = 3600.0  # [s]
MOVERS = {
    "oft": "the OpenVLA-OFT policy, which sees the camera's picture and the arm's own sensors",
    "expert": "the scripted expert, which reads the twin's true state; the OpenVLA-OFT policy "
    "plans every window beside it and moves nothing",
    "hold": "nobody: policy hold keeps the arm still; the OpenVLA-OFT policy plans beside it",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.description = (
        "Run one task in the simulated Jaco2 with the real nodes, then the same scene "
        "twice in simulated time: with ADP and with full vision. Exit status 0 if and only if the "
        "task succeeds. Results in RUNS/<time>: summary.json, report.html, video.mp4."
    )
    parser.add_argument("--task", choices=task_names(), default="cube_to_plate")
    parser.add_argument(
        "--policy",
        choices=(AUTO, "oft", "expert", "hold"),
        default=AUTO,
        help="what moves the arm (default: oft, the checkpoint)",
    )
    parser.add_argument("--seed", default="1", help="seed of the scene (default: %(default)s)")
    parser.add_argument(
        "--checkpoint", help="OpenVLA-OFT checkpoint (default: the trained one of the package)"
    )
    parser.add_argument("--adp", help="YAML file with the settings of gate and pruning")
    parser.add_argument(
        "--duration", type=_seconds, help="longest run in [s] (default: the task's own limit)"
    )
    parser.add_argument(
        "--no-compare",
        dest="compare",
        action="store_false",
        help="leave out the two runs in simulated time",
    )
    add_output_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the demonstration; return 0 if the task succeeded, else 1."""
    share = share_directory(os.environ)
    names = ("task", "policy", "seed", "checkpoint", "adp")
    given = {name: vars(arguments)[name] for name in names if vars(arguments)[name] is not None}
    settings = resolve_settings(given, share)
    environment = use_private_domain(pictures=True)
    with StopRequest().listening() as request:
        nodes = prepare_nodes(settings, share)
        directory = new_directory(arguments.runs, datetime.now())
        _introduce(settings, directory)
        result = _perform(arguments, settings, nodes, directory, request, environment=environment)
    summary = result.summary
    summary.write(directory / "summary.json")  # is there whatever comes now
    if arguments.compare and settings.policy == "oft" and not request.asked:
        summary = replace(summary, comparison=_compare(settings, arguments.duration))
        summary.write(directory / "summary.json")
    _write_report(replace(result, summary=summary), settings, directory / "report.html")
    _write_video(result.video, directory / "video.mp4")
    text = json.dumps(summary.to_json(), indent=2) + "\n" if arguments.json else summary.to_text()
    sys.stdout.write(text)
    sys.stderr.write(f"results in {directory}\n")
    return 0 if summary.success else 1


def _introduce(settings: LaunchSettings, directory: Path) -> None:
    checkpoint = str(_checkpoint(settings))
    if settings.checkpoint is None:
        checkpoint += " (small, random weights)"
    elif settings.checkpoint == shipped_policy(share_directory(os.environ)):
        checkpoint += " (comes with the package, trained in the twin)"
    sys.stderr.write(
        f"{settings.task} in the twin, seed {settings.seed}\n"
        f"moved by   {MOVERS[settings.policy]}\n"
        f"checkpoint {checkpoint}\n"
        f"ROS domain {os.environ['ROS_DOMAIN_ID']}, log {directory / 'nodes.log'}\n"
    )


def _checkpoint(settings: LaunchSettings) -> Path:
    return settings.checkpoint or small_checkpoint(os.environ)


def _time_limit(settings: LaunchSettings, duration: float | None) -> float:
    return duration or find_task(settings.task).time_limit


def _perform(
    arguments: argparse.Namespace,
    settings: LaunchSettings,
    nodes: tuple[NodeSpec, ...],
    directory: Path,
    request: StopRequest,
    *,
    environment: Mapping[str, str],
) -> "RunResult":
    from ..reports.progress import progress_display
    from ..ros.runner import node_log
    from ..ros.twin_run import RunPlan, perform

    plan = RunPlan(
        settings=settings,
        nodes=nodes,
        environment=environment,
        time_limit=_time_limit(settings, arguments.duration),
    )
    echo = sys.stderr if arguments.verbose else None
    with (
        node_log(directory / "nodes.log", echo) as log,
        progress_display(settings.task, sys.stderr) as show,
    ):
        return perform(plan, log, request, show)


def _compare(settings: LaunchSettings, duration: float | None) -> "Comparison | None":
    from ..evaluation.rollout_result import RolloutConfig

    pass

    rollout = RolloutConfig(
        task=settings.task,
        seed=settings.seed,
        robot_type=settings.robot_type,
        time_limit=_time_limit(settings, duration),
    )
    plan = ComparePlan(checkpoint=_checkpoint(settings), adp=settings.adp, rollout=rollout)
    return compare_or_say_why(plan, sys.stderr)


def _write_report(result: "RunResult", settings: LaunchSettings, path: Path) -> None:
    from ..adp.overlay import CROP_AREA
    from ..reports.page import complete_log, decision_pictures, write_report

    facts = {
        "checkpoint": str(_checkpoint(settings)),
        "gate and pruning": str(settings.adp),
        "arm": settings.robot_type,
        "adp_ros": __version__,
    }
    record = result.summary.record
    pictures = decision_pictures(record, result.video, CROP_AREA)
    write_report(complete_log(record, result.summary, facts, pictures), path)


def _write_video(video: "VideoLog", path: Path) -> None:
    from ..adp.overlay import CROP_AREA

    if video.pictures > 0:
        sys.stderr.write(f"encoding {video.pictures} pictures\n")
        video.write(path, CROP_AREA)


def _seconds(text: str) -> float:
    return number_between(text, 1.0, LONGEST, "s")
