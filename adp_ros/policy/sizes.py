"""What checkpoints the package can make itself: sizes, smallest first, and other choices."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from ..settings import check_settings, setting
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
        "twin": ModelConfig(
            dino=_tower(_DINO, 128, 3, 4),
            siglip=_tower(_SIGLIP, 32, 2, 2),
            llm=replace(_llm(128, 344, 4, 4), rope_theta=1e8),
        ),
        "medium": ModelConfig(
            dino=_tower(_DINO, 384, 12, 6),
            siglip=_tower(_SIGLIP, 432, 12, 6),
            llm=_llm(1024, 2752, 8, 8),
        ),
        "7b": ModelConfig(dino=real_tower(_DINO), siglip=real_tower(_SIGLIP), llm=LlmConfig()),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCheckpoint:
    """What a new checkpoint shall be, besides its model's sizes."""

    seed: int = setting(0, "Seed of the random weights.", low=0, high=2**63 - 1)
    state: int = setting(
        8, "Numbers of the proprioceptive state, 0 for a checkpoint without.", low=0, high=64
    )
    dataset: str = setting("jaco2", "Name of the data set in the statistics.")
    shard_bytes: int = setting(
        10**9,
        "Largest size of a safetensors file, unless one tensor is larger.",
        unit="bytes",
        low=1,
    )

    def __post_init__(self) -> None:
        check_settings(self)
