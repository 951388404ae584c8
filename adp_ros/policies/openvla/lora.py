"""Merge the LoRA adapter of an unmerged fine-tune into its base model.

Upstream merges during training by default; a run with ``merge_lora_during_training False`` leaves
only ``lora_adapter/``. Merging follows PEFT: W + scaling * B A, scaling = alpha / r (alpha /
sqrt(r) for rank-stabilised LoRA). The sum is rounded to the base's type once.
"""

import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ...errors import CheckpointError
from ..checkpoints import read_json
from .weight_files import INDEX_FILE, LORA_DIRECTORY, check_finite, find_weights, new_directory

ADAPTER_WEIGHTS: Final = "adapter_model.safetensors"
ADAPTER_CONFIG: Final = "adapter_config.json"
_PREFIX: Final = "base_model.model."
# PEFT options that change the sum, and the values under which they do not
_PLAIN: Final[dict[str, tuple[Any, ...]]] = {
    "peft_type": ("LORA",),
    "use_dora": (False, None),
    "fan_in_fan_out": (False, None),
    "bias": ("none", None),
    "rank_pattern": ({}, None),
    "alpha_pattern": ({}, None),
    "modules_to_save": (None, []),
    "layer_replication": (None, []),
}


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter.

    Attributes:
        factors: Key of a base weight -> (A, B), shapes (r, in) and (out, r).
    """

    factors: dict[str, tuple[torch.Tensor, torch.Tensor]]
    scaling: float

    def delta(self, key: str) -> torch.Tensor:
        """Return what a base weight gains, shape (out, in), float32."""
        a, b = self.factors[key]
        return self.scaling * (b.float() @ a.float())


def read_adapter(directory: Path) -> Adapter:
    """Read a PEFT adapter directory.

    Raises:
        CheckpointError: A file is missing or damaged, or the adapter is no plain LoRA.
    """
    path = directory / ADAPTER_CONFIG
    values = read_json(path)
    for name, allowed in _PLAIN.items():
        if values.get(name, allowed[0]) not in allowed:
            raise CheckpointError(f"{path}: {name} is {values[name]!r}, supported: {allowed[0]!r}")
    rank, alpha = values.get("r"), values.get("lora_alpha")
    if not isinstance(rank, int) or rank < 1 or not isinstance(alpha, int | float):
        raise CheckpointError(f"{path}: r is {rank!r} and lora_alpha {alpha!r}, numbers are needed")
    scaling = alpha / (math.sqrt(rank) if values.get("use_rslora") else rank)
    return Adapter(_factors(directory / ADAPTER_WEIGHTS, rank), scaling)


def merge_lora(checkpoint: Path, base: Path, output: Path) -> int:
    """Write a merged checkpoint; holds one shard of the base in memory at a time.

    The output is new or empty; on any error it is left as it was. Its files are those of the
    fine-tune (with ``lora_adapter/``, heads and statistics), and the base's (with safetensors
    weights and ``config.json``) where the fine-tune has none.

    Returns:
        Number of weights that were changed.

    Raises:
        CheckpointError: Adapter and base do not fit together, a file is damaged, or the output
            cannot be written.
        ConfigError: The output directory has files in it.
    """
    adapter = read_adapter(checkpoint / LORA_DIRECTORY)
    weight_map = find_weights(base)
    if odd := sorted(adapter.factors.keys() - weight_map.keys()):
        raise CheckpointError(
            f"{base} has no {odd[0]}, which the adapter changes ({len(odd)} such)"
        )
    with new_directory(output) as work:
        for shard in sorted(set(weight_map.values())):
            tensors = _merged_shard(shard, adapter)
            save_file(tensors, work / shard.name, metadata={"format": "pt"})
        _copy_rest(checkpoint, base, work)
    return len(adapter.factors)


def _merged_shard(path: Path, adapter: Adapter) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = load_file(path)
    for key in tensors.keys() & adapter.factors.keys():
        weight, delta = tensors[key], adapter.delta(key)
        if weight.shape != delta.shape:
            raise CheckpointError(
                f"{path}: {key} is {tuple(weight.shape)}, the adapter changes {tuple(delta.shape)}"
            )
        merged = (weight.float() + delta).to(weight.dtype)
        check_finite(path, key, merged)
        tensors[key] = merged
    return tensors


def _copy_rest(checkpoint: Path, base: Path, output: Path) -> None:
    if (base / INDEX_FILE).exists():
        shutil.copyfile(base / INDEX_FILE, output / INDEX_FILE)
    for source in (checkpoint, base):
        for path in sorted(source.iterdir()):
            weights = path.suffix == ".safetensors" or path.name == INDEX_FILE
            if path.is_file() and not weights and not (output / path.name).exists():
                shutil.copyfile(path, output / path.name)


def _factors(path: Path, rank: int) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    pairs: dict[str, dict[str, torch.Tensor]] = {}
    for key, tensor in tensors.items():
        module, part, _ = (key.removeprefix(_PREFIX).rsplit(".", 2) + ["", ""])[:3]
        if part not in ("lora_A", "lora_B") or not key.startswith(_PREFIX):
            raise CheckpointError(f"{path}: {key} is no LoRA factor of a linear layer")
        check_finite(path, key, tensor)
        pairs.setdefault(f"{module}.weight", {})[part] = tensor
    for key, pair in pairs.items():
        shapes = {part: tuple(t.shape) for part, t in pair.items()}
        if len(pair) != 2 or shapes["lora_A"][:1] != (rank,) or shapes["lora_B"][1:] != (rank,):
            raise CheckpointError(
                f"{path}: {key} has factors {shapes}, a pair of rank {rank} is needed"
            )
    return {key: (pair["lora_A"], pair["lora_B"]) for key, pair in pairs.items()}
