"""Progress of long work: a bar on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

EPISODE_LINE_PERIOD: Final = 20.0  # [s] between plain lines
Show = Callable[[int, int, str], None]
"""(episodes done, episodes to do, how they ended)."""


@contextmanager
def progress_shown(output: TextIO) -> Iterator[Show]:
    """Show progress while the context lasts.

    Args:
        output: Where to; a terminal gets a bar that moves.
    """
    if output.isatty():
        with _episode_bar(output) as show:
            yield show
    else:
        yield _episode_lines(output)


@contextmanager
def _episode_bar(output: TextIO) -> Iterator[Show]:
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


def _episode_lines(output: TextIO) -> Show:
    began, shown = time.monotonic(), float("-inf")

    def show(done: int, total: int, words: str) -> None:
        nonlocal shown
        now = time.monotonic()
        if now - shown >= EPISODE_LINE_PERIOD or done == total:
            shown = now
            output.write(f"{done} of {total} episodes, {now - began:.0f} s  {words}\n")
            output.flush()

    return show


LINE_PERIOD = 5.0  # [s] between plain lines

ShowProgress = Callable[[float, float, str], None]
"""(time in [s], share done, words) -> shown."""


@contextmanager
def progress_display(title: str, output: TextIO) -> Iterator[ShowProgress]:
    """Show the progress of one run while the context lasts.

    Args:
        title: Put before the bar.
        output: Where to; a terminal gets a bar that moves.
    """
    if output.isatty():
        with _bar(title, output) as show:
            yield show
    else:
        yield _lines(title, output)


@contextmanager
def _bar(title: str, output: TextIO) -> Iterator[ShowProgress]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TextColumn("{task.percentage:>3.0f} %  {task.fields[words]}"),
    )
    with Progress(*columns, console=Console(file=output), refresh_per_second=4) as bar:
        task = bar.add_task(title, total=1.0, words="")

        def show(_time: float, share: float, words: str) -> None:
            bar.update(task, completed=share, words=words)

        yield show


def _lines(title: str, output: TextIO) -> ShowProgress:
    shown = float("-inf")

    def show(time: float, share: float, words: str) -> None:
        nonlocal shown
        if time - shown >= LINE_PERIOD:
            shown = time
            output.write(f"{title}  {share:4.0%}  {words}\n")
            output.flush()

    return show
