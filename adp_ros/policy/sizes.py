"""Sizes of the checkpoints that the package can make itself, smallest first."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from .config import LlmConfig, ModelConfig, TowerConfig, real_tower

_DINO: Final = "vit_large_patch14_reg4_dinov2"
_SIGLIP: Final = "vit_so400m_patch14_siglip_224"


def _tower(timm_id: str, width: int, depth: int, heads: int) -> TowerConfig:
    real = real_tower(timm_id)
    intermediate = real.intermediate * width // real.width
    return replace(real, width=width, depth=depth, heads=heads, intermediate=intermediate)


def _llm(hidden: int, intermediate: int, layers: int, heads: int) -> LlmConfig:
    return LlmConfig(
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
    )


SIZES: Final[Mapping[str, ModelConfig]] = MappingProxyType(
    {
        "tiny": ModelConfig(
            dino=_tower(_DINO, 32, 3, 2), siglip=_tower(_SIGLIP, 48, 3, 3), llm=_llm(64, 176, 3, 4)
        ),
        "small": ModelConfig(
            dino=_tower(_DINO, 128, 4, 4),
            siglip=_tower(_SIGLIP, 144, 4, 4),
            llm=_llm(256, 688, 8, 8),
        ),
        "medium": ModelConfig(
            dino=_tower(_DINO, 384, 12, 6),
            siglip=_tower(_SIGLIP, 432, 12, 6),
            llm=_llm(1024, 2752, 8, 8),
        ),
        "7b": ModelConfig(dino=real_tower(_DINO), siglip=real_tower(_SIGLIP), llm=LlmConfig()),
    }
)
