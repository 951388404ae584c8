"""What a run begins with: a new small model, or a checkpoint to fine-tune."""

from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

from ..errors import CheckpointError, ConfigError
from ..policy.convention import write_convention
from ..policy.description import write_description
from ..policy.load import load_checkpoint, read_parts
from ..policy.model import OpenVla
from ..policy.openvla import CheckpointParts
from ..policy.options import PolicyOptions
from ..policy.sizes import SIZES, NewCheckpoint
from ..policy.state_layout import StateLayout, read_state_layout, write_state_layout
from ..policy.stopwatch import Clock
from ..types import ActionConvention
from .initialise import new_model
from .parts import part_of
from .recipe import LoraSettings, Recipe


@dataclass(frozen=True, slots=True)
class DataMeaning:
    """What the numbers of the demonstrations mean.

    Attributes:
        state: Names of the proprioceptive numbers.
        convention: Frames and rotation of the actions.
    """

    state: tuple[str, ...]
    convention: ActionConvention


@dataclass(frozen=True, slots=True)
class Start:
    """A model to train and the files that describe it.

    Attributes:
        model: With its weights, float32.
        parts: What else belongs to it.
        description: Directory with its files besides the weights.
        origin: What it is, in words.
    """

    model: OpenVla
    parts: CheckpointParts
    description: Path
    origin: str


def start_new(recipe: Recipe, meaning: DataMeaning, stack: ExitStack) -> Start:
    """Make a new model of the recipe's size.

    Args:
        recipe: Size and seed.
        meaning: Of the demonstrations, declared beside the weights.
        stack: Removes the files that describe it.

    Raises:
        ConfigError: There is no such size, or parts of a checkpoint are asked for.
    """
    if recipe.anew:
        raise ConfigError(
            f"anew is {', '.join(recipe.anew)}: a new model is all new, a checkpoint to fine-tune "
            "is needed"
        )
    if recipe.size not in SIZES:
        raise ConfigError(f"size is {recipe.size!r}, allowed: {', '.join(SIZES)}")
    config = SIZES[recipe.size]
    states = len(meaning.state)
    description = Path(stack.enter_context(TemporaryDirectory()))
    write_description(description, config, NewCheckpoint(seed=recipe.seed, state=states))
    write_convention(description, meaning.convention)
    write_state_layout(description, StateLayout(meaning.state))
    parts = read_parts(description, PolicyOptions())
    model = new_model(config, states, recipe.seed)
    return Start(model, parts, description, f"new, size {recipe.size}, seed {recipe.seed}")


def start_from(checkpoint: Path, recipe: Recipe, meaning: DataMeaning, clock: Clock) -> Start:
    """Load a checkpoint to fine-tune, with float32 weights on the CPU.

    Args:
        checkpoint: Its directory.
        recipe: Parts that begin with fresh weights, and the seed of those.
        meaning: Of the demonstrations.
        clock: Times the loading.

    Raises:
        CheckpointError: It cannot be loaded, or its state or actions mean other things than the
            demonstrations'.
    """
    policy = load_checkpoint(checkpoint, PolicyOptions(dtype="float32"), clock)
    _check_meaning(checkpoint, policy.parts, meaning, policy.state_size)
    policy.model.requires_grad_(True)
    origin = f"fine-tuned from {checkpoint.name}"
    if recipe.anew:
        fresh = new_model(policy.parts.config, len(meaning.state), recipe.seed)
        _put_in(policy.model, fresh, recipe.anew)
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
            part.requires_grad_(True)
    network: nn.Module = wrapped
    return network


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


@torch.no_grad()
def _put_in(model: OpenVla, fresh: OpenVla, parts: Collection[str]) -> None:
    weights = dict(fresh.named_parameters())
    for name, parameter in model.named_parameters():
        if part_of(name) in parts:
            parameter.copy_(weights[name])


def _check_meaning(
    checkpoint: Path, parts: CheckpointParts, meaning: DataMeaning, states: int | None
) -> None:
    layout = read_state_layout(checkpoint)
    declared: Sequence[str] | None = None if layout is None else layout.names
    if declared is not None and tuple(declared) != meaning.state:
        raise CheckpointError(
            f"{checkpoint} takes the state {', '.join(declared)}, the demonstrations hold "
            f"{', '.join(meaning.state)}"
        )
    if states is not None and states != len(meaning.state):
        raise CheckpointError(
            f"{checkpoint} takes a state of {states} numbers, the demonstrations hold "
            f"{len(meaning.state)}"
        )
    if parts.convention is not None and parts.convention != meaning.convention:
        raise CheckpointError(
            f"{checkpoint} has actions of {parts.convention}, the demonstrations of "
            f"{meaning.convention}"
        )
