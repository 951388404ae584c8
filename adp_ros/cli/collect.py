"""``adp-ros collect``: demonstrations from the twin, for ``adp-ros train``."""

import argparse
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from ..errors import ConfigError
from ..reports.progress import progress_shown
from ..settings import add_flags, given_flags, share_directory
from ..sim.tasks import task_names
from .output import write_json

if TYPE_CHECKING:
    from ..learning.collection import Collected, CollectSettings
    from ..reports.progress import Show


_FLAGS = (
    *("keep_every", "noise", "start_spread", "expert_share", "pruned_share"),
    *("time_limit", "robot_type", "randomisation", "distractors"),
)


class CollectTally:
    """Shows episodes as they end."""

    def __init__(self, show: "Show") -> None:
        self._show = show
        self._began = time.monotonic()
        self._episodes = self._successes = 0
        self._seconds = 0.0

    def __call__(self, collected: "Collected | None", done: int, total: int) -> None:
        """Count an episode, None at the start."""
        if collected is not None:
            self._episodes += 1
            self._successes += collected.success
            self._seconds += collected.time
        wall = max(time.monotonic() - self._began, 1e-3)
        words = f"{self._successes}/{self._episodes} successful"
        self._show(done, total, f"{words}, {self._seconds / wall:.1f} x real time")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    from ..learning.collection import CollectSettings

    parser.description = (
        "Run episodes in the twin, in the loop that the nodes run, and keep them as "
        "demonstrations. The same command goes on where an earlier one ended. Exit status 1 when "
        "an episode could not be run."
    )
    names = ", ".join(task_names())
    parser.add_argument(
        "--task", nargs="+", default=["all"], metavar="NAME", help=f"all, or some of {names}"
    )
    parser.add_argument(
        "--policy",
        default="expert",
        help="expert, or a checkpoint that moves the arm while the expert says what it should "
        "have done (DAgger); default: %(default)s",
    )
    parser.add_argument(
        "--episodes", type=int, default=10, help="of each task; default: %(default)s"
    )
    parser.add_argument("--workers", type=int, default=1, help="processes; default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of the first; default: %(default)s")
    parser.add_argument("--out", type=Path, required=True, help="folder of the data set")
    group = parser.add_argument_group("how episodes are made")
    add_flags(group, CollectSettings, *_FLAGS)
    group.add_argument(
        "--mix",
        default="clean:1",
        metavar="KIND:N,...",
        help="shares of undisturbed and disturbed experts, such as clean:1,noisy:2",
    )
    group.add_argument("--adp", type=Path, help="how they are pruned; default: config/adp.yaml")


def run(arguments: argparse.Namespace) -> int:
    """Collect what is missing; return 0, or 1 when an episode could not be run."""
    from ..learning.collecting import collect
    from ..learning.collection import CollectPlan, summarise
    from ..learning.dataset import DatasetInfo, create_dataset, write_statistics

    settings = _settings(arguments)
    plan = CollectPlan(_tasks(arguments.task), arguments.seed, arguments.episodes, settings)
    source = "scripted experts" if settings.checkpoint is None else "policy with corrections"
    info = DatasetInfo(
        robot_type=settings.robot_type, source=f"adp_ros twin, {source}", made=asdict(settings)
    )
    dataset = create_dataset(arguments.out, info)
    adp = arguments.adp or share_directory(os.environ) / "config" / "adp.yaml"
    began = time.perf_counter()
    try:
        with progress_shown(sys.stderr) as show:
            outcomes = collect(plan, dataset, adp, arguments.workers, CollectTally(show))
    except KeyboardInterrupt:
        sys.stderr.write(f"interrupted; {arguments.out} keeps what ended, go on the same way\n")
        raise
    finally:
        if len(dataset):
            write_statistics(dataset)
    summary = summarise(outcomes, time.perf_counter() - began)
    values = summary | {"out": str(arguments.out), "demonstrations": len(dataset)}
    if arguments.json:
        write_json(values)
    else:
        _print(values)
    return 1 if summary["errors"] else 0


def _settings(arguments: argparse.Namespace) -> "CollectSettings":
    from ..learning.collection import CollectSettings

    policy = arguments.policy
    if policy != "expert":
        if not Path(policy).expanduser().is_dir():
            raise ConfigError(f"policy is {policy!r}, 'expert' or a checkpoint's folder is needed")
        policy = str(Path(policy).expanduser().resolve())
    shares: dict[str, Any] = {"clean": 0, "noisy": 0}
    for part in arguments.mix.split(","):
        kind, _, number = part.strip().partition(":")
        if kind not in shares or not number.isdigit():
            raise ConfigError(f"mix is {arguments.mix!r}, needed: shares such as clean:1,noisy:2")
        shares[kind] = int(number)
    given = given_flags(arguments, CollectSettings) | {"policy": policy}
    return CollectSettings(**shares, **given)


def _tasks(names: list[str]) -> tuple[str, ...]:
    if names == ["all"]:
        return task_names()
    for name in names:
        if name not in task_names():
            raise ConfigError(f"task is {name!r}, allowed: all, {', '.join(task_names())}")
    return tuple(dict.fromkeys(names))


def _print(summary: dict[str, Any]) -> None:
    table = Table("task", "kind", "episodes", "success", "kept", "pictures", "simulated [s]")
    for group in summary["groups"]:
        rate = f"{group['successes'] / group['episodes']:.1%}"
        numbers = (group["episodes"], rate, group["kept"], group["frames"])
        seconds = f"{group['simulated_seconds']:.0f}"
        table.add_row(group["task"], group["kind"], *map(str, numbers), seconds)
    console = Console(file=sys.stdout, soft_wrap=True, highlight=False)
    if summary["groups"]:
        console.print(table)
    for line in summary["left_out"]:
        console.print(f"left out  {line}", markup=False)
    for line in summary["errors"]:
        console.print(f"error     {line}", markup=False)
    console.print(
        f"{summary['demonstrations']} demonstrations in {summary['out']}; "
        f"{summary['bytes'] / 1e6:.0f} MB now, {summary['wall_seconds']:.0f} s, "
        f"{summary['times_real_time']:.1f} x real time"
    )
