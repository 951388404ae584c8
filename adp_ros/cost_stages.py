"""Work and weights of each stage of an OpenVLA-OFT forward pass, for a roofline.

Unlike the paper's tables this counts both products of attention, and everything besides the
language model: vision towers, projector, action head. 2 FLOPs a multiply-accumulate.
"""

from dataclasses import dataclass
from typing import Final

from .cost import FlopFormula, Geometry, llm_flops

BYTES_PER_WEIGHT: Final = 2  # bfloat16
ACTION_SIZE: Final = 7
_PATCH_INPUTS: Final = 14 * 14 * 3  # pixels and channels of a patch


@dataclass(frozen=True, slots=True)
class StageCost:
    """One stage of the forward pass.

    Attributes:
        name: What it is.
        flops: Work per forward pass.
        weight_bytes: Weights that must be read at least once, as bfloat16.
    """

    name: str
    flops: float
    weight_bytes: float


@dataclass(frozen=True, slots=True)
class Tower:
    """A vision transformer up to the block whose output is used, the last but one.

    Attributes:
        width: Channels of a token.
        intermediate: Channels inside the MLP.
        blocks: Blocks that run.
        extra_tokens: Class and register tokens besides the patches.
    """

    width: int
    intermediate: int
    blocks: int
    extra_tokens: int


DINOV2_LARGE: Final = Tower(1024, 4096, 23, 5)
SIGLIP_SO400M: Final = Tower(1152, 4304, 26, 0)


def forward_stages(geometry: Geometry, kept: int | None = None) -> tuple[StageCost, ...]:
    """Return the stages of one forward pass in their order.

    Args:
        geometry: Sizes of model and sequence; the towers are OpenVLA's own.
        kept: Vision tokens that enter the language model, None for all.
    """
    towers = [_tower(geometry, tower) for tower in (DINOV2_LARGE, SIGLIP_SO400M)]
    vision = StageCost(
        "vision towers", sum(t.flops for t in towers), sum(t.weight_bytes for t in towers)
    )
    return (vision, _projector(geometry), _language_model(geometry, kept), _action_head(geometry))


def _tower(geometry: Geometry, tower: Tower) -> StageCost:
    tokens = geometry.patches + tower.extra_tokens
    width, mlp = tower.width, tower.intermediate
    block = 8 * tokens * width**2 + 4 * tokens * width * mlp + 4 * tokens**2 * width
    patches = 2 * geometry.patches * _PATCH_INPUTS * width
    weights = tower.blocks * (4 * width**2 + 2 * width * mlp) + _PATCH_INPUTS * width
    flops = geometry.views * (tower.blocks * block + patches)
    return StageCost("tower", float(flops), float(BYTES_PER_WEIGHT * weights))


def _projector(geometry: Geometry) -> StageCost:
    inputs = DINOV2_LARGE.width + SIGLIP_SO400M.width
    middle, outputs = 4 * inputs, geometry.hidden
    weights = inputs * middle + middle * outputs + outputs * outputs
    return _dense("projector", weights, geometry.vision)


def _language_model(geometry: Geometry, kept: int | None) -> StageCost:
    hidden, mlp, layers = geometry.hidden, geometry.intermediate, geometry.layers
    flops = llm_flops(geometry.tokens(kept), hidden, mlp, layers, formula=FlopFormula.EXACT)
    weights = layers * (4 * hidden**2 + 3 * hidden * mlp)
    return StageCost("language model", flops, float(BYTES_PER_WEIGHT * weights))


def _action_head(geometry: Geometry) -> StageCost:
    hidden = geometry.hidden
    weights = ACTION_SIZE * hidden * hidden + 2 * hidden**2 + ACTION_SIZE * hidden
    return _dense("action head", weights, geometry.actions // ACTION_SIZE)


def _dense(name: str, weights: int, rows: int) -> StageCost:
    return StageCost(name, float(2 * rows * weights), float(BYTES_PER_WEIGHT * weights))
