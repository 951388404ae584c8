"""``adp-ros train``: fine-tune an OpenVLA-OFT policy on demonstrations, or train a small one."""

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..learning.recipe import load_recipe
from ..settings import refuse_unknown, share_directory

if TYPE_CHECKING:
    from ..learning.train import TrainingOutcome


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.description = (
        "Train on folders that `adp-ros collect` wrote. Ctrl-C saves; the same "
        "command goes on. Several processes: torchrun --nproc-per-node 2 -m adp_ros.cli train ..."
    )
    parser.add_argument("recipe", help="YAML file, or the name of one in config/train")
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="demonstrations")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--checkpoint", type=Path, help="what is fine-tuned; default: a new model")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="default: cpu")
    parser.add_argument(
        "--threads", type=int, default=1, help="CPU threads of each process (default: 1)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    from ..learning.train import Request, train  # torch takes seconds

    recipe = load_recipe(_recipe_file(arguments.recipe))
    request = Request(
        recipe=recipe,
        data=arguments.data,
        out=arguments.out,
        checkpoint=arguments.checkpoint,
        device=arguments.device,
        threads=arguments.threads,
    )
    with Shown(Console(stderr=True)) as shown, _interrupts() as interrupted:
        outcome = train(request, shown, interrupted, time.perf_counter)
    _print(outcome, arguments)
    return 0 if outcome.finished else 1


def _recipe_file(name: str) -> Path:
    path = Path(name)
    if path.suffix in (".yaml", ".yml") or path.exists():
        return path
    folder = share_directory(os.environ) / "config" / "train"
    refuse_unknown([name], sorted(file.stem for file in folder.glob("*.yaml")), "unknown recipe")
    return folder / f"{name}.yaml"


@contextmanager
def _interrupts() -> Iterator[Callable[[], bool]]:
    """Give a function that says whether the end was asked for; the state is saved first."""
    asked: list[int] = []

    before = {
        number: signal.signal(number, lambda number, _: asked.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Shown:
    """Shows a run as a bar with the newest losses, and one line per validation."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[losses]}"),
            console=console,
        )
        self._task = self._bar.add_task("loading", total=None, losses="")

    def __enter__(self) -> "Shown":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def begin(self, text: str, samples: int, done: int) -> None:
        """The run begins or goes on."""
        self._console.print(text)
        self._bar.update(self._task, total=samples, completed=done)

    def advance(self, samples: int, stage: str, losses: Mapping[str, float]) -> None:
        """A number of samples is done."""
        text = " ".join(f"{name} {value:.3f}" for name, value in losses.items())
        self._bar.update(self._task, completed=samples, description=stage, losses=text)

    def validated(self, stage: str, scores: Mapping[str, float]) -> None:
        """A validation is done."""
        text = ", ".join(f"{name} {value:.4f}" for name, value in scores.items())
        self._console.print(f"{stage}: {text}", soft_wrap=True)


def _print(outcome: "TrainingOutcome", arguments: argparse.Namespace) -> None:
    values = {
        "finished": outcome.finished,
        "checkpoint": None if outcome.checkpoint is None else str(outcome.checkpoint),
        "steps": outcome.steps,
        "validation": dict(outcome.scores),
    }
    if arguments.json:
        text = json.dumps(values, indent=2)
    elif outcome.finished:
        text = f"checkpoint in {outcome.checkpoint}" if outcome.checkpoint else ""
    else:
        text = f"saved after {outcome.steps} steps; the same command goes on"
    if text:
        sys.stdout.write(text + "\n")
