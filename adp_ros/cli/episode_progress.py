"""How far a run over many episodes is: a bar on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

LINE_PERIOD: Final = 20.0  # [s] between plain lines
Show = Callable[[int, int, str], None]
"""(episodes done, episodes to do, how they ended)."""


@contextmanager
def progress_shown(output: TextIO) -> Iterator[Show]:
    """Show progress while the context lasts.

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

        def show(done: int, total: int, words: str) -> None:
            bar.update(task, completed=done, total=total, words=words)

        yield show


def _lines(output: TextIO) -> Show:
    began, shown = time.monotonic(), float("-inf")

    def show(done: int, total: int, words: str) -> None:
        nonlocal shown
        now = time.monotonic()
        if now - shown >= LINE_PERIOD or done == total:
            shown = now
            output.write(f"{done} of {total} episodes, {now - began:.0f} s  {words}\n")
            output.flush()

    return show
