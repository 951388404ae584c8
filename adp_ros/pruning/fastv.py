"""Baseline: drop patches inside the language model by the attention they receive (FastV)."""

from dataclasses import dataclass
from typing import ClassVar

from ..settings import setting
from .base import Attending, Positions, PruneContext, Pruner, Selection
from .ranking import highest


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
