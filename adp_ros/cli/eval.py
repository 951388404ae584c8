"""``adp-ros eval``: success in the twin, tasks x seeds x conditions, with intervals and a page."""

import argparse
import json
import os
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigError
from ..reports.progress import progress_shown
from ..robots.robot import ROBOTS
from ..settings import share_directory
from ..sim.tasks import task_names

if TYPE_CHECKING:
    from ..evaluation.conditions import EvalConfig, SceneVariant
    from ..evaluation.episodes import Plan
    from ..evaluation.results import Results
    from ..evaluation.runner import SessionProgress
    from ..evaluation.summary import EvaluationSummary
    from ..reports.progress import Show


class EvalTally:
    """Shows successes so far, per condition."""

    def __init__(self, show: "Show") -> None:
        self._show = show
        self._done: Counter[str] = Counter()
        self._successes: Counter[str] = Counter()

    def __call__(self, progress: "SessionProgress") -> None:
        """Count the episode that ended last."""
        if progress.episode is not None and progress.result is not None:
            name = progress.episode.condition.name
            self._done[name] += 1
            self._successes[name] += progress.result.success
        words = [f"{n} {self._successes[n]}/{count}" for n, count in self._done.items()]
        if progress.known:
            words.insert(0, f"{progress.known} known before")
        self._show(progress.done, progress.done + progress.left, ", ".join(words))


FIRST_SEED = 1_000_000
DEFAULT_SET = "default"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.description = (
        "Run tasks x seeds x conditions in the twin, in the loop that the nodes run, "
        "in simulated time, and compare on the same scenes. Every result is kept at once: the "
        "same command goes on where an earlier one ended, and runs only what is new. Exit status "
        "1 when an episode could not be run."
    )
    parser.add_argument(
        "checkpoint",
        type=Path,
        nargs="?",
        help="directory of the checkpoint, or mapping file of a policy server",
    )
    parser.add_argument("--policy-url", default="", help="address of the mapping's server")
    _add_plan_arguments(parser)
    _add_scene_arguments(parser)
    parser.add_argument("--out", type=Path, default=Path("runs/eval"), help="default: %(default)s")
    parser.add_argument("--workers", type=int, default=1, help="processes; default: %(default)s")
    parser.add_argument("--shard", default="1/1", metavar="I/N", help="run one part of N alone")
    parser.add_argument(
        "--video", type=int, nargs="+", default=[], metavar="SEED", help="seeds to film"
    )
    parser.add_argument(
        "--report-only", action="store_true", help="run nothing, report what --out holds"
    )


def _add_plan_arguments(parser: argparse.ArgumentParser) -> None:
    names = ", ".join(task_names())
    parser.add_argument("--tasks", default="all", help=f"all, or some of {names}, with commas")
    parser.add_argument(
        "--episodes", type=int, default=50, help="seeds per task; default: %(default)s"
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=FIRST_SEED,
        help="first seed; default: %(default)s, far from those of demonstrations",
    )
    parser.add_argument(
        "--conditions",
        metavar="NAME,NAME",
        help="conditions of config/eval.yaml; NAME@RATIO is one with another keep ratio",
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME", help="set of config/eval.yaml"
    )
    parser.add_argument("--config", type=Path, help="default: config/eval.yaml")
    parser.add_argument(
        "--adp", type=Path, help="what conditions override; default: config/adp.yaml"
    )


def _add_scene_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--scenes",
        default="default",
        metavar="NAME,NAME",
        help="variants of config/eval.yaml; the others are compared with the first",
    )
    parser.add_argument("--robot-type", choices=ROBOTS.names, default="j2n6s300")
    parser.add_argument("--randomisation", metavar="LEVEL", help="none, default or strong")
    parser.add_argument("--distractors", choices=("auto", "always", "never"))
    parser.add_argument("--camera-shift", type=float, metavar="M", help="of the camera, in [m]")


def run(arguments: argparse.Namespace) -> int:
    """Run what is left and report; return 0, or 1 when an episode could not be run."""
    from ..evaluation.results import read_results
    from ..evaluation.workers import WorkerError

    status = 0
    if not arguments.report_only:
        try:
            _run_session(arguments)
        except WorkerError as error:
            sys.stderr.write(f"error: {error}\n")
            status = 1
        except KeyboardInterrupt:
            sys.stderr.write(f"interrupted; {arguments.out} keeps what ended, go on the same way\n")
            raise
    results = read_results(arguments.out)
    if not results.episodes:
        if status:
            return status
        raise ConfigError(f"out is {str(arguments.out)!r}: there are no results")
    _report(arguments, results)
    return status


