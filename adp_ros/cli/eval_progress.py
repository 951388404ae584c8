"""How far ``adp-ros eval`` is: a bar on a terminal, a line now and then elsewhere."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from ..evaluation.session import Progress as SessionProgress

LINE_PERIOD = 20.0  # [s] between plain lines
Show = Callable[["SessionProgress"], None]


class Tally:
    """Successes so far, per condition."""

    def __init__(self) -> None:
        """Start at nothing."""
        self._done: Counter[str] = Counter()
        self._successes: Counter[str] = Counter()

    def add(self, progress: "SessionProgress") -> None:
        """Count the episode that ended last."""
        if progress.episode is not None and progress.result is not None:
            name = progress.episode.condition.name
            self._done[name] += 1
            self._successes[name] += progress.result.success

    def words(self) -> str:
        """Return ``full 9/10, adp 8/10``."""
        return ", ".join(f"{n} {self._successes[n]}/{count}" for n, count in self._done.items())


@contextmanager
def progress_shown(output: TextIO) -> Iterator[Show]:
    """Show the progress of a session while the context lasts.

    Args:
        output: Where to; a terminal gets a bar that moves.
    """
    if output.isatty():
        with _bar(output) as show:
            yield show
    else:
        yield _lines(output)


@contextmanager
def _bar(output: TextIO) -> Iterator[Show]:
    columns = (
        MofNCompleteColumn(),
        BarColumn(bar_width=30),
        TimeRemainingColumn(),
        TextColumn("{task.fields[words]}"),
    )
    with Progress(*columns, console=Console(file=output), refresh_per_second=4) as bar:
        task = bar.add_task("episodes", total=None, words="starting")
        tally = Tally()

        def show(progress: "SessionProgress") -> None:
            tally.add(progress)
            total = progress.done + progress.left
            bar.update(task, completed=progress.done, total=total, words=tally.words())

        yield show


def _lines(output: TextIO) -> Show:
    tally, began, shown = Tally(), time.monotonic(), float("-inf")

    def show(progress: "SessionProgress") -> None:
        nonlocal shown
        tally.add(progress)
        now = time.monotonic()
        if now - shown < LINE_PERIOD and progress.left:
            return
        shown = now
        text = f"{progress.done} of {progress.done + progress.left} episodes, {now - began:.0f} s"
        if progress.known:
            text += f", {progress.known} known before"
        output.write(f"{text}  {tally.words()}\n")
        output.flush()

    return show
