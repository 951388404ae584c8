"""Progress of long work: a bar on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

EPISODE_LINE_PERIOD: Final = 20.0  # [s] between plain lines
LINE_PERIOD: Final = 5.0  # [s] between plain lines of one run
Show = Callable[[int, int, str], None]
"""(episodes done, episodes to do, how they ended)."""
ShowProgress = Callable[[float, float, str], None]
"""(time in [s], share done, words) -> shown."""


@contextmanager
def progress_shown(output: TextIO) -> Iterator[Show]:
    """Show the progress of many episodes while the context lasts."""
    if not output.isatty():
        began, write = time.monotonic(), _now_and_then(output, EPISODE_LINE_PERIOD)

        def show(done: int, total: int, words: str) -> None:
            since = time.monotonic() - began
            write(since, f"{done} of {total} episodes, {since:.0f} s  {words}", done == total)

        yield show
        return
    columns = (MofNCompleteColumn(), BarColumn(bar_width=30), TimeRemainingColumn())
    with _bar(output, "episodes", None, *columns, TextColumn("{task.fields[words]}")) as update:
        yield lambda done, total, words: update(completed=done, total=total, words=words)


@contextmanager
def progress_display(title: str, output: TextIO) -> Iterator[ShowProgress]:
    """Show the progress of one run while the context lasts, behind a title."""
    if not output.isatty():
        write = _now_and_then(output, LINE_PERIOD)
        yield lambda time, share, words: write(time, f"{title}  {share:4.0%}  {words}", False)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TextColumn("{task.percentage:>3.0f} %  {task.fields[words]}"),
    )
    with _bar(output, title, 1.0, *columns) as update:
        yield lambda _time, share, words: update(completed=share, words=words)


@contextmanager
def _bar(
    output: TextIO, title: str, total: float | None, *columns: ProgressColumn
) -> Iterator[Callable[..., Any]]:
    with Progress(*columns, console=Console(file=output), refresh_per_second=4) as bar:
        yield partial(bar.update, bar.add_task(title, total=total, words="starting"))


def _now_and_then(output: TextIO, period: float) -> Callable[[float, str, bool], None]:
    """Return what writes (time in [s], line, always), no more often than once in a period."""
    shown = float("-inf")

    def write(time: float, line: str, always: bool) -> None:
        nonlocal shown
        if always or time - shown >= period or time < shown:  # a run's time begins after the wait
            shown = time
            output.write(line + "\n")
            output.flush()

    return write
