"""Bidirectional Llama: every token sees every token, and only the action rows leave.

OpenVLA-OFT decodes a whole chunk in one pass, so attention has no mask at all. The head reads
one row per action number; what it does not read is not computed: no logits, no attention maps,
and in the last layer queries, attention output and MLP only at those rows.

A bias on the keys (merged tokens, :mod:`adp_ros.adp.merging`) goes to
``scaled_dot_product_attention`` as an additive mask of shape (1, 1, 1, S). PyTorch's math,
memory-efficient and cuDNN kernels and those of the CPU add it to the logits; its flash kernel for
CUDA takes none and is passed over for such calls. The mask has the queries' type: in bfloat16
log n is rounded to 8 bits, so that a token of weight n weighs up to 1.6 % more or less.

Parameter names are those of the checkpoint below ``language_model.model``.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import (
    LlamaAttention,
    LlamaMLP,
    LlamaRMSNorm,
    LlamaRotaryEmbedding,
    rotate_half,
)

Rotary = tuple[Tensor, Tensor]  # cosine and sine of each position, each (1, 1, S, d)


@dataclass(frozen=True, slots=True)
class Decoded:
    """What leaves the decoder.

    Attributes:
        hidden: Hidden states after the final norm, one row per action number, shape (B, R, D).
        lengths: Number of tokens that entered each layer, read off the tensors themselves.
    """

    hidden: Tensor
    lengths: tuple[int, ...]


class DecoderLayer(nn.Module):
    """One Llama layer without mask, on all rows or on some."""

    def __init__(self, config: LlamaConfig, index: int) -> None:
        super().__init__()
        self.self_attn = LlamaAttention(config, index)
        self.mlp = LlamaMLP(config)
        self.input_layernorm = LlamaRMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.post_attention_layernorm = LlamaRMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.head_dim = int(self.self_attn.head_dim)
        self.grouped = config.num_key_value_heads != config.num_attention_heads

    def forward(
        self, hidden: Tensor, rotary: Rotary, rows: slice | None = None, bias: Tensor | None = None
    ) -> Tensor:
        """Run the layer on states (B, S, D), for some rows or all; returns (B, R, D).

        Keys and values always come from all rows. A bias (S,) is added to the logits of each key.
        """
        normed = self.input_layernorm(hidden)  # (B, S, D)
        query = self._query(normed, rotary, rows)  # (B, H, R, d)
        key = self._key(normed, rotary)  # (B, K, S, d)
        value = self._heads(self.self_attn.v_proj(normed))  # (B, K, S, d)
        mask = None if bias is None else bias.to(query.dtype)[None, None, None]  # (1, 1, 1, S)
        mixed = scaled_dot_product_attention(
            query, key, value, attn_mask=mask, enable_gqa=self.grouped
        )  # (B, H, R, d)
        mixed = self.self_attn.o_proj(mixed.transpose(1, 2).flatten(2))  # (B, R, D)
        hidden = mixed + (hidden if rows is None else hidden[:, rows])  # (B, R, D)
        out: Tensor = hidden + self.mlp(self.post_attention_layernorm(hidden))  # (B, R, D)
        return out

    def attention_received(
        self, hidden: Tensor, rotary: Rotary, rows: slice, bias: Tensor | None = None
    ) -> Tensor:
        """Return the attention each token of (B, S, D) receives from some rows, (B, S), float32.

        Mean over rows and heads. A bias (S,) is added to the logits of each key.
        """
        normed = self.input_layernorm(hidden)  # (B, S, D)
        query = self._query(normed, rotary, rows)  # (B, H, R, d)
        key = self._key(normed, rotary)  # (B, K, S, d)
        key = key.repeat_interleave(query.shape[1] // key.shape[1], dim=1)  # (B, H, S, d)
        logits = query @ key.mT * self.head_dim**-0.5  # (B, H, R, S)
        logits = logits.float() if bias is None else logits.float() + bias.float()
        attention: Tensor = logits.softmax(-1)  # (B, H, R, S)
        return attention.mean((1, 2))  # (B, S)

    def _query(self, normed: Tensor, rotary: Rotary, rows: slice | None) -> Tensor:
        cos, sin = rotary
        if rows is not None:
            normed, cos, sin = normed[:, rows], cos[:, :, rows], sin[:, :, rows]
        return _rotate(self._heads(self.self_attn.q_proj(normed)), (cos, sin))

    def _key(self, normed: Tensor, rotary: Rotary) -> Tensor:
        return _rotate(self._heads(self.self_attn.k_proj(normed)), rotary)

    def _heads(self, rows: Tensor) -> Tensor:
        heads: Tensor = rows.unflatten(-1, (-1, self.head_dim))  # (B, S, H, d)
        return heads.transpose(1, 2)  # (B, H, S, d)


def _rotate(heads: Tensor, rotary: Rotary) -> Tensor:
    cos, sin = rotary
    out: Tensor = heads * cos + rotate_half(heads) * sin  # (B, H, S, d)
    return out


class Decoder(nn.Module):
    """Token embedding, layers and final norm."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        layers = [DecoderLayer(config, i) for i in range(config.num_hidden_layers)]
        self.layers = nn.ModuleList(layers)
        self.norm = LlamaRMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        with torch.device("cpu"):  # a buffer no checkpoint holds, also when built without storage
            self.rotary_emb = LlamaRotaryEmbedding(config)

    def rotary(self, positions: Tensor, like: Tensor) -> Rotary:
        """Return the rotation of some positions, shape (S,), in the type of another tensor."""
        cos, sin = self.rotary_emb(like, positions[None])  # (1, S, d)
        return cos[:, None], sin[:, None]

    def run(
        self, hidden: Tensor, rotary: Rotary, first: int, last: int, bias: Tensor | None = None
    ) -> Tensor:
        """Run layers ``first`` to ``last`` - 1 on all rows, (B, S, D) to (B, S, D)."""
        for layer in self.layers[first:last]:
            hidden = layer(hidden, rotary, bias=bias)  # (B, S, D)
        return hidden

    def forward(
        self,
        hidden: Tensor,
        rotary: Rotary,
        rows: slice,
        first: int = 0,
        bias: Tensor | None = None,
    ) -> Decoded:
        """Run the layers from ``first`` on, on its input (B, S, D), and the final norm.

        Only some rows leave. A bias (S,) is added to the logits of each key.
        """
        lengths = []
        for layer in self.layers[first:-1]:
            lengths.append(hidden.shape[1])
            hidden = layer(hidden, rotary, bias=bias)  # (B, S, D)
        lengths.append(hidden.shape[1])
        hidden = self.layers[-1](hidden, rotary, rows, bias)  # (B, R, D)
        return Decoded(self.norm(hidden), tuple(lengths))
