"""What of a collection has ended, in words."""

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...collection.worker import Collected
    from ..episode_progress import Show


class Tally:
    """Shows episodes as they end."""

    def __init__(self, show: "Show") -> None:
        """Start at nothing."""
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
