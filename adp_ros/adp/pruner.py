"""What a pruner is: the budget it keeps to, what it is given, what it gives back.

A pruner chooses which vision patches go on. Most choose before the language model; one whose
``cut_layer`` is above 0 chooses inside it, in front of that layer.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Literal, Protocol

import torch
from torch import Tensor

from ..errors import ConfigError
from ..settings import check_settings, setting
from .cost import DecoderSizes

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


Counts = Literal["code", "paper", "tables"]
Merge = Literal["none", "mean", "grid"]

_SLACK: Final = 1e-9  # 0.7 * 10 is 7 patches, whatever its last binary digit
_TOTAL: Final[Mapping[str, Callable[[float], int]]] = {
    "code": round,
    "paper": lambda share: math.floor(share + _SLACK),
    "tables": lambda share: math.ceil(share - _SLACK),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Share of the patches that is kept.

    Attributes:
        keep: Share of all patches, above 0 up to 1 (rho). At 1 nothing is pruned.
        split: Weight of each view with two views or more, the main camera first; two weights
            for more than two views are the main camera's and that of all others together. None:
            equal weights. With one view it is ignored, as in the released code.
        counts: Rounding. ``code``: the released code's (half to even; the remainder goes to the
            views one by one, heaviest first; what exceeds a view is lost). ``paper``: floor of
            rho V, then floor of each view's share, as the paper's text says. ``tables``: ceil of
            rho V, which its tables 5 to 9 imply. In the last two the remainder goes to the last
            view, and what exceeds a view to the others.
        merge: What becomes of the dropped patches. ``none``: nothing. ``mean``: one token per
            view, their mean, which counts for as many as they are. ``grid``: one such token for
            each square of a grid. These tokens are part of the budget.
        merge_grid: Squares along one side of a view, for ``grid``.
        merge_weighted: False lets a mean token count for one patch, to show what the weight does.
    """

    keep: float = setting(0.5, "share of the vision patches that is kept", low=0, high=1)
    split: tuple[float, ...] | None = setting(
        (0.4, 0.6), "weights of the views, none for equal ones", low=0
    )
    counts: Counts = setting("code", "rounding rule", choices=("code", "paper", "tables"))
    merge: Merge = setting(
        "none",
        "what becomes of the dropped patches: nothing, one mean token per view, or one per square",
        choices=("none", "mean", "grid"),
    )
    merge_grid: int = setting(2, "squares along one side of a view, for grid", low=1, high=16)
    merge_weighted: bool = setting(True, "a mean token counts for as many as it stands for")

    def __post_init__(self) -> None:
        check_settings(self)
        if self.keep <= 0:
            raise ConfigError(f"keep is {self.keep}, allowed: above 0 up to 1")
        if self.split is not None and not sum(self.split) > 0:
            raise ConfigError(
                f"split is {self.split!r}, weights from 0 with a positive sum or None are needed"
            )

    @property
    def merge_side(self) -> int:
        """Groups of dropped patches along one side of a view; 0 where nothing is merged."""
        return {"none": 0, "mean": 1, "grid": self.merge_grid}[self.merge]

    def kept_per_view(self, views: int, patches: int) -> tuple[int, ...]:
        """Return how many patches of each view are kept as they are.

        Args:
            views: Number of views.
            patches: Patches of one view.

        Raises:
            ConfigError: The split has weights for another number of views, or the budget has no
                room for the tokens that dropped patches merge to.
        """
        tokens = self.tokens_per_view(views, patches)
        if self.keep >= 1 or not self.merge_side:
            return tokens
        if min(tokens) <= self.merge_side**2:
            raise ConfigError(
                f"keep is {self.keep}: {min(tokens)} tokens of a view, but merge "
                f"{self.merge!r} needs {self.merge_side**2} and one for a patch"
            )
        return tuple(count - self.merge_side**2 for count in tokens)

    def tokens_per_view(self, views: int, patches: int) -> tuple[int, ...]:
        """Return how many vision tokens of each view enter, merged ones included.

        Raises:
            ConfigError: The split has weights for another number of views.
        """
        if self.keep >= 1:
            return (patches,) * views
        total = max(1, _TOTAL[self.counts](views * patches * self.keep))
        if views == 1:
            return (min(total, patches),)
        weights = self._weights(views)
        if self.counts == "code":
            return _rounded(total, weights, patches)
        return _floored(total, weights, patches)

    def _weights(self, views: int) -> list[float]:
        split = (1.0,) * views if self.split is None else self.split
        if len(split) == 2 and views > 2:
            split = (split[0], *(split[1] / (views - 1),) * (views - 1))
        if len(split) != views:
            raise ConfigError(f"split has {len(split)} weights, {views} views need {views} or 2")
        return [weight / sum(split) for weight in split]


