"""Write a trained model as a checkpoint in the layout of an OpenVLA-OFT fine-tune."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import save_file
from torch import Tensor

from ..policy.config import ModelConfig
from ..policy.description import write_json
from ..policy.files import ACTION_HEAD, PROPRIO_PROJECTOR, SINGLE_FILE
from ..policy.keys import COMPONENTS, source
from ..policy.layout import model_shapes
from ..policy.model import OpenVla
from ..policy.new_directory import new_directory
from ..policy.statistics import STATISTICS_FILE
from ..training_file import TRAINING_FILE

_DESCRIPTION: Final = ("*.json", "tokenizer.model")


def write_checkpoint(
    directory: Path,
    model: OpenVla,
    config: ModelConfig,
    *,
    description: Path,
    statistics: Mapping[str, Any],
    training: Mapping[str, Any],
) -> None:
    """Write a checkpoint; tensors that the L1 head never reads are zeros.

    Args:
        directory: New or empty.
        model: Trained.
        config: Its sizes.
        description: Directory with every other file of the checkpoint.
        statistics: What ``dataset_statistics.json`` holds.
        training: What ``training.json`` holds: how the checkpoint came about.

    Raises:
        ConfigError: The directory has files in it.
        CheckpointError: It cannot be written.
    """
    tensors = merged(model)
    step = int(training["steps"])
    with new_directory(directory) as work:
        for pattern in _DESCRIPTION:
            for path in sorted(description.glob(pattern)):
                if not path.name.endswith(".index.json"):
                    shutil.copyfile(path, work / path.name)
        write_json(work / STATISTICS_FILE, dict(statistics))
        write_json(work / TRAINING_FILE, dict(training))
        weights = {
            key: tensors.get(key, torch.zeros(shape)).to(torch.bfloat16).contiguous()
            for key, shape in model_shapes(config).items()
        }
        save_file(weights, work / SINGLE_FILE, metadata={"format": "pt"})
        for name in COMPONENTS:
            _write_component(work, name, tensors, step)


def merged(model: OpenVla) -> dict[str, Tensor]:
    """Return upstream's key -> tensor, with query, key and value of the towers joined."""
    parts: dict[str, dict[int, Tensor]] = {}
    for name, parameter in model.named_parameters():
        origin = source(name)
        parts.setdefault(origin.key, {})[origin.third or 0] = parameter.detach().cpu()
    return {
        key: torch.cat([thirds[i] for i in sorted(thirds)]) if len(thirds) > 1 else thirds[0]
        for key, thirds in parts.items()
    }


def _write_component(directory: Path, name: str, tensors: Mapping[str, Tensor], step: int) -> None:
    dtype = torch.float32 if name == PROPRIO_PROJECTOR else torch.bfloat16
    own = {
        f"module.{key.removeprefix(f'{name}.')}": tensor.to(dtype)
        for key, tensor in tensors.items()
        if key.startswith(f"{name}.")
    }
    if own or name == ACTION_HEAD:
        torch.save(own, directory / f"{name}--{step}_checkpoint.pt")
