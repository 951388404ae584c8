"""Vision towers: DINOv2 with registers and SigLIP, side by side on every picture.

Features are what leaves the second-to-last block, without final norm and without class and
register tokens; last block, final norm and attention pool are never built. The blocks are those
of ``transformers``; the names around them are timm's, which checkpoints use.
"""

import torch
from torch import Tensor, nn
from transformers import Dinov2WithRegistersConfig, SiglipVisionConfig
from transformers.models.dinov2_with_registers.modeling_dinov2_with_registers import (
    Dinov2WithRegistersLayer,
)
from transformers.models.siglip.modeling_siglip import SiglipEncoderLayer

from .model_config import TowerConfig


def _patches(config: TowerConfig) -> int:
    return (config.image_size // config.patch_size) ** 2


class PatchEmbedding(nn.Module):
    """Cut a picture into patches and embed each."""

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        size = config.patch_size
        self.proj = nn.Conv2d(3, config.width, kernel_size=size, stride=size)

    def forward(self, pixels: Tensor) -> Tensor:
        """(N, 3, H, W) to (N, P, E)."""
        grid: Tensor = self.proj(pixels)  # (N, E, n, n)
        return grid.flatten(2).transpose(1, 2)


class SiglipTower(nn.Module):
    """SigLIP up to its second-to-last block."""

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        self.patch_embed = PatchEmbedding(config)
        self.pos_embed = nn.Parameter(torch.empty(1, _patches(config), config.width))
        layer = SiglipVisionConfig(
            hidden_size=config.width,
            intermediate_size=config.intermediate,
            num_attention_heads=config.heads,
            hidden_act="gelu",
            layer_norm_eps=1e-6,
            attn_implementation="sdpa",
        )
        self.blocks = nn.ModuleList(SiglipEncoderLayer(layer) for _ in range(config.depth - 1))

    def forward(self, pixels: Tensor) -> Tensor:
        """(N, 3, H, W) to (N, P, E)."""
        hidden: Tensor = self.patch_embed(pixels) + self.pos_embed  # (N, P, E)
        for block in self.blocks:
            hidden = block(hidden, attention_mask=None)  # (N, P, E)
        return hidden


class DinoTower(nn.Module):
    """DINOv2 with registers up to its second-to-last block."""

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        width = config.width
        self.patch_embed = PatchEmbedding(config)
        self.cls_token = nn.Parameter(torch.empty(1, 1, width))
        self.reg_token = nn.Parameter(torch.empty(1, config.registers, width))
        self.pos_embed = nn.Parameter(torch.empty(1, _patches(config), width))
        layer = Dinov2WithRegistersConfig(
            hidden_size=width,
            mlp_ratio=config.intermediate // width,
            num_attention_heads=config.heads,
            hidden_act="gelu",
            layer_norm_eps=1e-6,
            attn_implementation="sdpa",
        )
        blocks = (Dinov2WithRegistersLayer(layer) for _ in range(config.depth - 1))
        self.blocks = nn.ModuleList(blocks)

    def forward(self, pixels: Tensor) -> Tensor:
        """(N, 3, H, W) to (N, P, E)."""
        patches = self.patch_embed(pixels) + self.pos_embed  # (N, P, E)
        prefix = torch.cat([self.cls_token[0], self.reg_token[0]])  # (1 + R, E)
        repeated = prefix.expand(len(patches), -1, -1)  # (N, 1 + R, E)
        hidden = torch.cat([repeated, patches], dim=1)  # (N, 1 + R + P, E)
        for block in self.blocks:
            hidden = block(hidden)  # (N, 1 + R + P, E)
        return hidden[:, len(prefix) :]  # (N, P, E)


class VisionBackbone(nn.Module):
    """Both towers; their channels are joined, the views' patches follow one another."""

    def __init__(self, dino: TowerConfig, siglip: TowerConfig) -> None:
        super().__init__()
        self.featurizer = DinoTower(dino)
        self.fused_featurizer = SiglipTower(siglip)

    def forward(self, pixels: Tensor) -> Tensor:
        """Turn pixels (B, 6 * views, H, W) into patch features (B, views * P, E).

        Each view has three channels for each tower; E is the sum of the towers' widths.
        """
        views = pixels.unflatten(1, (-1, 2, 3)).flatten(0, 1)  # (B * views, 2, 3, H, W)
        dino = self.featurizer(views[:, 0])  # (B * views, P, E1)
        siglip = self.fused_featurizer(views[:, 1])  # (B * views, P, E2)
        fused = torch.cat([dino, siglip], dim=-1)  # (B * views, P, E)
        patches: Tensor = fused.unflatten(0, (len(pixels), -1))  # (B, views, P, E)
        return patches.flatten(1, 2)
