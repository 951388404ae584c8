"""``adp-ros demo``: the whole loop in the twin, with progress, summary and video."""

import argparse
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ... import __version__
from ...checkpoint_cache import small_checkpoint
from ...launch_arguments import AUTO
from ...launch_settings import LaunchSettings, resolve_settings
from ...launch_table import NodeSpec
from ...share import share_directory
from ...shipped_policy import shipped_policy
from ...sim.tasks import find_task, task_names
from ..launch.command import prepare_nodes
from ..launch.runner import StopRequest
from ..launch.twin_run import add_output_arguments, new_directory, use_private_domain
from ..numbers import number_between

if TYPE_CHECKING:
    from ...demo.comparison import Comparison
    from ...demo.video import VideoLog
    from .session import RunResult

LONGEST = 3600.0  # [s]
MOVERS = {
    "oft": "the OpenVLA-OFT policy, which sees the camera's picture and the arm's own sensors",
    "expert": "the scripted expert, which reads the twin's true state; the OpenVLA-OFT policy "
    "plans every window beside it and moves nothing",
    "hold": "nobody: policy hold keeps the arm still; the OpenVLA-OFT policy plans beside it",
}


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "demo",
        help="one task in the twin, with summary and video",
        description="Run one task in the simulated Jaco2 with the real nodes, then the same scene "
        "twice in simulated time: with ADP and with full vision. Exit status 0 if and only if the "
        "task succeeds. Results in RUNS/<time>: summary.json, report.html, video.mp4.",
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
    parser.set_defaults(run=run)


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
    from ...demo.node_log import node_log
    from ...demo.progress import progress_display
    from .session import RunPlan, perform

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
    from ...rollout import RolloutConfig
    from .compare import ComparePlan, compare_or_say_why

    rollout = RolloutConfig(
        task=settings.task,
        seed=settings.seed,
        robot_type=settings.robot_type,
        time_limit=_time_limit(settings, duration),
    )
    plan = ComparePlan(checkpoint=_checkpoint(settings), adp=settings.adp, rollout=rollout)
    return compare_or_say_why(plan, sys.stderr)


def _write_report(result: "RunResult", settings: LaunchSettings, path: Path) -> None:
    from ...demo.report import complete_log, decision_pictures
    from ...policy.preprocess import CROP_AREA
    from ...report.page import write_report

    facts = {
        "checkpoint": str(_checkpoint(settings)),
        "gate and pruning": str(settings.adp),
        "arm": settings.robot_type,
        "adp_ros": __version__,
    }
    pictures = decision_pictures(result.log, result.video, result.start, CROP_AREA)
    write_report(complete_log(result.log, result.summary, facts, pictures), path)


def _write_video(video: "VideoLog", path: Path) -> None:
    from ...policy.preprocess import CROP_AREA

    if video.pictures > 0:
        sys.stderr.write(f"encoding {video.pictures} pictures\n")
        video.write(path, CROP_AREA)


def _seconds(text: str) -> float:
    return number_between(text, 1.0, LONGEST, "s")
