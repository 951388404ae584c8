"""Text-driven pruning: keep the patches the instruction asks for (ADP), or the opposite."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ..errors import ConfigError
from ..settings import setting
from .cost import DecoderSizes, collapsed_scoring_flops, scoring_flops
from .pruner import Order, PruneContext, Pruner, Selection, highest


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDrivenPruner(Pruner):
    """Keeps the patches whose keys answer the text's queries best (ADP paper, Eqs. 7-13).

    With ``order="score"`` it does exactly what the released code does; ``"index"`` differs for a
    single view only.

    Attributes:
        layer: Decoder layer whose queries and keys score. 0 reads the embeddings; above 0 the
            model first runs up to that layer on all patches (the released code runs all layers,
            to the same effect).
        cut: Layer in front of which patches are dropped; 0 is before the language model. The
            layers before it see every patch, whatever ``layer`` scores.
        order: Order of the kept patches in the sequence. ``index``: as in the pictures.
            ``score``: with one view the best first, with several views as ``index``.
    """

    cut: int = setting(0, "layer in front of which patches are dropped", low=0)
    layer: int = setting(0, "decoder layer that scores", low=0)
    order: Order = setting("index", "order of the kept patches", choices=("index", "score"))

    name: ClassVar[str] = "adp"
    file_names: ClassVar[Mapping[str, str]] = {
        **Pruner.file_names,
        "layer": "qk_layer",
        "cut": "qk_cut_layer",
        "order": "keep_order",
    }

    def __post_init__(self) -> None:
        super(TextDrivenPruner, self).__post_init__()
        if self.merge != "none" and self.order == "score":
            raise ConfigError("order is 'score', allowed with merge: 'index'")

    @property
    def cut_layer(self) -> int:
        """The layer in front of which patches are dropped."""
        return self.cut

    @property
    def deepest_layer(self) -> int:
        """The layer that scores, or the one in front of which patches are dropped."""
        return max(self.layer, self.cut_layer)

    def scoring_flops(self, sizes: DecoderSizes, vision: int, sequence: int) -> float:
        """One product per patch at layer 0; above it Eq. 22 and the layers before."""
        if self.layer == 0:
            return collapsed_scoring_flops(vision, sizes.hidden)
        text = sequence - vision
        before = sizes.flops(sequence, 1)
        return scoring_flops(vision, text, sizes.hidden, layer=self.layer, layer_flops=before)

    def select(self, context: PruneContext) -> Selection:
        """Score every patch and keep the best of each view."""
        scores = self.score(context)  # (V,)
        return Selection(highest(scores, self.counts_of(context), self.order), scores)

    def score(self, context: PruneContext) -> Tensor:
        """Return the score of every patch, shape (V,), float32."""
        model = context.model
        if self.layer == 0:
            return model.score_patches(0, context.patches, context.folded)  # (V,)
        text, patches = model.hidden_at(self.layer, context.patches, context.text)
        return model.score_patches(self.layer, patches, model.fold_text(self.layer, text))  # (V,)


@dataclass(frozen=True, slots=True, kw_only=True)
class InversePruner(TextDrivenPruner):
    """Keeps what the text asks for least: the paper's inversion experiment."""

    name: ClassVar[str] = "inverse"

    def select(self, context: PruneContext) -> Selection:
        """Score every patch and keep the worst of each view."""
        scores = self.score(context)  # (V,)
        return Selection(highest(-scores, self.counts_of(context), self.order), scores)
