"""Which checkpoint tensor fills which parameter.

Upstream checkpoints name the decoder as ``transformers`` does and the towers as timm does, where
query, key and value weights are one tensor; ours come from ``transformers``, which keeps them
apart.
"""

import re
from dataclasses import dataclass
from typing import Final

_DINO: Final = {
    "norm1": "norm1",
    "attention.q_proj": "attn.qkv",
    "attention.k_proj": "attn.qkv",
    "attention.v_proj": "attn.qkv",
    "attention.o_proj": "attn.proj",
    "layer_scale1.lambda1": "ls1.scale_factor",
    "norm2": "norm2",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
    "layer_scale2.lambda1": "ls2.scale_factor",
}
_SIGLIP: Final = {
    "layer_norm1": "norm1",
    "self_attn.q_proj": "attn.qkv",
    "self_attn.k_proj": "attn.qkv",
    "self_attn.v_proj": "attn.qkv",
    "self_attn.out_proj": "attn.proj",
    "layer_norm2": "norm2",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}
_BLOCK: Final = re.compile(
    r"(?P<tower>vision_backbone\.(?P<kind>featurizer|fused_featurizer))\.blocks\.(?P<index>\d+)\."
    r"(?P<name>.+?)(?P<end>\.weight|\.bias|)"
)
_THIRDS: Final = {"q_proj": 0, "k_proj": 1, "v_proj": 2}
COMPONENTS: Final = ("action_head", "proprio_projector")


@dataclass(frozen=True, slots=True)
class Source:
    """Where the values of one parameter come from.

    Attributes:
        key: Tensor in the checkpoint; those of a ``.pt`` file begin with its component's name.
        third: Third of the tensor's rows (0 query, 1 key, 2 value), None for all.
    """

    key: str
    third: int | None = None


def source(parameter: str) -> Source:
    """Return the source of a parameter of :class:`~adp_ros.policy.model.OpenVla`."""
    if parameter.startswith("language_model."):
        return Source(parameter.replace("language_model.", "language_model.model.", 1))
    if parameter.startswith("action_head."):
        return Source(parameter.replace("action_head.", "action_head.model.", 1))
    block = _BLOCK.fullmatch(parameter)
    if block is None:
        return Source(parameter)
    names = _DINO if block["kind"] == "featurizer" else _SIGLIP
    key = f"{block['tower']}.blocks.{block['index']}.{names[block['name']]}{block['end']}"
    return Source(key, _THIRDS.get(block["name"].rsplit(".", 1)[-1]))
