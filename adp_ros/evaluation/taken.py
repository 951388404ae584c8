"""Which item the arm took first: does it take the one that the instruction names?"""

from collections.abc import Mapping
from typing import Final

import numpy as np

from ..types import FloatArray
from .episode import NAMED, NOTHING, OTHER

LIFTED: Final = 0.02  # [m] above its start
PUSHED: Final = 0.015  # [m] from its start


class TakenWatch:
    """Sees where the items are, again and again, and remembers what happened first."""

    def __init__(self, named: str, starts: Mapping[str, FloatArray]) -> None:
        """Begin an episode.

        Args:
            named: Item that the instruction names; empty when it names none.
            starts: Where the items lie that could be taken, shape (3,) each, in [m].
        """
        self._named = named
        self._starts = {name: np.array(place) for name, place in starts.items()}
        self._lifted = ""
        self._pushed = ""

    @property
    def candidates(self) -> int:
        """Items that could be taken."""
        return len(self._starts)

    @property
    def first(self) -> str:
        """Item that was lifted first, else the one pushed away first; empty for none."""
        return self._lifted or self._pushed

    @property
    def taken(self) -> str:
        """``named``, ``other`` or ``nothing``; empty when no item is named."""
        if not self._named:
            return ""
        if not self.first:
            return NOTHING
        return NAMED if self.first == self._named else OTHER

    def see(self, places: Mapping[str, FloatArray]) -> None:
        """Take the items' present places, shape (3,) each, in [m]."""
        if self._lifted:
            return
        for name, start in self._starts.items():
            moved = np.asarray(places[name]) - start
            if not self._lifted and moved[2] > LIFTED:
                self._lifted = name
            if not self._pushed and float(np.linalg.norm(moved)) > PUSHED:
                self._pushed = name
