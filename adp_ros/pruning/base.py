"""What every pruner is given, gives back and has in common.

A pruner chooses which vision patches go on. Most choose before the language model; one whose
``cut_layer`` is above 0 chooses inside it, in front of that layer.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

from torch import Tensor

from ..settings import setting
from .budget import Budget

Positions = Literal["reindexed", "kept"]
Attending = Literal["last", "text", "actions"]


class ScoringModel(Protocol):
    """What scoring needs of the policy's language model."""

    def hidden_at(self, layer: int, patches: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        """Return the input of a layer at the text (T, D) and at the patches (V, D).

        The model runs up to that layer on all patches, without proprioception.
        """

    def fold_text(self, layer: int, text: Tensor) -> Tensor:
        """Fold text states (T, D) and the layer's projections into one vector (D,)."""

    def score_patches(self, layer: int, patches: Tensor, folded: Tensor) -> Tensor:
        """Score patch states (V, D) with a folded text, giving (V,) float32."""


@dataclass(frozen=True, slots=True)
class PruneContext:
    """One frame, as a pruner sees it. Everything lies on the policy's device.

    Attributes:
        views: Number of views.
        pixels: Normalised pixel values, shape (6 * views, H, W), three channels per tower.
        patches: Projected patches of all views, shape (V, D).
        text: Embeddings of BOS, prompt and stop token, shape (T, D).
        folded: The text folded through layer 0, shape (D,); computed once per instruction.
        model: The language model.
        attention: Gives the attention that each patch received in the layer before
            ``cut_layer``, shape (V,) float32, from the last token, from the prompt or from the
            rows that the head reads. None for pruners that choose before the model.
    """

    views: int
    pixels: Tensor
    patches: Tensor
    text: Tensor
    folded: Tensor
    model: ScoringModel
    attention: Callable[[Attending], Tensor] | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """What a pruner chose.

    Attributes:
        kept: Indices into the views' concatenated patches, in the order they enter the model,
            shape (k,), int64.
        scores: Score of every patch, shape (V,) float32, or None where nothing is scored.
    """

    kept: Tensor
    scores: Tensor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruner(Budget, ABC):
    """Chooses the patches that go on.

    Attributes:
        positions: ``reindexed`` numbers the remaining tokens anew, ``kept`` leaves each at the
            position it has in the full sequence.
        name: Name for messages, tables and logs.
        graph_safe: True when the choice runs on the device alone, with fixed shapes and without
            memory of earlier frames, so that it can be captured in a CUDA graph.
    """

    positions: Positions = setting(
        "reindexed", "position numbers of the remaining tokens", choices=("reindexed", "kept")
    )

    name: ClassVar[str]
    graph_safe: ClassVar[bool] = True

    @property
    def cut_layer(self) -> int:
        """0 to choose before the language model, K to choose in front of its layer K."""
        return 0

    def counts_of(self, context: PruneContext) -> tuple[int, ...]:
        """Return how many patches of each view of a frame are kept."""
        return self.kept_per_view(context.views, len(context.patches) // context.views)

    @abstractmethod
    def select(self, context: PruneContext) -> Selection:
        """Choose the patches of one frame, as many as the budget says."""

    def reset(self) -> None:  # noqa: B027 - most have nothing to forget
        """Forget the episode."""
