"""Baselines that ADP is compared with, each behind the interface of a pruner."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ..settings import setting
from .pruner import Attending, Positions, PruneContext, Pruner, Selection, highest, spread


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomPruner(Pruner):
    """Keeps patches drawn at random for each frame; :meth:`reset` begins the draws again."""

    seed: int = setting(0, "seed of the random choice", low=0)
    _draws: torch.Generator = field(
        default_factory=torch.Generator, init=False, repr=False, compare=False
    )

    name: ClassVar[str] = "random"
    file_names: ClassVar[Mapping[str, str]] = {**Pruner.file_names, "seed": "pruner_seed"}
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


@dataclass(frozen=True, slots=True, kw_only=True)
class FastVPruner(Pruner):
    """Keeps the patches that received most attention in the layer before the cut.

    Chen et al., ECCV 2024. Only that layer's attention is computed as a map, and only for the
    attending rows. The patches of all views compete: the budget's total counts, not its split.

    Attributes:
        layer: Layer K in front of which patches are dropped; the attention is layer K - 1's.
        attending: Whose attention counts: the last token's (as FastV has it), the prompt's, or
            that of the rows the action head reads.
        positions: As everywhere; layers before the cut have seen the full sequence, so the
            remaining tokens stay where they are.
    """

    layer: int = setting(2, "layer in front of which patches are dropped", low=1)
    attending: Attending = setting(
        "last", "tokens whose attention counts", choices=("last", "text", "actions")
    )
    positions: Positions = setting(
        "kept", "position numbers of the remaining tokens", choices=("reindexed", "kept")
    )

    name: ClassVar[str] = "fastv"

    @property
    def cut_layer(self) -> int:
        """The layer in front of which patches are dropped."""
        return self.layer

    def select(self, context: PruneContext) -> Selection:
        """Keep the patches with the most attention."""
        if context.attention is None:
            raise ValueError("FastV chooses inside the model, it needs the attention")
        scores = context.attention(self.attending)  # (V,)
        return Selection(highest(scores, (sum(self.counts_of(context)),)), scores)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameDifferencePruner(Pruner):
    """Keeps the patches whose pixels changed most since the frame before.

    It is the static-patch signal of VLA-Cache turned into a choice: VLA-Cache reuses patches
    whose pixels stayed alike, this drops them. The score is the mean absolute change of a
    patch's pixels. The first frame of an episode has no predecessor: it keeps an even grid.
    """

    _before: list[Tensor] = field(default_factory=list, init=False, repr=False, compare=False)

    name: ClassVar[str] = "frame_difference"
    graph_safe: ClassVar[bool] = False

    def select(self, context: PruneContext) -> Selection:
        """Compare a frame with the one before and remember it."""
        before, self._before[:] = tuple(self._before), (context.pixels.clone(),)
        patches = len(context.patches) // context.views
        if not before or before[0].shape != context.pixels.shape:
            grid = spread(patches, context.patches).repeat(context.views)  # (V,)
            return Selection(highest(grid, self.counts_of(context)))
        scores = change(before[0], context.pixels, patches)  # (V,)
        return Selection(highest(scores, self.counts_of(context)), scores)

    def reset(self) -> None:
        """Forget the frame before."""
        self._before.clear()


def change(before: Tensor, after: Tensor, patches: int) -> Tensor:
    """Return the mean absolute change of each patch.

    Args:
        before: Pixel values, shape (6 * views, H, W).
        after: The same of the next frame.
        patches: Patches of one view, a square number that divides its pixels evenly.

    Returns:
        Shape (views * patches,), float32.
    """
    side = round(patches**0.5)
    difference = (after.float() - before.float()).abs()  # (6 * views, H, W)
    cells = difference.unflatten(2, (side, -1)).unflatten(1, (side, -1))  # (6 v, n, h, n, w)
    mean: Tensor = cells.unflatten(0, (-1, 6)).mean((1, 3, 5))  # (views, n, n)
    return mean.flatten()  # (views * P,)
