"""What of an evaluation has ended, in words."""

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...evaluation.session import Progress
    from ..episode_progress import Show


class Tally:
    """Shows successes so far, per condition."""

    def __init__(self, show: "Show") -> None:
        """Start at nothing."""
        self._show = show
        self._done: Counter[str] = Counter()
        self._successes: Counter[str] = Counter()

    def __call__(self, progress: "Progress") -> None:
        """Count the episode that ended last."""
        if progress.episode is not None and progress.result is not None:
            name = progress.episode.condition.name
            self._done[name] += 1
            self._successes[name] += progress.result.success
        words = [f"{n} {self._successes[n]}/{count}" for n, count in self._done.items()]
        if progress.known:
            words.insert(0, f"{progress.known} known before")
        self._show(progress.done, progress.done + progress.left, ", ".join(words))
