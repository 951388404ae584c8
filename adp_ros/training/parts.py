"""Named parts of a model, for recipes that train some of them."""

from collections.abc import Collection

from torch import nn

from .network import TrainingNetwork
from .recipe import Stage

_SCORING = ("input_layernorm.", "self_attn.q_proj.", "self_attn.k_proj.")


def part_of(parameter: str) -> str:
    """Return the part that a parameter of :class:`~adp_ros.policy.model.OpenVla` belongs to."""
    if parameter.startswith("vision_backbone."):
        return "towers"
    if parameter.startswith("projector."):
        return "projector"
    if parameter.startswith("language_model.embed_tokens."):
        return "embedding"
    if parameter.startswith(tuple(f"language_model.layers.0.{name}" for name in _SCORING)):
        return "scoring"
    return "decoder" if parameter.startswith("language_model.") else "head"


def choose_parts(policy: nn.Module, trains: Collection[str]) -> None:
    """Let only the parameters of some parts be trained."""
    for name, parameter in policy.named_parameters():
        parameter.requires_grad_(part_of(name) in trains)


def prepare_stage(network: TrainingNetwork, stage: Stage, *, adapters: bool) -> None:
    """Let the stage's parts be trained, and those training networks that it uses.

    Args:
        network: Policy and training networks.
        stage: What is trained and with which losses.
        adapters: True when low-rank adapters say what is trained in the policy.
    """
    losses = stage.losses
    if not adapters:
        choose_parts(network.policy, stage.trains)
    network.patch_heads.requires_grad_(losses.patches > 0)
    network.readout.requires_grad_(losses.readout > 0)
    if losses.action or losses.readout:
        return
    idle = {"decoder", "head"} | (set() if losses.relevance else {"scoring", "embedding"})
    for name, parameter in network.policy.named_parameters():
        if part_of(name) in idle:
            parameter.requires_grad_(False)
