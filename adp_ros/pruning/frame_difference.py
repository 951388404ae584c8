"""Baseline: keep what moved in the picture since the frame before."""

from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from .base import PruneContext, Pruner, Selection
from .ranking import highest, spread


class _Memory:
    """The last frame of an episode."""

    def __init__(self) -> None:
        self.pixels: Tensor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameDifferencePruner(Pruner):
    """Keeps the patches whose pixels changed most since the frame before.

    It is the static-patch signal of VLA-Cache turned into a choice: VLA-Cache reuses patches
    whose pixels stayed alike, this drops them. The score is the mean absolute change of a
    patch's pixels. The first frame of an episode has no predecessor: it keeps an even grid.
    """

    _memory: _Memory = field(default_factory=_Memory, init=False, repr=False, compare=False)

    name: ClassVar[str] = "frame_difference"
    graph_safe: ClassVar[bool] = False

    def select(self, context: PruneContext) -> Selection:
        """Compare a frame with the one before and remember it."""
        before, self._memory.pixels = self._memory.pixels, context.pixels.clone()
        patches = len(context.patches) // context.views
        if before is None or before.shape != context.pixels.shape:
            grid = spread(patches, context.patches).repeat(context.views)  # (V,)
            return Selection(highest(grid, self.counts_of(context)))
        scores = change(before, context.pixels, patches)  # (V,)
        return Selection(highest(scores, self.counts_of(context)), scores)

    def reset(self) -> None:
        """Forget the frame before."""
        self._memory.pixels = None


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
