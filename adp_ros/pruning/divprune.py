"""Baseline: keep patches that are unlike one another (DivPrune)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import normalize

from .base import PruneContext, Pruner, Selection


@dataclass(frozen=True, slots=True, kw_only=True)
class DivPrunePruner(Pruner):
    """Keeps a set of patches whose smallest cosine distance is large.

    Greedy solution of the max-min diversity problem (Alvar et al., CVPR 2025), over the patches
    of all views together: the budget's total counts, not its split.
    """

    name: ClassVar[str] = "divprune"

    def select(self, context: PruneContext) -> Selection:
        """Choose the patches one by one, each the farthest from those chosen."""
        kept = diverse(context.patches, sum(self.counts_of(context)))
        return Selection(kept.sort().values)


def diverse(features: Tensor, count: int) -> Tensor:
    """Choose features greedily by the largest distance to those already chosen.

    Args:
        features: Shape (V, D).
        count: How many to choose, up to V.

    Returns:
        Indices in the order chosen, shape (count,), int64. The first is the one whose nearest
        neighbour is farthest.
    """
    unit = normalize(features.float(), dim=1)  # (V, D)
    distance = 1 - unit @ unit.T  # (V, V)
    nearest = (distance + torch.diag(torch.full_like(distance[0], torch.inf))).amin(1)  # (V,)
    taken = torch.zeros_like(nearest)  # (V,), -inf where chosen
    chosen: list[Tensor] = []
    for _ in range(count):
        pick = (nearest + taken).argmax(keepdim=True)  # (1,)
        row = distance.index_select(0, pick)[0]  # (V,)
        nearest = torch.minimum(nearest, row) if chosen else row
        taken = taken.scatter(0, pick, -torch.inf)
        chosen.append(pick)
    return torch.cat(chosen)
