"""Baselines that look at nothing: a random choice and a regular grid."""

from dataclasses import dataclass, field
from typing import ClassVar

import torch

from ..settings import setting
from .base import PruneContext, Pruner, Selection
from .ranking import highest, spread


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomPruner(Pruner):
    """Keeps patches drawn anew for each frame.

    Attributes:
        seed: Seed of the draws; :meth:`reset` begins them again.
    """

    seed: int = setting(0, "seed of the random choice", low=0)
    _draws: torch.Generator = field(
        default_factory=torch.Generator, init=False, repr=False, compare=False
    )

    name: ClassVar[str] = "random"
    graph_safe: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super(RandomPruner, self).__post_init__()
        self.reset()

    def select(self, context: PruneContext) -> Selection:
        """Draw the patches of one frame."""
        draws = torch.rand(len(context.patches), generator=self._draws)  # (V,)
        kept = highest(draws, self.counts_of(context))
        return Selection(kept.to(context.patches.device))

    def reset(self) -> None:
        """Begin the sequence of draws again."""
        self._draws.manual_seed(self.seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class UniformGridPruner(Pruner):
    """Keeps patches spread evenly over each view."""

    name: ClassVar[str] = "uniform"

    def select(self, context: PruneContext) -> Selection:
        """Return the same patches for every frame."""
        grid = spread(len(context.patches) // context.views, context.patches)  # (P,)
        return Selection(highest(grid.repeat(context.views), self.counts_of(context)))