def _rounded(total: int, weights: list[float], patches: int) -> tuple[int, ...]:
    counts = [max(1, round(total * weight)) for weight in weights]
    heaviest_first = sorted(range(len(weights)), key=lambda i: -weights[i])
    while sum(counts) < total:
        for i in heaviest_first[: total - sum(counts)]:
            counts[i] += 1
    while sum(counts) > max(total, len(counts)):
        for i in [i for i in heaviest_first if counts[i] > 1][: sum(counts) - total]:
            counts[i] -= 1
    return tuple(min(count, patches) for count in counts)


def _floored(total: int, weights: list[float], patches: int) -> tuple[int, ...]:
    counts = [math.floor(total * weight + _SLACK) for weight in weights[:-1]]
    counts.append(total - sum(counts))
    surplus = sum(max(0, count - patches) for count in counts)
    counts = [min(count, patches) for count in counts]
    for i, count in enumerate(counts):
        moved = min(surplus, patches - count)
        counts[i] += moved
        surplus -= moved
    return tuple(counts)


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
        positions: ``reindexed`` numbers the remaining tokens from the start, ``kept`` leaves each
            at the position it has in the full sequence.
        name: Name for messages, tables and logs.
        file_names: Setting -> its name in ``config/adp.yaml``, for those that pruners share; any
            other has the name ``<pruner>_<setting>`` there.
        graph_safe: True when the choice runs on the device alone, with fixed shapes and without
            memory of earlier frames, so that it can be captured in a CUDA graph.
    """

    positions: Positions = setting(
        "reindexed", "position numbers of the remaining tokens", choices=("reindexed", "kept")
    )

    name: ClassVar[str]
    file_names: ClassVar[Mapping[str, str]] = {
        "keep": "qk_keep_ratio",
        "split": "qk_keep_split",
        "counts": "keep_counts",
        "positions": "keep_positions",
        "merge": "merge",
        "merge_grid": "merge_grid",
        "merge_weighted": "merge_weighted",
    }
    graph_safe: ClassVar[bool] = True

    @property
    def cut_layer(self) -> int:
        """0 to choose before the language model, K to choose in front of its layer K."""
        return 0

    @property
    def deepest_layer(self) -> int:
        """Deepest layer that it needs of the language model, to score or to cut at."""
        return self.cut_layer

    def scoring_flops(self, sizes: DecoderSizes, vision: int, sequence: int) -> float:
        """Return the cost of choosing in one frame, see `flops`, beside layers that run anyway."""
        return 0.0

    def flops(
        self, sizes: DecoderSizes, vision: int, sequence: int, lengths: tuple[int, int]
    ) -> float:
        """Return the cost of one pruned forward pass, choosing included.

        Args:
            sizes: The language model.
            vision: Patches of all views.
            sequence: Tokens of the full sequence.
            lengths: Tokens that entered the first and the last layer.
        """
        before = sizes.flops(lengths[0], self.cut_layer)
        behind = sizes.flops(lengths[1], sizes.layers - self.cut_layer)
        merging = 2.0 * self.merge_side**2 * vision * sizes.hidden  # per view, of all patches
        return before + behind + self.scoring_flops(sizes, vision, sequence) + merging

    def counts_of(self, context: PruneContext) -> tuple[int, ...]:
        """Return how many patches of each view of a frame are kept."""
        return self.kept_per_view(context.views, len(context.patches) // context.views)

    @abstractmethod
    def select(self, context: PruneContext) -> Selection:
        """Choose the patches of one frame, as many as the budget says."""

    def reset(self) -> None:  # noqa: B027 - most have nothing to forget
        """Forget the episode."""
