"""OpenVLA-OFT fine-tunes as a kind of policy; torch is imported when one is loaded."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...settings import config_from_mapping
from ..checkpoints import read_json
from ..policy import Policy, PolicyInfo


def recognises(directory: Path) -> bool:
    """Tell whether ``config.json`` names ``openvla``, and parts of a fine-tune lie beside it.

    Weights without such parts are OpenVLA's own, which speaks in tokens; a directory without any
    weights is taken for a fine-tune too, whose loader says what is missing.
    """
    return names_openvla(directory) and (has_parts(directory) or not has_weights(directory))


def names_openvla(directory: Path) -> bool:
    """Tell whether ``config.json`` names the model type ``openvla``."""
    path = directory / "config.json"
    return path.is_file() and read_json(path).get("model_type") == "openvla"


def has_parts(directory: Path) -> bool:
    """Tell whether action head, projector or adapter of an OpenVLA-OFT fine-tune are there."""
    adapter = (directory / "lora_adapter").is_dir()
    return adapter or any(directory.glob("*--*checkpoint.pt"))


def has_weights(directory: Path) -> bool:
    """Tell whether there are files of weights."""
    return any(directory.glob("*.safetensors"))


def inspect(directory: Path) -> PolicyInfo:
    """See :class:`.PolicyKind`."""
    from .describe import inspect_checkpoint

    return inspect_checkpoint(directory)


def load(
    directory: Path, *, device: str, dtype: str | None, unnorm_key: str | None, **options: Any
) -> Policy:
    """See :class:`.PolicyKind`; ``options`` are those of :class:`.load.PolicyOptions`."""
    from .load import PolicyOptions, load_checkpoint

    chosen = options | {"dtype": dtype or "auto", "unnorm_key": unnorm_key or ""}
    settings = config_from_mapping(PolicyOptions, chosen | {"device": device}, "policy")
    return load_checkpoint(directory, settings, time.perf_counter)


def random_policy(size: str, *, views: int, seed: int, device: str, dtype: str) -> Policy:
    """Make a policy with random weights, to time and to test with; its actions mean nothing.

    Its size is one of :data:`.create.SIZES`.

    Raises:
        ConfigError: The device is unknown or not there.
    """
    from .create import SIZES, NewCheckpoint, random_policy
    from .load import PolicyOptions

    options = PolicyOptions(device=device, dtype=dtype)
    sizes = replace(SIZES[size], views=views)
    return random_policy(sizes, NewCheckpoint(seed=seed), options, time.perf_counter)
