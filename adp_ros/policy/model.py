"""The whole network: towers, projectors, decoder and head, and the token sequence between them.

Sequence: BOS | vision patches | proprioception | rest of the prompt | one empty slot per action
number | stop. The text is one tensor, BOS, prompt and stop in their order; the slots are zeros.
"""

from typing import Final

import torch
from torch import Tensor, nn
from transformers import LlamaConfig

from .config import LlmConfig, ModelConfig
from .heads import ActionHead, ProprioProjector, VisionProjector
from .llama import Decoder
from .vision import VisionBackbone

AFTER_SLOTS: Final = 1  # the stop token


class OpenVla(nn.Module):
    """OpenVLA-OFT with the L1 head.

    Attributes:
        slots: Empty tokens the decoder fills, one per number of the chunk.
    """

    def __init__(self, config: ModelConfig, action_size: int, state_size: int | None) -> None:
        """Build the layers, with whatever values the memory holds.

        Args:
            config: Sizes.
            action_size: Numbers of one action.
            state_size: Numbers of the proprioceptive state, None when the model takes none.
        """
        super().__init__()
        hidden = config.llm.hidden_size
        self.slots = config.chunk_length * action_size
        self.vision_backbone = VisionBackbone(config.dino, config.siglip)
        self.projector = VisionProjector(config.vision_width, hidden)
        self.language_model = Decoder(llama_config(config.llm))
        self.action_head = ActionHead(hidden, action_size)
        self.proprio_projector = ProprioProjector(state_size, hidden) if state_size else None

    def see(self, pixels: Tensor) -> Tensor:
        """Turn pixel values (B, 6 * views, H, W) into patch tokens (B, V, D)."""
        return self.projector(self.vision_backbone(pixels))  # type: ignore[no-any-return]

    def sequence(self, patches: Tensor, proprio: Tensor | None, text: Tensor) -> Tensor:
        """Join the tokens.

        Args:
            patches: Shape (B, V, D).
            proprio: Shape (B, 1, D), or None for no such token.
            text: BOS, prompt and stop, shape (B, T, D).

        Returns:
            Shape (B, S, D).
        """
        slots = text.new_zeros(len(text), self.slots, text.shape[2])  # (B, A, D)
        tail = text.shape[1] - AFTER_SLOTS
        parts = [text[:, :1], patches, proprio, text[:, 1:tail], slots, text[:, tail:]]
        return torch.cat([p for p in parts if p is not None], dim=1)  # (B, S, D)

    def action_rows(self, length: int, offset: int = 0) -> slice:
        """Return the rows the head reads from a sequence of some length.

        Args:
            length: Tokens in the sequence.
            offset: 0 begins at the last prompt token, since each row predicts the next token
                (OpenVLA-OFT); 1 begins at the first slot (the released ADP code).
        """
        start = length - AFTER_SLOTS - self.slots - 1 + offset
        return slice(start, start + self.slots)


def llama_config(config: LlmConfig) -> LlamaConfig:
    """Return the same sizes as ``transformers`` wants them."""
    return LlamaConfig(
        hidden_size=config.hidden_size,
        intermediate_size=config.intermediate_size,
        num_hidden_layers=config.num_hidden_layers,
        num_attention_heads=config.num_attention_heads,
        num_key_value_heads=config.num_key_value_heads,
        rms_norm_eps=config.rms_norm_eps,
        rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta},
        max_position_embeddings=config.max_position_embeddings,
        vocab_size=config.vocab_size,
    )
