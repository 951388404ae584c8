"""From scores to indices."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

Order = Literal["index", "score"]


def highest(scores: Tensor, counts: Sequence[int], order: Order = "index") -> Tensor:
    """Return the highest-scored patches of each view.

    Args:
        scores: Shape (V,), one view after the other.
        counts: How many to take from each view.
        order: ``index`` returns ascending indices; ``score`` with one view the best first.

    Returns:
        Indices into ``scores``, shape (sum of counts,), int64. Of equal scores the lower index
        wins.
    """
    patches = len(scores) // len(counts)
    ranked = scores.view(len(counts), patches).argsort(dim=1, descending=True, stable=True)
    best = [ranked[i, :count] + i * patches for i, count in enumerate(counts)]
    kept = torch.cat(best)  # (k,)
    return kept if order == "score" and len(counts) == 1 else kept.sort().values


def spread(patches: int, like: Tensor) -> Tensor:
    """Rank the cells of a square grid so that any number of top cells is spread evenly.

    The ranks are those of an ordered-dither (Bayer) matrix.

    Args:
        patches: Number of cells, a square.
        like: Tensor whose device is used.

    Returns:
        Higher for cells to take earlier, shape (patches,), int64.
    """
    side = math.isqrt(patches)
    bits = max(1, (side - 1).bit_length())
    cell = torch.arange(patches, device=like.device)  # (P,)
    row, column = cell // side, cell % side
    rank = torch.zeros_like(cell)
    for bit in range(bits):
        quadrant = ((row ^ column) >> bit & 1) * 2 + (row >> bit & 1)  # (P,)
        rank = rank + quadrant * 4 ** (bits - 1 - bit)
    return -rank
