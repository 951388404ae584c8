"""The whole network: towers, projectors, decoder and head, and the token sequence between them.

Parameter names are those of the checkpoint files, without the prefix ``module.``.

Sequence: BOS | vision patches | proprioception | rest of the prompt | one empty slot per action
number | stop. The text is one tensor, BOS, prompt and stop in their order; the slots are zeros.
"""

from dataclasses import asdict

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, relu
from transformers import LlamaConfig

from ...adp.scoring import QueryKey, fold_text, score_patches
from ...errors import ConfigError, ObservationError
from .llama import Decoder, DecoderLayer, Rotary
from .model_config import PATCHES_PER_VIEW, LlmConfig, ModelConfig
from .vision import VisionBackbone


class VisionProjector(nn.Module):
    """Bring patch features to the decoder's width."""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(features, 4 * features)
        self.fc2 = nn.Linear(4 * features, hidden)
        self.fc3 = nn.Linear(hidden, hidden)

    def forward(self, features: Tensor) -> Tensor:
        """(..., E) to (..., D)."""
        out: Tensor = self.fc3(gelu(self.fc2(gelu(self.fc1(features)))))
        return out


class ProprioProjector(nn.Module):
    """Bring the normalised proprioception to the decoder's width, as one token."""

    def __init__(self, state: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(state, hidden)
        self.fc2 = nn.Linear(hidden, hidden)

    def forward(self, state: Tensor) -> Tensor:
        """(..., P) to (..., D)."""
        out: Tensor = self.fc2(gelu(self.fc1(state)))
        return out


class ResidualBlock(nn.Module):
    """x + ReLU(Linear(LayerNorm(x)))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.ffn = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.ReLU())

    def forward(self, hidden: Tensor) -> Tensor:
        """(..., D) to (..., D)."""
        out: Tensor = hidden + self.ffn(hidden)
        return out


class ActionHead(nn.Module):
    """L1 regression head: the hidden states of one action's numbers to the action."""

    def __init__(self, hidden: int, action_size: int) -> None:
        super().__init__()
        width = action_size * hidden
        self.action_size = action_size
        self.layer_norm1 = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, hidden)
        self.mlp_resnet_blocks = nn.ModuleList(ResidualBlock(hidden) for _ in range(2))
        self.layer_norm2 = nn.LayerNorm(hidden)
        self.fc2 = nn.Linear(hidden, action_size)

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, T * action_size, D) to normalised actions (B, T, action_size)."""
        rows = hidden.unflatten(1, (-1, self.action_size)).flatten(2)  # (B, T, action_size * D)
        rows = relu(self.fc1(self.layer_norm1(rows)))  # (B, T, D)
        for block in self.mlp_resnet_blocks:
            rows = block(rows)  # (B, T, D)
        out: Tensor = self.fc2(self.layer_norm2(rows))
        return out


class VisionLanguage(nn.Module):
    """Towers, projector and decoder, whose layers score patches by a text."""

    vision_backbone: VisionBackbone
    projector: VisionProjector
    language_model: Decoder

    def see(self, pixels: Tensor) -> Tensor:
        """Turn pixel values (B, 6 * views, H, W) into patch tokens (B, V, D)."""
        patches: Tensor = self.projector(self.vision_backbone(pixels))
        return patches

    def layer(self, index: int) -> DecoderLayer:
        """Return a layer of the decoder.

        Raises:
            ConfigError: There is no such layer.
        """
        layers = self.language_model.layers
        if not 0 <= index < len(layers):
            raise ConfigError(f"layer is {index}, this model has layers 0 to {len(layers) - 1}")
        layer = layers[index]
        if not isinstance(layer, DecoderLayer):
            raise TypeError(f"layer {index} is a {type(layer).__name__}")
        return layer

    def fold_text(self, layer: int, text: Tensor) -> Tensor:
        """Fold text states (T, D) and a layer's projections into one vector (D,), float32."""
        return fold_text(text, self._query_key(layer))

    def score_patches(self, layer: int, patches: Tensor, folded: Tensor) -> Tensor:
        """Score patch states (V, D) with a folded text, giving (V,) float32."""
        return score_patches(patches, folded, self._query_key(layer).eps)

    def _query_key(self, layer: int) -> QueryKey:
        block = self.layer(layer)
        norm, attention = block.input_layernorm, block.self_attn
        query, key = attention.q_proj.weight, attention.k_proj.weight
        return QueryKey(query, key, norm.weight, norm.variance_epsilon, block.head_dim)


