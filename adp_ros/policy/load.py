"""From a checkpoint directory to a policy."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import torch

from ..errors import CheckpointError, ConfigError
from .config import ModelConfig, read_config
from .convention import read_convention
from .files import ACTION_HEAD, PROPRIO_PROJECTOR, CheckpointFiles, load_component
from .graphs import EagerRunner, GraphRunner
from .model import OpenVla
from .openvla import CheckpointParts, OpenVlaPolicy
from .options import PolicyOptions
from .preprocess import Preprocessor
from .statistics import Statistics, load_statistics
from .stopwatch import Clock
from .tokenizer import PromptTokenizer
from .weights import Components, fill

_TYPES: Final[Mapping[str, torch.dtype]] = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
}


def load_checkpoint(directory: Path, options: PolicyOptions, clock: Clock) -> OpenVlaPolicy:
    """Load a checkpoint.

    Args:
        directory: Directory as upstream's fine-tuning leaves it.
        options: Choices of the user.
        clock: Monotonic time in [s].

    Raises:
        CheckpointError: The directory is incomplete, corrupt or of an unsupported kind.
        ConfigError: The device is unknown or not there.
    """
    device, dtype = placement(options)
    files = CheckpointFiles.find(directory)
    files.component(ACTION_HEAD)
    parts = read_parts(directory, options)
    components = {name: load_component(path) for name, path in files.components.items()}
    model = _empty_model(parts.config, components, parts.statistics, directory)
    unused = fill(model, files, components, device, dtype)
    return assemble(model, replace(parts, unused_keys=unused), options, clock)


def read_parts(directory: Path, options: PolicyOptions) -> CheckpointParts:
    """Read what a checkpoint holds besides its weights.

    Raises:
        CheckpointError: A file is missing, broken or of an unsupported kind.
    """
    return CheckpointParts(
        config=read_config(directory),
        statistics=load_statistics(directory, options.unnorm_key or None),
        tokenizer=PromptTokenizer(directory),
        preprocessor=Preprocessor.from_checkpoint(directory, options.center_crop),
        convention=read_convention(directory),
        unused_keys=(),
    )


def assemble(
    model: OpenVla, parts: CheckpointParts, options: PolicyOptions, clock: Clock
) -> OpenVlaPolicy:
    """Put a filled model and its parts together; on CUDA its stages are captured as graphs."""
    device = next(model.parameters()).device
    if device.type == "cuda":
        torch.cuda.set_device(device)  # streams and events belong to the current device
    return OpenVlaPolicy(
        model.eval().to(device),  # the rotation's frequencies, which no checkpoint holds
        parts,
        run=GraphRunner() if device.type == "cuda" else EagerRunner(),
        clock=clock,
        row_offset=0 if options.action_slice == "trained" else 1,
        constant_proprio="training" if options.constant_proprio == "training" else "inference",
    )


def placement(options: PolicyOptions) -> tuple[torch.device, torch.dtype]:
    """Return device and type of the weights.

    Raises:
        ConfigError: The device is unknown or not there.
    """
    device = _device(options.device)
    default = "bfloat16" if device.type == "cuda" else "float32"
    return device, _TYPES[default if options.dtype == "auto" else options.dtype]


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device is {name!r}, allowed: cpu, cuda, cuda:<number>") from error
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"device is {name!r}, allowed: cpu, cuda, cuda:<number>")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(
            f"device is {name!r}, but torch {torch.__version__} sees {torch.cuda.device_count()} "
            "CUDA devices"
        )
    return device


def _empty_model(
    config: ModelConfig, components: Components, statistics: Statistics, directory: Path
) -> OpenVla:
    action = _size(components, f"{ACTION_HEAD}.model.fc2.weight", 0, directory)
    state = None
    if PROPRIO_PROJECTOR in components:
        state = _size(components, f"{PROPRIO_PROJECTOR}.fc1.weight", 1, directory)
    if action != statistics.action.size:
        raise CheckpointError(
            f"{directory}: the action head gives {action} numbers, the statistics of "
            f"{statistics.name!r} have {statistics.action.size}"
        )
    known = None if statistics.proprio is None else statistics.proprio.size
    if state is not None and state != known:
        raise CheckpointError(
            f"{directory}: the proprio projector takes {state} numbers, the statistics of "
            f"{statistics.name!r} have {known or 'none'}"
        )
    with torch.device("meta"):
        return OpenVla(config, action, state)


def _size(components: Components, key: str, dimension: int, directory: Path) -> int:
    component, _, name = key.partition(".")
    tensor = components[component].get(name)
    if tensor is None or tensor.ndim <= dimension:
        raise CheckpointError(f"{directory} lacks a matrix {key}")
    return tensor.shape[dimension]
