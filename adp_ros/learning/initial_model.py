"""What a run begins with: a new small model, or a checkpoint to fine-tune, and its parts."""

import math
from collections.abc import Collection
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..errors import CheckpointError, ConfigError
from ..policies.conventions import StateLayout, write_convention, write_state_layout
from ..policies.openvla.create import SIZES, NewCheckpoint, write_description
from ..policies.openvla.forward import Clock
from ..policies.openvla.load import PolicyOptions, load_checkpoint, read_parts
from ..policies.openvla.model import OpenVla
from ..policies.openvla.model_config import ModelConfig
from ..policies.openvla.oft_policy import CheckpointParts
from ..types import ACTION_SIZE
from .dataset import DatasetInfo
from .network import TrainingNetwork, fast_attention
from .recipe import LoraSettings, Recipe, Stage
from .run_files import writing

_SCORING = ("input_layernorm.", "self_attn.q_proj.", "self_attn.k_proj.")


def part_of(parameter: str) -> str:
    """Return the part that a parameter of the network belongs to."""
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


def prepare_stage(network: TrainingNetwork, stage: Stage, adapters: Collection[str] | None) -> None:
    """Let the stage's parts be trained, and those training networks that it uses.

    With low-rank ``adapters``, the policy's parameters of these names are trained instead; None
    where the stage's parts say it.
    """
    losses = stage.losses
    if adapters is None:
        choose_parts(network.policy, stage.trains)
    else:
        for name, parameter in network.policy.named_parameters():
            parameter.requires_grad_(name in adapters)
    network.patch_heads.requires_grad_(losses.patches > 0)
    network.readout.requires_grad_(losses.readout > 0)
    if losses.action or losses.readout:
        return
    idle = {"decoder", "head"} | (set() if losses.relevance else {"scoring", "embedding"})
    for name, parameter in network.policy.named_parameters():
        if part_of(name) in idle:
            parameter.requires_grad_(False)


_PLACE = 0.5  # size of the position embedding's waves beside patches of size 1


def new_model(config: ModelConfig, state: int, seed: int) -> OpenVla:
    """Make a model with fresh weights, for a state of so many numbers.

    Matrices keep the size of activations; what is added to the residual stream starts smaller
    with depth; positions of patches start as waves along both axes of the picture.
    """
    random = torch.Generator().manual_seed(seed)
    model = OpenVla(config, ACTION_SIZE, state)
    added = 2 * config.llm.num_hidden_layers
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(_draw(name, parameter, added, random))
    return model


def _draw(name: str, like: Tensor, added: int, random: torch.Generator) -> Tensor:
    if name.endswith("pos_embed"):
        return _waves(like)
    if "embed_tokens" in name:
        return torch.randn(like.shape, generator=random)
    if name.endswith(("cls_token", "reg_token")):
        return 0.02 * torch.randn(like.shape, generator=random)
    if like.ndim == 1:
        return torch.zeros(like.shape) if name.endswith(".bias") else torch.ones(like.shape)
    spread = math.prod(like.shape[1:]) ** -0.5
    if name.endswith(("o_proj.weight", "down_proj.weight")):
        spread *= added**-0.5
    if like.shape[0] == ACTION_SIZE:
        spread *= 0.1
    drawn: Tensor = spread * torch.randn(like.shape, generator=random)
    return drawn


