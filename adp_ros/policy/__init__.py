"""OpenVLA-OFT policies. Importing this package imports neither torch nor transformers."""

import time
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..types import Observation
from .options import PolicyOptions
from .result import Prediction, StageTimes

if TYPE_CHECKING:
    from .openvla import OpenVlaPolicy

__all__ = [
    "Observation",
    "PolicyOptions",
    "Prediction",
    "StageTimes",
    "load_policy",
]


def load_policy(
    checkpoint_dir: str | PathLike[str],
    device: str = "cpu",
    dtype: str | None = None,
    unnorm_key: str | None = None,
    **options: Any,
) -> "OpenVlaPolicy":
    """Load an OpenVLA-OFT fine-tune with the L1 head.

    Files are read as data: no code of the checkpoint is executed, no network is touched.

    Args:
        checkpoint_dir: Directory as upstream's fine-tuning leaves it.
        device: ``cpu``, ``cuda`` or ``cuda:1`` and so on.
        dtype: ``float32`` or ``bfloat16``; None for bfloat16 on CUDA and float32 on the CPU.
        unnorm_key: Data set whose statistics are used, None for the only one.
        options: Further settings of :class:`PolicyOptions`.

    Returns:
        The policy; ``predict(observation, pruner)`` plans a chunk.

    Raises:
        CheckpointError: The directory is incomplete, corrupt or of an unsupported kind.
        ConfigError: A setting is unknown or out of range.
    """
    from .load import load_checkpoint  # torch takes seconds

    chosen = PolicyOptions(
        device=device, dtype=dtype or "auto", unnorm_key=unnorm_key or "", **options
    )
    return load_checkpoint(Path(checkpoint_dir), chosen, time.perf_counter)
