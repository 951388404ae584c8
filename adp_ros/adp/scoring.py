"""Text-driven importance of vision patches, in its collapsed form (ADP paper, Eqs. 7-10).

The score of a patch is the mean over text tokens and heads of q . k / sqrt(d), with queries and
keys of one decoder layer behind its input norm and without rotation, softmax or mask. The mean
goes into the query, and the key projection onto the other side:

    mean_{t,h} q_th . k_vh / sqrt(d)  =  u . n_v,    u = W_K^T (sum_t q_t) / (T H sqrt(d))

so that one vector u of the model's width holds the whole text, and a frame costs one
matrix-vector product instead of a projection of all its patches.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class QueryKey:
    """Query and key projections of one decoder layer behind its input norm.

    Attributes:
        query: Shape (H * d, D).
        key: Shape (K * d, D), K the number of key heads.
        gain: Gain of the layer's input RMS norm, shape (D,).
        eps: Term under the norm's root.
        head_dim: Channels d of one head.
    """

    query: Tensor
    key: Tensor
    gain: Tensor
    eps: float
    head_dim: int


def fold_text(text: Tensor, layer: QueryKey) -> Tensor:
    """Fold the text into one vector.

    Args:
        text: Hidden states of the text tokens before the layer's norm, shape (T, D).
        layer: Projections of the layer.

    Returns:
        Shape (D,), float32: u times the norm's gain.
    """
    text = text.float()
    inverse_rms = (text.square().mean(-1, keepdim=True) + layer.eps).rsqrt()  # (T, 1)
    normed = (text * inverse_rms).mean(0) * layer.gain.float()  # (D,)
    query = layer.query.float() @ normed  # (H * d,)
    heads = query.numel() // layer.head_dim
    groups = layer.key.shape[0] // layer.head_dim
    query = query.view(groups, heads // groups, layer.head_dim).sum(1).flatten()  # (K * d,)
    folded: Tensor = query @ layer.key.float() / (heads * layer.head_dim**0.5)  # (D,)
    return folded * layer.gain.float()  # (D,)


def score_patches(patches: Tensor, folded: Tensor, eps: float) -> Tensor:
    """Score the patches of one frame.

    Args:
        patches: Hidden states of the patches before the layer's norm, shape (V, D).
        folded: Result of :func:`fold_text`, shape (D,).
        eps: Term under the norm's root.

    Returns:
        Shape (V,), float32.
    """
    patches = patches.float()
    inverse_rms = (torch.linalg.vecdot(patches, patches) / patches.shape[1] + eps).rsqrt()  # (V,)
    scores: Tensor = patches @ folded * inverse_rms  # (V,)
    return scores
