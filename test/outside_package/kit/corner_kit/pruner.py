"""A pruner that keeps the patches nearest to the corners of each picture."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from adp_ros import Pruner
from adp_ros.adp.pruner import PruneContext, Selection, highest


@dataclass(frozen=True, slots=True, kw_only=True)
class CornersPruner(Pruner):
    """Keeps what is far from the middle."""

    name: ClassVar[str] = "corners"

    def select(self, context: PruneContext) -> Selection:
        """Choose the patches of one frame."""
        side = math.isqrt(len(context.patches) // context.views)
        place = torch.arange(side, device=context.patches.device) - (side - 1) / 2
        distance = place[:, None] ** 2 + place[None, :] ** 2  # (side, side)
        scores = distance.flatten().repeat(context.views)  # (V,)
        return Selection(highest(scores, self.counts_of(context)), scores)
