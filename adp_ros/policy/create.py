"""Make a checkpoint with random weights in the layout of an OpenVLA-OFT fine-tune.

Everything upstream's fine-tuning leaves behind is there but ``tokenizer.model``, so that whatever
loads a real checkpoint is exercised. Its actions mean nothing.
"""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import torch
from safetensors.torch import save_file

from ..types import ACTION_SIZE
from .config import ModelConfig
from .description import write_description, write_json
from .files import ACTION_HEAD, INDEX_FILE, PROPRIO_PROJECTOR, SINGLE_FILE
from .layout import Shapes, action_head_shapes, model_shapes, proprio_projector_shapes
from .new_directory import new_directory
from .sizes import NewCheckpoint

_SUFFIX: Final = "--latest_checkpoint.pt"
_EMBEDDING: Final = ("embed_tokens", "pos_embed", "cls_token", "reg_token", "latent")
_SPREAD: Final = 0.02  # of embeddings and biases
_NORM_SPREAD: Final = 0.1  # of norm weights around 1
_ACTION_SPREAD: Final = 0.1  # of the head's outputs
_HALF_OPEN: Final = 0.5  # gripper around which they lie


def create_checkpoint(
    directory: Path, model: ModelConfig, settings: NewCheckpoint | None = None
) -> None:
    """Write a checkpoint with random weights; holds one shard in memory at a time.

    Args:
        directory: New or empty; on any error it is left as it was.
        model: Sizes, such as one of :data:`adp_ros.policy.sizes.SIZES`.
        settings: Seed, state size and names; None for the defaults.

    Raises:
        ConfigError: The directory has files in it.
        CheckpointError: It cannot be written.
    """
    settings = settings or NewCheckpoint()
    random = torch.Generator().manual_seed(settings.seed)
    hidden = model.llm.hidden_size
    with new_directory(directory) as work:
        _write_model(work, model, settings.shard_bytes, random)
        _write_component(work, ACTION_HEAD, action_head_shapes(hidden, ACTION_SIZE), random)
        if settings.state:
            shapes = proprio_projector_shapes(hidden, settings.state)
            _write_component(work, PROPRIO_PROJECTOR, shapes, random, torch.float32)
        write_description(work, model, settings)


def _write_model(directory: Path, model: ModelConfig, limit: int, random: torch.Generator) -> None:
    shapes = model_shapes(model)
    shards = list(_shards(shapes, limit))
    weight_map: dict[str, str] = {}
    for i, keys in enumerate(shards, start=1):
        many = f"model-{i:05d}-of-{len(shards):05d}.safetensors"
        name = many if len(shards) > 1 else SINGLE_FILE
        tensors = {key: draw_weight(key, shapes[key], random).bfloat16() for key in keys}
        save_file(tensors, directory / name, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(keys, name)
    if len(shards) > 1:
        total = sum(_bytes(shape) for shape in shapes.values())
        index = {"metadata": {"total_size": total}, "weight_map": weight_map}
        write_json(directory / INDEX_FILE, index)


def _shards(shapes: Shapes, limit: int) -> Iterable[list[str]]:
    keys: list[str] = []
    size = 0
    for key, shape in shapes.items():
        if keys and size + _bytes(shape) > limit:
            yield keys
            keys, size = [], 0
        keys.append(key)
        size += _bytes(shape)
    yield keys


def _bytes(shape: tuple[int, ...]) -> int:
    return 2 * math.prod(shape)  # bfloat16


def _write_component(
    directory: Path,
    name: str,
    shapes: Shapes,
    random: torch.Generator,
    dtype: torch.dtype = torch.bfloat16,
) -> None:
    tensors = {
        f"module.{key}": draw_weight(key, shape, random).to(dtype) for key, shape in shapes.items()
    }
    torch.save(tensors, directory / f"{name}{_SUFFIX}")


def draw_weight(
    key: str,
    shape: tuple[int, ...],
    random: torch.Generator,
    dtype: torch.dtype = torch.float32,
) -> torch.Tensor:
    """Draw values that keep activations near 1 through any number of layers.

    Actions come out small, with the gripper about half open, so that an arm may execute them.

    Args:
        key: Name of the parameter; it tells weights, biases, norms and embeddings apart.
        shape: Its shape.
        random: Draws on its own device, where the result lives.
        dtype: Type of the result.
    """
    values = torch.randn(shape, generator=random, device=random.device, dtype=dtype)
    last = shape[0] == ACTION_SIZE  # layer of the head
    if key.endswith(".bias") or any(name in key for name in _EMBEDDING):
        values.mul_(_SPREAD)
        if last:
            values[-1] += _HALF_OPEN
        return values
    if len(shape) == 1:
        return values.mul_(_NORM_SPREAD).add_(1)
    return values.mul_((_ACTION_SPREAD if last else 1) * math.prod(shape[1:]) ** -0.5)
