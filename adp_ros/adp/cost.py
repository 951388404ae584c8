"""Floating-point operations of a forward pass, full and pruned (ADP paper Eq. 19 to 25).

Convention: one multiply-accumulate is 2 FLOPs. A Llama layer over S tokens of width D with an MLP
of width M costs 8SD^2 (four projections) + 6SDM (three MLP matrices) + 2S^2D. This is what the
paper's tables follow. Its Eq. 19 prints 4SD^2, and both count one of attention's two products
(scores and values, 4S^2D together); :class:`FlopFormula` names all three.
"""

from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from math import ceil, floor
from typing import Final

from ..errors import ConfigError
from ..settings import check_settings, setting

COUNTS: Final = ("tables", "paper", "code")


class FlopFormula(str, Enum):
    """How a Llama layer is counted."""

    TABLES = "tables"  # 8SD^2 + 6SDM + 2S^2D: the paper's tables
    EQ19 = "eq19"  # 4SD^2 + 6SDM + 2S^2D: the paper's Eq. 19 as printed
    EXACT = "exact"  # 8SD^2 + 6SDM + 4S^2D: both products of attention

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """Sizes that decide the cost; the defaults are those of the paper's tables.

    Raises:
        ConfigError: Names the size, its value and what is allowed.
    """

    views: int = setting(2, "Camera pictures per observation.", unit="pictures", low=1, high=16)
    patches: int = setting(256, "Vision tokens per picture.", unit="tokens", low=1, high=65536)
    text: int = setting(
        32, "Tokens of the prompt without the leading BOS.", unit="tokens", low=1, high=4096
    )
    proprio: int = setting(1, "Tokens of proprioception, 0 without.", unit="tokens", low=0, high=64)
    actions: int = setting(
        56, "Action placeholders, chunk length times 7.", unit="tokens", low=1, high=4096
    )
    hidden: int = setting(4096, "Width of the language model.", low=1, high=65536)
    intermediate: int = setting(11008, "Width of its MLP.", low=1, high=262144)
    layers: int = setting(32, "Its layers.", low=1, high=1024)

    def __post_init__(self) -> None:
        check_settings(self)

    @property
    def vision(self) -> int:
        """Vision tokens before pruning."""
        return self.views * self.patches

    def tokens(self, kept: int | None = None) -> int:
        """Length of the sequence: BOS, vision, proprioception, text, actions, stop.

        Args:
            kept: Vision tokens that are left, None for all.
        """
        vision = self.vision if kept is None else kept
        return 1 + vision + self.proprio + self.text + self.actions + 1


def llm_flops(
    tokens: int,
    hidden: int,
    intermediate: int,
    layers: int,
    *,
    formula: str | FlopFormula = FlopFormula.TABLES,
) -> float:
    """Cost of a Llama over one sequence, without embeddings and logits.

    Args:
        tokens: Length of the sequence, S.
        hidden: Width D.
        intermediate: Width M of the MLP.
        layers: Number of layers.
        formula: See :class:`FlopFormula`.

    Returns:
        FLOPs. ``llm_flops(603, 4096, 11008, 32)`` is 7.905e12; the paper prints 7.91 T.

    Raises:
        ConfigError: A size is negative or the formula unknown.
    """
    for name, size in (("tokens", tokens), ("hidden", hidden), ("layers", layers)):
        if size < 0:
            raise ConfigError(f"{name} is {size}, 0 or more is needed")
    kinds = [kind.value for kind in FlopFormula]
    if formula not in kinds:
        raise ConfigError(f"formula is {formula!r}, allowed: {', '.join(kinds)}")
    projections = 4 if formula == FlopFormula.EQ19 else 8
    attention = 4 if formula == FlopFormula.EXACT else 2
    per_token = projections * hidden**2 + 6 * hidden * intermediate
    return float(layers * (tokens * per_token + attention * tokens**2 * hidden))


@dataclass(frozen=True, slots=True)
class DecoderSizes:
    """Sizes of a language model that decide its cost: width D, width M of the MLP, layers."""

    hidden: int
    intermediate: int
    layers: int

    def flops(self, tokens: int, layers: int | None = None) -> float:
        """Return the cost of some layers, None for all, over a number of tokens."""
        count = self.layers if layers is None else layers
        return llm_flops(tokens, self.hidden, self.intermediate, count)


def scoring_flops(
    vision_tokens: int,
    text_tokens: int,
    hidden: int,
    *,
    layer: int = 0,
    layer_flops: float = 0.0,
) -> float:
    """Cost of text-to-vision scores at a layer as the paper does it: Eq. 22 and ``layer`` layers.

    Args:
        vision_tokens: Tokens that are scored.
        text_tokens: Tokens of the text.
        hidden: Width D of the language model, heads times their size.
        layer: Layer whose input is scored; 0 scores the embeddings.
        layer_flops: Cost of one layer over the full sequence.

    Returns:
        FLOPs.
    """
    queries_and_keys = 2 * (text_tokens + vision_tokens) * hidden**2
    products = 2 * text_tokens * vision_tokens * hidden
    return queries_and_keys + products + layer * layer_flops


def collapsed_scoring_flops(vision_tokens: int, hidden: int) -> float:
    """Cost per frame of the same layer-0 scores as this package computes them.

    The mean over text and heads moves inside, so that one vector per instruction replaces
    queries and keys: one product of a (V, D) matrix with a (D,) vector per frame.
    """
    return float(2 * vision_tokens * hidden)


def expected_flops(full: float, pruned: float, pruned_share: float) -> float:
    """Mean cost of a forward pass when a share of them is pruned (ADP paper Eq. 24).

    Args:
        full: FLOPs with full vision.
        pruned: FLOPs pruned, scoring included.
        pruned_share: Share of pruned windows, 0 to 1 (gamma).

    Returns:
        FLOPs, in the unit of the arguments.

    Raises:
        ConfigError: The share is not within 0 and 1.
    """
    if not 0.0 <= pruned_share <= 1.0:
        raise ConfigError(f"pruned_share is {pruned_share}, allowed: 0 to 1")
    return pruned_share * pruned + (1.0 - pruned_share) * full


def kept_tokens(total: int, keep: float, counts: str = "tables") -> int:
    """Vision tokens that a keep ratio leaves.

    Args:
        total: Vision tokens before pruning.
        keep: Keep ratio, above 0, at most 1.
        counts: ``tables`` rounds up, which reproduces the paper's tables; ``paper`` rounds down
            as its text prints; ``code`` rounds half to even as the released code does.

    Raises:
        ConfigError: The ratio or the way of counting is not allowed.
    """
    if not 0.0 < keep <= 1.0:
        raise ConfigError(f"keep is {keep}, allowed: above 0, at most 1")
    if counts not in COUNTS:
        raise ConfigError(f"counts is {counts!r}, allowed: {', '.join(COUNTS)}")
    share = total * Fraction(str(keep))  # so that 0.7 of 10 is exactly 7
    rounded = {"tables": ceil(share), "paper": floor(share), "code": round(share)}[counts]
    return max(1, rounded)
