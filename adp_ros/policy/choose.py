"""The stage that lets a pruner choose, before the language model or inside it."""

from dataclasses import dataclass
from functools import partial

from torch import Tensor

from ..pruning.base import Attending, PruneContext, Pruner, Selection
from .model import OpenVla


@dataclass(frozen=True, slots=True)
class Choose:
    """Shows one frame to a pruner.

    Attributes:
        model: The network.
        pruner: Who chooses.
        views: Number of views.
        offset: Where the head's rows begin, see :meth:`OpenVla.action_rows`.
    """

    model: OpenVla
    pruner: Pruner
    views: int
    offset: int

    def __call__(
        self,
        pixels: Tensor,
        patches: Tensor,
        text: Tensor,
        folded: Tensor,
        hidden: Tensor | None = None,
    ) -> Selection:
        """Choose the patches of one frame.

        Args:
            pixels: Shape (6 * views, H, W).
            patches: Shape (1, V, D).
            text: Shape (1, T, D).
            folded: Shape (D,).
            hidden: Input of the layer before the cut, shape (1, S, D); None when the pruner
                chooses before the language model.
        """
        attention = None
        if hidden is not None:
            attention = partial(self._attention, hidden, patches.shape[1], text.shape[1])
        return self.pruner.select(
            PruneContext(self.views, pixels, patches[0], text[0], folded, self.model, attention)
        )

    def _attention(self, hidden: Tensor, patches: int, text: int, attending: Attending) -> Tensor:
        length = hidden.shape[1]
        slots = length - 1 - self.model.slots  # where the empty slots begin
        rows = {
            "last": slice(length - 1, length),
            "text": slice(slots - (text - 2), slots),  # without BOS and stop
            "actions": self.model.action_rows(length, self.offset),
        }[attending]
        rotary = self.model.rotary(hidden)
        layer = self.model.layer(self.pruner.cut_layer - 1)
        return layer.attention_received(hidden, rotary, rows)[0, 1 : 1 + patches]  # (V,)