def _waves(like: Tensor) -> Tensor:
    """Return sines and cosines of the patches' columns and rows, shape (1, V, E)."""
    _, patches, width = like.shape
    side = math.isqrt(patches)
    steps = np.linspace(-1.0, 1.0, side)
    y, x = np.meshgrid(steps, steps, indexing="ij")
    axes = np.stack([x.ravel(), y.ravel()])  # (2, V)
    count = max(1, width // 4)
    turns = np.pi * 2.0 ** np.linspace(-1.0, math.log2(side / 2), count)  # (F,)
    angle = axes[:, :, None] * turns  # (2, V, F)
    waves = np.concatenate([np.sin(angle), np.cos(angle)], axis=0)  # (4, V, F)
    flat = waves.transpose(1, 0, 2).reshape(patches, 4 * count)
    out = np.zeros((patches, width))
    out[:, : min(width, 4 * count)] = flat[:, :width]
    return torch.tensor(_PLACE * out, dtype=like.dtype)[None]


@dataclass(frozen=True, slots=True)
class Start:
    """A model to train, in float32, and the files that describe it.

    Attributes:
        parts: What else belongs to it.
        description: Directory with its files besides the weights.
        origin: What it is, in words.
    """

    model: OpenVla
    parts: CheckpointParts
    description: Path
    origin: str


def start_new(recipe: Recipe, info: DatasetInfo, stack: ExitStack) -> Start:
    """Make a new model of the recipe's size; the stack removes the files that describe it.

    Raises:
        ConfigError: There is no such size, or parts of a checkpoint are asked for.
        CheckpointError: The files can't be written.
    """
    if recipe.anew:
        raise ConfigError(
            f"anew is {', '.join(recipe.anew)}: a new model is all new, a checkpoint to fine-tune "
            "is needed"
        )
    if recipe.size not in SIZES:
        raise ConfigError(f"size is {recipe.size!r}, allowed: {', '.join(SIZES)}")
    config = SIZES[recipe.size]
    states = len(info.state)
    with writing(Path(gettempdir()), CheckpointError):
        description = Path(stack.enter_context(TemporaryDirectory()))
        write_description(description, config, NewCheckpoint(seed=recipe.seed, state=states))
        write_convention(description, info.convention)
        write_state_layout(description, StateLayout(info.state))
    parts = read_parts(description, PolicyOptions())
    model = new_model(config, states, recipe.seed)
    return Start(model, parts, description, f"new, size {recipe.size}, seed {recipe.seed}")


def start_from(checkpoint: Path, recipe: Recipe, info: DatasetInfo, clock: Clock) -> Start:
    """Load a checkpoint to fine-tune, onto the CPU: in float32, or as its adapters' base.

    Parts that the recipe names begin with fresh weights.

    Raises:
        CheckpointError: It cannot be loaded, or its state or actions have another meaning than the
            demonstrations'.
    """
    policy = load_checkpoint(checkpoint, PolicyOptions(dtype=recipe.lora.base), clock)
    _check_meaning(checkpoint, policy.parts, info, policy.state_size)
    policy.model.requires_grad_(True)
    origin = f"fine-tuned from {checkpoint.name}"
    if recipe.anew:
        fresh = dict(
            new_model(policy.parts.config, len(info.state), recipe.seed).named_parameters()
        )
        with torch.no_grad():
            for name, parameter in policy.model.named_parameters():
                if part_of(name) in recipe.anew:
                    parameter.copy_(fresh[name])
        origin += f", {', '.join(recipe.anew)} anew with seed {recipe.seed}"
    return Start(policy.model, policy.parts, checkpoint, origin)


def add_lora(model: OpenVla, settings: LoraSettings) -> nn.Module:
    """Put low-rank adapters on every linear layer of towers, projector and decoder.

    The action head and the projector of proprioception stay trained as a whole, as upstream does.

    Raises:
        ConfigError: The package ``peft`` is not installed.
    """
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise ConfigError(
            "lora.rank needs the package peft, install it: pip install peft"
        ) from error
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        target_modules="all-linear",
        exclude_modules=r"(action_head|proprio_projector)\..*",
        init_lora_weights="gaussian",
    )
    wrapped = get_peft_model(model, config)
    for part in (model.action_head, model.proprio_projector):
        if part is not None:
            part.float().requires_grad_(True)
    network: nn.Module = wrapped
    return network


def recompute_activations(model: OpenVla, device: torch.device) -> None:
    """Let each block of towers and decoder keep its inputs only, and run again when needed.

    On the device where it is trained, attention is the same when a block runs again.
    """
    towers = model.vision_backbone
    blocks = (*towers.featurizer.blocks, *towers.fused_featurizer.blocks)
    for block in (*blocks, *model.language_model.layers):
        block.forward = partial(
            checkpoint,
            block.forward,
            use_reentrant=False,
            context_fn=lambda: (nullcontext(), fast_attention(device)),
        )


def merge_lora(wrapped: nn.Module) -> OpenVla:
    """Return the model with the adapters' changes in its weights.

    Raises:
        TypeError: This is no model with adapters.
    """
    from peft import PeftModel

    if not isinstance(wrapped, PeftModel):
        raise TypeError(f"{type(wrapped).__name__} has no adapters")
    merged = wrapped.merge_and_unload(safe_merge=True)
    if not isinstance(merged, OpenVla):
        raise TypeError(f"merging gave a {type(merged).__name__}")
    return merged


def _check_meaning(
    checkpoint: Path, parts: CheckpointParts, info: DatasetInfo, states: int | None
) -> None:
    if parts.layout is not None and parts.layout.names != info.state:
        raise CheckpointError(
            f"{checkpoint} takes the state {', '.join(parts.layout.names)}, the demonstrations "
            f"hold {', '.join(info.state)}"
        )
    if states is not None and states != len(info.state):
        raise CheckpointError(
            f"{checkpoint} takes a state of {states} numbers, the demonstrations hold "
            f"{len(info.state)}"
        )
    if parts.convention is not None and parts.convention != info.convention:
        raise CheckpointError(
            f"{checkpoint} has actions of {parts.convention}, the demonstrations of "
            f"{info.convention}"
        )
