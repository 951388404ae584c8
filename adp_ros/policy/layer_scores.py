"""Text-to-patch scores of every layer, in one pass over the decoder."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..types import Observation
from .openvla import OpenVlaPolicy


@torch.inference_mode()
def layer_scores(policy: OpenVlaPolicy, observation: Observation) -> NDArray[np.float32]:
    """Score all patches at the input of each layer, as text-driven pruning at it would.

    Proprioception takes no part: scoring passes run without it.

    Args:
        policy: A loaded checkpoint.
        observation: Pictures, instruction and, where the checkpoint takes one, any state.

    Returns:
        Shape (layers, V), float32.

    Raises:
        ObservationError: The observation does not fit the checkpoint.
    """
    model = policy.model
    tokens = policy.tokens(observation)
    text, patches = tokens.text.shape[1], tokens.patches.shape[1]
    hidden = model.sequence(tokens.patches, None, tokens.text)  # (1, S, D)
    rotary = model.rotary(hidden)
    scores: list[Tensor] = []
    for layer in range(len(model.language_model.layers)):
        words, seen = model.text_and_patches(hidden[0], text, patches)  # (T, D), (V, D)
        scores.append(model.score_patches(layer, seen, model.fold_text(layer, words)))  # (V,)
        hidden = model.language_model.run(hidden, rotary, layer, layer + 1)  # (1, S, D)
    return torch.stack(scores).cpu().numpy()  # (L, V)
