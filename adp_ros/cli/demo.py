"""``adp-ros demo``: the whole loop in the twin, with progress, summary and video."""

import argparse
import os
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from .. import __version__
from ..adp.overlay import CROP_AREA
from ..errors import AdpError
from ..policies.checkpoints import shipped_policy, small_checkpoint
from ..reports.progress import progress_display
from ..robots.robot import ROBOTS
from ..ros.argument_table import AUTO
from ..ros.launch_arguments import SIMULATED, LaunchSettings, resolve_settings
from ..ros.runner import StopRequest, node_log, prepare_nodes
from ..ros.twin_run import (
    RunPlan,
    RunResult,
    add_output_arguments,
    new_directory,
    perform,
    use_private_domain,
)
from ..settings import number_between, share_directory
from ..sim.tasks import find_task, task_names
from . import INTERRUPTED
from .output import write_result

if TYPE_CHECKING:
    from ..evaluation.full_vision import SceneComparison

MOVERS = {
    "oft": "the OpenVLA-OFT policy, which sees the camera's picture and the arm's own sensors",
    "remote": "a policy server, which sees the camera's picture and the arm's own sensors",
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
        choices=(AUTO, "oft", "remote", "expert", "hold"),
        default=AUTO,
        help="what moves the arm (default: oft, the checkpoint)",
    )
    parser.add_argument("--policy-url", help="address of the server with --policy remote")
    parser.add_argument("--seed", default="1", help="seed of the scene (default: %(default)s)")
    parser.add_argument(
        "--checkpoint", help="OpenVLA-OFT checkpoint (default: the trained one of the package)"
    )
    parser.add_argument("--adp", help="YAML file with the settings of gate and pruning")
    parser.add_argument(
        "--robot",
        choices=SIMULATED,
        default="sim",
        help="sim: the twin as it is; stand-in: the driver of a real arm over a stand-in for "
        "Kinova's SDK, and the twin behind it (default: sim)",
    )
    parser.add_argument("--robot-type", choices=ROBOTS.names, help="kind of arm; default: j2n6s300")
    parser.add_argument(
        "--duration",
        type=number_between(1.0, 3600.0, "s"),
        help="longest run in [s] (default: the task's own limit)",
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
    names = ("task", "policy", "policy_url", "seed", "checkpoint", "adp", "robot", "robot_type")
    given = {name: vars(arguments)[name] for name in names if vars(arguments)[name] is not None}
    settings = resolve_settings(given, share)
    environment = use_private_domain(pictures=True)
    with StopRequest().listening() as request:
        nodes = prepare_nodes(settings, share)
        directory = new_directory(arguments.runs, datetime.now())
        _introduce(settings, directory)
        plan = RunPlan(
            settings=settings,
            nodes=nodes,
            environment=environment,
            time_limit=_time_limit(settings, arguments.duration),
        )
        with (
            node_log(directory / "nodes.log", sys.stderr if arguments.verbose else None) as log,
            progress_display(settings.task, sys.stderr) as show,
        ):
            result = perform(plan, log, request, show)
    summary = result.summary
    summary.write(directory / "summary.json")  # is there whatever comes now
    if arguments.compare and settings.policy == "oft" and not request.asked:
        summary = replace(summary, comparison=_compare(settings, arguments.duration))
        summary.write(directory / "summary.json")
    _write_report(replace(result, summary=summary), settings, directory / "report.html")
    if result.video.pictures > 0:
        sys.stderr.write(f"encoding {result.video.pictures} pictures\n")
        result.video.write(directory / "video.mp4", CROP_AREA, shortened=True)
    write_result(arguments.json, summary.to_json(), summary.to_text())
    sys.stderr.write(f"results in {directory}\n")
    if request.asked:
        return INTERRUPTED
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


def _compare(settings: LaunchSettings, duration: float | None) -> "SceneComparison | None":
    """Compare with full vision; a failure of it must not cost the live run's results."""
    from ..evaluation.full_vision import compare_with_full_vision
    from ..evaluation.rollout_result import RolloutConfig

    rollout = RolloutConfig(
        task=settings.task,
        seed=settings.seed,
        robot_type=settings.robot_type,
        time_limit=_time_limit(settings, duration),
    )
    try:
        with progress_display("simulated time", sys.stderr) as show:
            return compare_with_full_vision(_checkpoint(settings), settings.adp, rollout, show)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted: no comparison with full vision\n")
    except AdpError as error:
        sys.stderr.write(f"no comparison with full vision: {error}\n")
    return None


def _write_report(result: RunResult, settings: LaunchSettings, path: Path) -> None:
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