class OpenVla(VisionLanguage):
    """OpenVLA-OFT with the L1 head; its layers hold whatever values the memory has at first.

    A state of ``state_size`` numbers is taken, None for none.

    Attributes:
        slots: Empty tokens the decoder fills, one per number of the chunk.
        max_length: Tokens the decoder was made for.
    """

    def __init__(self, config: ModelConfig, action_size: int, state_size: int | None) -> None:
        super().__init__()
        hidden = config.llm.hidden_size
        self.slots = config.chunk_length * action_size
        self.patches_per_view = PATCHES_PER_VIEW
        self.max_length = config.llm.max_position_embeddings
        self.vision_backbone = VisionBackbone(config.dino, config.siglip)
        self.projector = VisionProjector(config.vision_width, hidden)
        self.language_model = Decoder(llama_config(config.llm))
        self.action_head = ActionHead(hidden, action_size)
        self.proprio_projector = ProprioProjector(state_size, hidden) if state_size else None

    def check_length(self, views: int, text: int, proprio: bool) -> None:
        """Refuse a sequence that is longer than the decoder's positions.

        Its text is BOS, prompt and stop; with ``proprio`` it has a token of proprioception.

        Raises:
            ObservationError: It is.
        """
        length = views * self.patches_per_view + text + proprio + self.slots
        if length > self.max_length:
            raise ObservationError(
                f"{views} views and the instruction make {length} tokens, the model was made for "
                f"{self.max_length}"
            )

    def perceive(self, pixels: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Turn pixels (6 * views, H, W) and normalised proprioception (P,) into tokens.

        Returns:
            Patch tokens (1, V, D), and the state's token (1, 1, D) or None.
        """
        proprio = None
        if state is not None and self.proprio_projector is not None:
            proprio = self.proprio_projector(state[None, None])  # (1, 1, D)
        return self.see(pixels[None]), proprio

    def sequence(self, patches: Tensor, proprio: Tensor | None, text: Tensor) -> Tensor:
        """Join patches (B, V, D), proprioception (B, 1, D) and BOS, prompt and stop (B, T, D).

        Returns:
            Shape (B, S, D).
        """
        slots = text.new_zeros(len(text), self.slots, text.shape[2])  # (B, A, D)
        parts = [text[:, :1], patches, proprio, text[:, 1:-1], slots, text[:, -1:]]
        return torch.cat([part for part in parts if part is not None], dim=1)  # (B, S, D)

    def action_rows(self, length: int, offset: int = 0) -> slice:
        """Return the rows the head reads from a sequence of some length.

        Args:
            length: Tokens in the sequence.
            offset: 0 begins at the last prompt token, since each row predicts the next token
                (OpenVLA-OFT); 1 begins at the first slot (the released ADP code).
        """
        start = length - 2 - self.slots + offset
        return slice(start, start + self.slots)

    def rotary(self, hidden: Tensor, places: Tensor | None = None) -> Rotary:
        """Return the rotation of a sequence (B, S, D) at some places (S,), None for 0 and up."""
        if places is None:
            places = torch.arange(hidden.shape[1], device=hidden.device)  # (S,)
        return self.language_model.rotary(places, hidden)

    def hidden_at(self, layer: int, patches: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        """Return the input of a layer at the text (T, D) and at the patches (V, D).

        Raises:
            ConfigError: There is no such layer.
        """
        self.layer(layer)
        hidden = self.sequence(patches[None], None, text[None])  # (1, S, D)
        hidden = self.language_model.run(hidden, self.rotary(hidden), 0, layer)[0]  # (S, D)
        return self.text_and_patches(hidden, len(text), len(patches))

    @staticmethod
    def text_and_patches(hidden: Tensor, text: int, patches: int) -> tuple[Tensor, Tensor]:
        """Take text (T, D) and patches (V, D) out of a sequence (S, D) without proprioception."""
        tail = 1 + patches
        prompt = hidden[tail : tail + text - 2]  # (T - 2, D)
        return torch.cat([hidden[:1], prompt, hidden[-1:]]), hidden[1:tail]


def llama_config(config: LlmConfig) -> LlamaConfig:
    """Return the same sizes as ``transformers`` wants them."""
    sizes = asdict(config)
    rope = {"rope_type": "default", "rope_theta": sizes.pop("rope_theta")}
    return LlamaConfig(**sizes, rope_parameters=rope)
