"""The same chunk once more, by the plainest arithmetic there is: the oracle of the audit.

Written from the equations of Llama and OpenVLA-OFT in float32, one matrix after the other, with
every attention weight spelled out. It shares the weights with the policy under test, and nothing
else of its language model: no fused attention, no shortcut in the last layer, no caches.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import silu

from ..policy.forward import FrameTokens
from ..policy.llama import DecoderLayer
from ..policy.model import OpenVla


@dataclass(frozen=True, slots=True)
class Pruned:
    """Which patches went on, and where they were dropped.

    Attributes:
        kept: Indices of the patches, in the order they went on, shape (k,).
        cut_layer: Layer in front of which the others were dropped; 0 is before the model.
        keep_positions: True when tokens stay at the positions of the full sequence.
    """

    kept: Tensor
    cut_layer: int = 0
    keep_positions: bool = False


def reference_chunk(
    model: OpenVla, tokens: FrameTokens, pruned: Pruned | None, row_offset: int = 0
) -> Tensor:
    """Compute normalised actions.

    Args:
        model: Network whose weights are used.
        tokens: Input of its language model, for one observation.
        pruned: None for all patches.
        row_offset: Where the head's rows begin, see :meth:`OpenVla.action_rows`.

    Returns:
        Shape (T, 7), float32.
    """
    hidden, positions = _sequence(model, tokens)  # (S, D), (S,)
    for index in range(len(model.language_model.layers)):
        if pruned is not None and index == pruned.cut_layer:
            rest = _remaining(pruned.kept, tokens.patches.shape[1], len(hidden))
            hidden = hidden[rest]  # (S', D)
            positions = positions[rest] if pruned.keep_positions else positions[: len(rest)]
        hidden = _layer(model.layer(index), hidden, positions, model)  # (S, D)
    hidden = _rms_norm(model.language_model.norm, hidden)  # (S, D)
    start = len(hidden) - 1 - model.slots - 1 + row_offset  # stop token; rows predict the next one
    head = hidden[start : start + model.slots].reshape(-1, 7 * hidden.shape[1])  # (T, 7 D)
    return _head(model.action_head, head)  # (T, 7)


def _sequence(model: OpenVla, tokens: FrameTokens) -> tuple[Tensor, Tensor]:
    text = tokens.text[0].float()  # (T, D)
    empty = torch.zeros(model.slots, text.shape[1], device=text.device)  # (A, D)
    parts = [text[:1], tokens.patches[0].float()]
    if tokens.proprio is not None:
        parts.append(tokens.proprio[0].float())
    hidden = torch.cat([*parts, text[1:-1], empty, text[-1:]])  # (S, D)
    return hidden, torch.arange(len(hidden), device=hidden.device)


def _remaining(kept: Tensor, patches: int, length: int) -> Tensor:
    places = [0, *(1 + int(i) for i in kept), *range(1 + patches, length)]
    return torch.tensor(places, device=kept.device)


def _layer(layer: DecoderLayer, hidden: Tensor, positions: Tensor, model: OpenVla) -> Tensor:
    attention, mlp = layer.self_attn, layer.mlp
    normed = _rms_norm(layer.input_layernorm, hidden)  # (S, D)
    size = int(attention.head_dim)
    query = _rotate(_heads(_linear(attention.q_proj, normed), size), positions, model)  # (H, S, d)
    key = _rotate(_heads(_linear(attention.k_proj, normed), size), positions, model)  # (K, S, d)
    value = _heads(_linear(attention.v_proj, normed), size)  # (K, S, d)
    groups = len(query) // len(key)
    mixed = []
    for head, queries in enumerate(query):
        weights = (queries @ key[head // groups].T * size**-0.5).softmax(-1)  # (S, S)
        mixed.append(weights @ value[head // groups])  # (S, d)
    hidden = hidden + _linear(attention.o_proj, torch.cat(mixed, dim=1))  # (S, D)
    normed = _rms_norm(layer.post_attention_layernorm, hidden)  # (S, D)
    gated = silu(_linear(mlp.gate_proj, normed)) * _linear(mlp.up_proj, normed)  # (S, M)
    return hidden + _linear(mlp.down_proj, gated)  # (S, D)


def _heads(rows: Tensor, size: int) -> Tensor:
    return rows.view(len(rows), -1, size).transpose(0, 1)  # (H, S, d)


def _rotate(heads: Tensor, positions: Tensor, model: OpenVla) -> Tensor:
    half = heads.shape[-1] // 2
    base = float(model.language_model.rotary_emb.config.rope_parameters["rope_theta"])
    steps = torch.arange(half, device=heads.device, dtype=torch.float32) / half  # (d/2,)
    angles = positions.float()[:, None] * base**-steps  # (S, d/2)
    cos, sin = angles.cos(), angles.sin()  # (S, d/2)
    first, second = heads[..., :half], heads[..., half:]  # (H, S, d/2)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


def _rms_norm(norm: Any, rows: Tensor) -> Tensor:
    mean_square: Tensor = rows.pow(2).mean(-1, keepdim=True)  # (S, 1)
    scale: Tensor = norm.weight.float()  # (D,)
    return rows / torch.sqrt(mean_square + norm.variance_epsilon) * scale


def _linear(layer: Any, rows: Tensor) -> Tensor:
    out: Tensor = rows @ layer.weight.float().T
    return out if layer.bias is None else out + layer.bias.float()


def _head(head: Any, rows: Tensor) -> Tensor:
    rows = _linear(head.fc1, _layer_norm(head.layer_norm1, rows)).clamp(min=0)  # (T, D)
    for block in head.mlp_resnet_blocks:
        norm, linear = block.ffn[0], block.ffn[1]
        rows = rows + _linear(linear, _layer_norm(norm, rows)).clamp(min=0)  # (T, D)
    return _linear(head.fc2, _layer_norm(head.layer_norm2, rows))  # (T, 7)


def _layer_norm(norm: Any, rows: Tensor) -> Tensor:
    centred = rows - rows.mean(-1, keepdim=True)
    variance = centred.pow(2).mean(-1, keepdim=True)
    out: Tensor = (
        centred / torch.sqrt(variance + norm.eps) * norm.weight.float() + norm.bias.float()
    )
    return out
