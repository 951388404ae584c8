"""How far ``adp-ros collect`` is: a bar on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from ..collection.session import Show
    from ..collection.worker import Collected

LINE_PERIOD = 20.0  # [s] between plain lines


class Tally:
    """What has ended so far, in words."""

    def __init__(self) -> None:
        """Start at nothing."""
        self._began = time.monotonic()
        self._episodes = self._successes = 0
        self._seconds = 0.0

    def add(self, collected: "Collected | None") -> None:
        """Count an episode."""
        if collected is not None:
            self._episodes += 1
            self._successes += collected.success
            self._seconds += collected.time

    def words(self) -> str:
        """Return ``9/10 done, 6.1 x real time``."""
        wall = max(time.monotonic() - self._began, 1e-3)
        speed = self._seconds / wall
        return f"{self._successes}/{self._episodes} successful, {speed:.1f} x real time"


@contextmanager
def progress_shown(output: TextIO) -> "Iterator[Show]":
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
def _bar(output: TextIO) -> "Iterator[Show]":
    columns = (
        MofNCompleteColumn(),
        BarColumn(bar_width=30),
        TimeRemainingColumn(),
        TextColumn("{task.fields[words]}"),
    )
    with Progress(*columns, console=Console(file=output), refresh_per_second=4) as bar:
        task = bar.add_task("episodes", total=None, words="starting")
        tally = Tally()

        def show(collected: "Collected | None", done: int, total: int) -> None:
            tally.add(collected)
            bar.update(task, completed=done, total=total, words=tally.words())

        yield show


def _lines(output: TextIO) -> "Show":
    tally, shown = Tally(), float("-inf")

    def show(collected: "Collected | None", done: int, total: int) -> None:
        nonlocal shown
        tally.add(collected)
        now = time.monotonic()
        if now - shown >= LINE_PERIOD or done == total:
            shown = now
            output.write(f"{done} of {total} episodes, {tally.words()}\n")
            output.flush()

    return show
