"""Where a scene's landmarks lie among the patches of a picture."""

from typing import Final

import torch
from torch import Tensor

LANDMARKS: Final = 3  # item, receptacle, tool
TOOL: Final = 2
_SPREAD: Final = (1.0, 1.8, 1.5)  # [patches] of item, receptacle, hand
_SHARE: Final = (0.4, 0.3, 0.3)  # of the attention that each deserves
_GRID: Final = 16
_PATCH: Final = 14  # [px]


def patch_distances(pixels: Tensor) -> Tensor:
    """Return squared distances of landmarks to the patches' middles.

    Args:
        pixels: Landmarks in a 224x224 picture, shape (B, L, 2), in [px].

    Returns:
        Shape (B, L, V), in [patches^2].
    """
    steps = torch.arange(_GRID, dtype=pixels.dtype, device=pixels.device)
    middles = torch.stack(torch.meshgrid(steps, steps, indexing="xy"), -1).view(-1, 2)  # (V, 2)
    places = pixels / _PATCH - 0.5  # (B, L, 2)
    return (middles - places[:, :, None]).square().sum(-1)


def inside(pixels: Tensor) -> Tensor:
    """Tell which landmarks (B, L, 2) lie in the picture, as 0 and 1, shape (B, L)."""
    size = _GRID * _PATCH
    return ((pixels > 0) & (pixels < size)).all(-1).to(pixels.dtype)


def wanted_relevance(pixels: Tensor) -> Tensor:
    """Return the share of attention that each patch deserves, shape (B, V); rows sum to 1."""
    spread = pixels.new_tensor(_SPREAD)[None, :, None]
    near = torch.exp(-0.5 * patch_distances(pixels) / spread.square())  # (B, L, V)
    near = near / near.sum(-1, keepdim=True).clamp_min(1e-6)
    share = pixels.new_tensor(_SHARE) * inside(pixels)  # (B, L)
    share = share / share.sum(-1, keepdim=True).clamp_min(1e-6)
    return (near * share[:, :, None]).sum(1)
