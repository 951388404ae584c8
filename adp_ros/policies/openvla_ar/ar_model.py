"""The network of OpenVLA: towers, projector, causal Llama with a key-value cache, token logits.

Sequence of the prefill: BOS | 256 patches | rest of the prompt. Then one token a pass.
Parameter names are those of the checkpoint files.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from ..openvla.llama import Decoder, DecoderLayer, Rotary
from ..openvla.model import VisionLanguage, VisionProjector, llama_config
from ..openvla.model_config import PATCHES_PER_VIEW, ModelConfig
from ..openvla.vision import VisionBackbone

KeyValue = tuple[Tensor, Tensor]  # of one layer, each (1, K, S, d)


class CausalLayer(DecoderLayer):
    """One Llama layer in which each token sees itself and those before it."""

    def extend(
        self, hidden: Tensor, rotary: Rotary, past: KeyValue | None
    ) -> tuple[Tensor, KeyValue]:
        """Run the layer on new tokens (1, N, D), one where there is a past.

        Returns:
            Shape (1, N, D), and keys and values of all tokens.
        """
        normed = self.input_layernorm(hidden)  # (1, N, D)
        query = self._query(normed, rotary, None)  # (1, H, N, d)
        key = self._key(normed, rotary)  # (1, K, N, d)
        value = self._heads(self.self_attn.v_proj(normed))  # (1, K, N, d)
        if past is not None:
            key, value = torch.cat([past[0], key], 2), torch.cat([past[1], value], 2)
        mixed = scaled_dot_product_attention(
            query, key, value, is_causal=past is None, enable_gqa=self.grouped
        )
        hidden = hidden + self.self_attn.o_proj(mixed.transpose(1, 2).flatten(2))  # (1, N, D)
        out: Tensor = hidden + self.mlp(self.post_attention_layernorm(hidden))  # (1, N, D)
        return out, (key, value)


@dataclass(frozen=True, slots=True)
class Prefilled:
    """The language model after some tokens.

    Attributes:
        hidden: State of the last one after the final norm, shape (D,).
        cache: Keys and values of each layer.
        length: Tokens so far.
    """

    hidden: Tensor
    cache: tuple[KeyValue, ...]
    length: int


class TokenVla(VisionLanguage):
    """OpenVLA: patches and prompt in, logits of the next token out; one view."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        llm = llama_config(config.llm)
        self.patches_per_view = PATCHES_PER_VIEW
        self.max_length = config.llm.max_position_embeddings
        self.vision_backbone = VisionBackbone(config.dino, config.siglip)
        self.projector = VisionProjector(config.vision_width, config.llm.hidden_size)
        self.language_model = Decoder(llm)
        layers = [CausalLayer(llm, i) for i in range(config.llm.num_hidden_layers)]
        self.language_model.layers = nn.ModuleList(layers)
        self.lm_head = nn.Linear(config.llm.hidden_size, config.llm.vocab_size, bias=False)

    def prefill(self, patches: Tensor, text: Tensor) -> Prefilled:
        """Run the language model on patches (1, k, D) and prompt (1, T, D)."""
        hidden = torch.cat([text[:, :1], patches, text[:, 1:]], dim=1)  # (1, S, D)
        return self._extend(hidden, None)

    def extend(self, token: int, before: Prefilled) -> Prefilled:
        """Run the language model on one more token."""
        embedding = self.language_model.embed_tokens
        hidden = embedding(torch.tensor([[token]], device=embedding.weight.device))  # (1, 1, D)
        return self._extend(hidden, before)

    def logits(self, hidden: Tensor) -> Tensor:
        """Return the logits of the next token from a state (D,), shape (vocabulary,), float32."""
        out: Tensor = self.lm_head(hidden)
        return out.float()

    def _extend(self, hidden: Tensor, before: Prefilled | None) -> Prefilled:
        first = 0 if before is None else before.length
        length = first + hidden.shape[1]
        places = torch.arange(first, length, device=hidden.device)  # (N,)
        rotary = self.language_model.rotary(places, hidden)
        cache = []
        for index in range(len(self.language_model.layers)):
            past = None if before is None else before.cache[index]
            hidden, new = self._causal(index).extend(hidden, rotary, past)  # (1, N, D)
            cache.append(new)
        return Prefilled(self.language_model.norm(hidden)[0, -1], tuple(cache), length)

    def _causal(self, index: int) -> CausalLayer:
        layer = self.layer(index)
        if not isinstance(layer, CausalLayer):
            raise TypeError(f"layer {index} is a {type(layer).__name__}")
        return layer

    def hidden_at(self, layer: int, patches: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        """Return the input of a layer at BOS and prompt (T, D), and at the patches (V, D).

        Raises:
            ConfigError: There is no such layer.
        """
        self.layer(layer)
        hidden = torch.cat([text[:1], patches, text[1:]])[None]  # (1, S, D)
        places = torch.arange(hidden.shape[1], device=hidden.device)  # (S,)
        rotary = self.language_model.rotary(places, hidden)
        for index in range(layer):
            hidden, _ = self._causal(index).extend(hidden, rotary, None)  # (1, S, D)
        tail = 1 + len(patches)
        return torch.cat([hidden[0, :1], hidden[0, tail:]]), hidden[0, 1:tail]