def _run_session(arguments: argparse.Namespace) -> None:
    from ..evaluation.episodes import Shard
    from ..evaluation.rollout_result import RolloutConfig
    from ..evaluation.runner import EvaluationSession, RolloutFactory, run_session
    from ..evaluation.summary import identity_of

    share = share_directory(os.environ)
    plan = _plan(arguments, share)
    checkpoint = _checkpoint(arguments, plan)
    options = {"policy_url": arguments.policy_url} if arguments.policy_url else {}
    factory = RolloutFactory(checkpoint, RolloutConfig(robot_type=arguments.robot_type), options)
    factory.refuse_unfit(plan)
    for seed in arguments.video:
        if seed not in plan.seeds:
            first, last = plan.seeds[0], plan.seeds[-1]
            raise ConfigError(f"video is {seed}, allowed: seeds of this run, {first} to {last}")
    session = EvaluationSession(
        plan=plan,
        identity=identity_of(checkpoint, factory.loop()),
        directory=arguments.out,
        shard=Shard.parse(arguments.shard),
        workers=arguments.workers,
        video_seeds=tuple(arguments.video),
    )
    with progress_shown(sys.stderr) as show:
        run_session(session, factory, EvalTally(show))


def _plan(arguments: argparse.Namespace, share: Path) -> "Plan":
    from ..evaluation.conditions import load_config
    from ..evaluation.episodes import Plan

    path = arguments.config or share / "config" / "eval.yaml"
    config = load_config(path, arguments.adp or share / "config" / "adp.yaml")
    names = _names(arguments.conditions or "")
    sets = tuple(arguments.set) or (() if names else (DEFAULT_SET,))
    return Plan(
        tasks=_tasks(arguments.tasks),
        seeds=range(arguments.seed, arguments.seed + arguments.episodes),
        scenes=tuple(_scene(config, name, arguments) for name in _names(arguments.scenes)),
        conditions=config.chosen(names, sets),
    )


def _tasks(text: str) -> tuple[str, ...]:
    if text == "all":
        return task_names()
    for name in _names(text):
        if name not in task_names():
            raise ConfigError(f"tasks holds {name!r}, allowed: all, {', '.join(task_names())}")
    return _names(text)


def _scene(config: "EvalConfig", name: str, arguments: argparse.Namespace) -> "SceneVariant":
    """Return a variant with what the command line changes, under a name that says so."""
    scene = config.scene(name)
    for setting, mark, value in (
        ("randomisation", "", arguments.randomisation),
        ("distractors", "distractors-", arguments.distractors),
        ("camera_shift", "camera-", arguments.camera_shift),
    ):
        changed = scene if value is None else replace(scene, **{setting: value})
        if changed != scene:
            scene = replace(changed, name=f"{scene.name}+{mark}{value}")
    return scene


def _checkpoint(arguments: argparse.Namespace, plan: "Plan") -> Path | None:
    """Return the checkpoint; None where no policy is asked."""
    if all(condition.expert for condition in plan.conditions):
        return None
    if arguments.checkpoint is None:
        raise ConfigError("checkpoint is missing: all conditions but expert need one")
    directory: Path = arguments.checkpoint.expanduser()
    if not directory.exists():
        raise ConfigError(f"checkpoint is {str(directory)!r}: no such directory or mapping file")
    return directory


def _report(arguments: argparse.Namespace, results: "Results") -> None:
    from ..evaluation.runner import VIDEOS
    from ..evaluation.summary import summarise
    from ..reports.evaluation_page import write_page

    summary = summarise(results)
    out: Path = arguments.out
    videos = [p for p in sorted((out / VIDEOS).glob("*.mp4")) if ".part" not in p.suffixes]
    text = json.dumps(summary.to_json(), indent=2, allow_nan=False) + "\n"
    try:
        (out / "summary.json").write_text(text, encoding="utf-8")
        write_page(summary, out / "report.html", videos)
    except OSError as error:
        raise ConfigError(f"out is {str(out)!r}: {error.strerror}") from error
    if arguments.json:
        sys.stdout.write(text)
    else:
        _print(summary)
    sys.stderr.write(f"{len(results.episodes)} episodes, report in {out / 'report.html'}\n")


def _print(summary: "EvaluationSummary") -> None:
    from rich.console import Console

    from ..reports.evaluation_tables import drawn, tables

    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    console.print(summary.caveat, markup=False)
    for table in tables(summary):
        console.print(drawn(table))


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
