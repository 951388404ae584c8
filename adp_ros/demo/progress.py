"""Progress of a run on the console: a live line on a terminal, plain lines elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

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
