"""Dropped patches become a few mean tokens that count for as many as they stand for.

Attention's softmax weighs a token by exp(q . k / sqrt(d)). The mean token of n dropped patches,
with log(n) added to its logits, has the weight of n copies of it: the rows that attend see nearly
the mass that they saw before anything was dropped (proportional attention, Bolya et al., ICLR
2023). A group that lost no patch has the bias -inf: its token is there, so that shapes stay, and
nothing attends to it.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Groups:
    """How the patches of a frame are grouped; groups are squares of a grid, per view.

    Attributes:
        views: Number of views.
        patches: Patches of one view, a square number.
        side: Groups along one side of a view; 1 is one group per view, 0 merges nothing.
        weighted: A mean token counts for as many patches as it stands for; False: for one.
    """

    views: int
    patches: int
    side: int
    weighted: bool = True

    def pattern(self, device: torch.device) -> Tensor:
        """Return which patches of a view belong to each group, row by row, shape (g, P), bool."""
        grid = round(self.patches**0.5)
        cell = torch.arange(self.patches, device=device)  # (P,)
        row, column = cell // grid * self.side // grid, cell % grid * self.side // grid  # (P,)
        group = torch.arange(self.side**2, device=device)  # (g,)
        belongs: Tensor = (row * self.side + column) == group[:, None]  # (g, P)
        return belongs


@dataclass(frozen=True, slots=True)
class Merged:
    """Vision tokens after merging, in the order of their places in the pictures.

    Attributes:
        tokens: Kept patches and mean tokens, shape (k + m, D).
        places: Place of each among the V patches; of a mean token the mean of its members', shape
            (k + m,).
        bias: What is added to the logits of each as a key: 0 for a patch, log n for a mean of n,
            -inf for a mean of none, shape (k + m,).
    """

    tokens: Tensor
    places: Tensor
    bias: Tensor


def merge_dropped(states: Tensor, kept: Tensor, groups: Groups) -> Merged:
    """Replace what was dropped by the mean token of each group.

    Shapes depend on the number of kept patches alone, so that the step can be captured in a CUDA
    graph.

    Args:
        states: All patches, shape (V, D).
        kept: Indices of those that stay, shape (k,), int64.
        groups: How the dropped ones are grouped.
    """
    wide = torch.promote_types(states.dtype, torch.float32)
    shape = (groups.views, groups.patches)
    member = groups.pattern(states.device).to(wide)  # (g, P)
    dropped = torch.ones_like(states[:, 0], dtype=wide).index_fill(0, kept, 0.0)  # (V,)
    lost = member * dropped.view(shape)[:, None]  # (views, g, P)
    sizes = lost.sum(2, keepdim=True)  # (views, g, 1)
    means = lost @ states.to(wide).unflatten(0, shape) / sizes.clamp(min=1.0)  # (views, g, D)
    index = torch.arange(len(states), device=states.device, dtype=wide).view(shape)
    shares = torch.where(sizes > 0, lost, member)  # (views, g, P)
    centres = (shares @ index[:, :, None] / shares.sum(2, keepdim=True)).flatten()  # (m,)
    places = torch.cat([kept.to(wide), centres])  # (k + m,)
    counted = sizes if groups.weighted else sizes.clamp(max=1.0)
    bias = torch.cat([torch.zeros_like(places[: len(kept)]), counted.log().flatten()])  # (k + m,)
    order = places.argsort(stable=True)  # (k + m,)
    merged = means.flatten(0, 1).to(states.dtype)  # (m, D)
    tokens = torch.cat([states.index_select(0, kept), merged])  # (k + m, D)
    return Merged(tokens[order], places[order], bias[order])
