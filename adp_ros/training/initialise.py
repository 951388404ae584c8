"""Weights of a new small model, drawn so that it learns from few samples."""

import math

import numpy as np
import torch
from torch import Tensor

from ..policy.config import ModelConfig
from ..policy.model import OpenVla
from ..types import ACTION_SIZE

_PLACE = 0.5  # size of the position embedding's waves beside patches of size 1


def new_model(config: ModelConfig, state: int, seed: int) -> OpenVla:
    """Make a model with fresh weights.

    Matrices keep the size of activations; what is added to the residual stream starts smaller
    with depth; positions of patches start as waves along both axes of the picture.

    Args:
        config: Sizes.
        state: Numbers of the proprioceptive state.
        seed: Of the draws.
    """
    random = torch.Generator().manual_seed(seed)
    model = OpenVla(config, ACTION_SIZE, state)
    added = 2 * config.llm.num_hidden_layers
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(_draw(name, parameter, added, random))
    return model


def _draw(name: str, like: Tensor, added: int, random: torch.Generator) -> Tensor:
    if name.endswith("pos_embed"):
        return _waves(like)
    if "embed_tokens" in name:
        return torch.randn(like.shape, generator=random)
    if name.endswith(("cls_token", "reg_token")):
        return 0.02 * torch.randn(like.shape, generator=random)
    if like.ndim == 1:
        return torch.zeros(like.shape) if name.endswith(".bias") else torch.ones(like.shape)
    spread = math.prod(like.shape[1:]) ** -0.5
    if name.endswith(("o_proj.weight", "down_proj.weight")):
        spread *= added**-0.5
    if like.shape[0] == ACTION_SIZE:
        spread *= 0.1
    drawn: Tensor = spread * torch.randn(like.shape, generator=random)
    return drawn


def _waves(like: Tensor) -> Tensor:
    """Return sines and cosines of the patches' columns and rows, shape (1, V, E)."""
    _, patches, width = like.shape
    side = math.isqrt(patches)
    steps = np.linspace(-1.0, 1.0, side)
    y, x = np.meshgrid(steps, steps, indexing="ij")
    axes = np.stack([x.ravel(), y.ravel()])  # (2, V)
    count = max(1, width // 4)
    turns = np.pi * 2.0 ** np.linspace(-1.0, math.log2(side / 2), count)  # (F,)
    angle = axes[:, :, None] * turns  # (2, V, F)
    waves = np.concatenate([np.sin(angle), np.cos(angle)], axis=0)  # (4, V, F)
    flat = waves.transpose(1, 0, 2).reshape(patches, 4 * count)
    out = np.zeros((patches, width))
    out[:, : min(width, 4 * count)] = flat[:, :width]
    return torch.tensor(_PLACE * out, dtype=like.dtype)[None]
