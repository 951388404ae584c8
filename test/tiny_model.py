"""A tiny random network with the true sequence, and the stock Llama with the same weights."""

from dataclasses import dataclass
from functools import lru_cache

import torch
from transformers import LlamaModel

from adp_ros.policies.openvla.forward import FrameTokens
from adp_ros.policies.openvla.model import OpenVla, llama_config
from adp_ros.policies.openvla.model_config import LlmConfig, ModelConfig, TowerConfig

PATCHES = 256
SLOTS = 56
LLM = LlmConfig(
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=3,
    num_attention_heads=4,
    num_key_value_heads=2,
    vocab_size=64,
)
TOWER = TowerConfig(
    timm_id="tiny", kind="siglip", width=8, depth=2, heads=2, intermediate=16, registers=1
)


@lru_cache(maxsize=1)
def tiny_model():
    """Return a network whose language model has grouped keys and weights large enough to matter."""
    torch.manual_seed(3)
    model = OpenVla(ModelConfig(dino=TOWER, siglip=TOWER, llm=LLM), 7, 8)
    for name, parameter in model.named_parameters():
        spread = 0.1 if "norm" in name else 0.4
        torch.nn.init.normal_(parameter, std=spread)
        if "norm" in name and name.endswith("weight"):
            parameter.data += 1
    return model.requires_grad_(False).eval()


@lru_cache(maxsize=1)
def stock_llama():
    """Return transformers' own Llama with the same weights."""
    config = llama_config(LLM)
    config._attn_implementation = "eager"
    llama = LlamaModel(config)
    llama.load_state_dict(tiny_model().language_model.state_dict(), strict=True)
    return llama.requires_grad_(False).eval()


@dataclass(frozen=True)
class Frame:
    """Random input of the language model.

    Attributes:
        patches: Shape (V, 32).
        proprio: Shape (32,), or None.
        text: BOS, prompt and stop, shape (T, 32).
        views: Number of views.
    """

    patches: torch.Tensor
    proprio: torch.Tensor | None
    text: torch.Tensor
    views: int

    @property
    def tokens(self):
        """The same as the forward pass takes it."""
        return FrameTokens(
            views=self.views,
            pixels=torch.zeros(6 * self.views, 224, 224),
            patches=self.patches[None],
            proprio=None if self.proprio is None else self.proprio[None, None],
            text=self.text[None],
            folded=tiny_model().fold_text(0, self.text),
        )


def frame(seed, views=1, prompt=12, proprio=True):
    """Return a random frame.

    Args:
        seed: Of the numbers.
        views: Number of views.
        prompt: Tokens of the prompt with BOS.
        proprio: True for a token of proprioception.
    """
    random = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, generator=random)  # noqa: E731
    return Frame(
        draw(views * PATCHES, 32), draw(32) if proprio else None, draw(prompt + 1, 32), views
    )


def stock_hidden(frame, kept=None, *, positions=None, proprio=True):
    """Run the stock Llama over a frame, without any mask.

    Args:
        frame: The frame.
        kept: Patches that enter, in their order; None for all.
        positions: Position of each token; None counts from 0.
        proprio: False leaves the token of proprioception out.

    Returns:
        Input of each layer and output of the final norm, each of shape (S, 32).
    """
    patches = frame.patches if kept is None else torch.stack([frame.patches[i] for i in kept])
    rows = [frame.text[0], *patches]
    if proprio and frame.proprio is not None:
        rows.append(frame.proprio)
    rows += [*frame.text[1:-1], *torch.zeros(SLOTS, 32), frame.text[-1]]
    length = len(rows)
    out = stock_llama()(
        inputs_embeds=torch.stack(rows)[None],
        attention_mask=torch.zeros(1, 1, length, length),
        position_ids=None if positions is None else positions[None],
        output_hidden_states=True,
        use_cache=False,
    )
    return [hidden[0] for hidden in out.hidden_states]
