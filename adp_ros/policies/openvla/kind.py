"""OpenVLA-OFT fine-tunes as a kind of policy; torch is imported when one is loaded."""

import time
from pathlib import Path
from typing import Any

from ...settings import config_from_mapping
from ..checkpoints import read_json
from ..policy import Policy, PolicyInfo


def recognises(directory: Path) -> bool:
    """Tell whether ``config.json`` names the model type ``openvla``."""
    path = directory / "config.json"
    return path.is_file() and read_json(path).get("model_type") == "openvla"


def inspect(directory: Path) -> PolicyInfo:
    """Describe a checkpoint without loading its weights.

    Raises:
        CheckpointError: It is incomplete, corrupt or of an unsupported kind.
    """
    from .describe import inspect_checkpoint

    return inspect_checkpoint(directory)


def load(
    directory: Path, *, device: str, dtype: str | None, unnorm_key: str | None, **options: Any
) -> Policy:
    """Load a fine-tune with the L1 head; ``options`` are those of :class:`.load.PolicyOptions`.

    Raises:
        CheckpointError: The directory is incomplete, corrupt or of an unsupported kind.
        ConfigError: A setting is unknown or out of range.
    """
    from .load import PolicyOptions, load_checkpoint

    chosen = options | {"dtype": dtype or "auto", "unnorm_key": unnorm_key or ""}
    settings = config_from_mapping(PolicyOptions, chosen | {"device": device}, "policy")
    return load_checkpoint(directory, settings, time.perf_counter)
