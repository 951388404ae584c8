"""Describe a checkpoint without building its model: only headers and JSON files are read."""

import math
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import safe_open

from ...adp.overlay import CROP_AREA
from ...types import ActionConvention
from ..checkpoints import read_json
from ..conventions import read_convention, read_state_layout
from ..policy import PolicyInfo
from .model_config import ModelConfig, read_config
from .normalisation import STATISTICS_FILE, load_statistics
from .tensor_layout import (
    Shapes,
    action_head_shapes,
    model_shapes,
    proprio_projector_shapes,
    unused_keys,
)
from .tokenizer import PromptTokenizer
from .weight_files import ACTION_HEAD, PROPRIO_PROJECTOR, CheckpointFiles, load_component

_LISTED = 5  # keys spelled out in the text


@dataclass(frozen=True, slots=True)
class Dataset:
    """One data set of the statistics by its ``unnorm_key``; state size 0 for no proprioception."""

    name: str
    state_size: int


@dataclass(frozen=True, slots=True)
class Description:
    """What a checkpoint is.

    Attributes:
        directory: Where it lies.
        model: Sizes of the model.
        shards: Names of the safetensors files.
        weight_bytes: Size of the main model's tensors, in [bytes].
        parameters: Numbers in the main model, the head and the proprioception projector.
        dtypes: Type -> number of tensors of the main model.
        action_size: Numbers of one action, from the head's weights.
        state_size: Numbers of the state, from the projector's weights; 0 for none.
        datasets: Data sets whose statistics are there.
        convention: Declared meaning of the actions, or None.
        prompt_length: Tokens of the prompt for "wipe the table".
        unused: Keys that belong to the layout, but that the L1 head's forward pass never reads.
        missing: Keys of the layout that the files lack.
        misshapen: Keys of another shape than the configuration asks for.
        unknown: Keys that are no part of the layout.
    """

    directory: Path
    model: ModelConfig
    shards: tuple[str, ...]
    weight_bytes: int
    parameters: int
    dtypes: dict[str, int]
    action_size: int
    state_size: int
    datasets: tuple[Dataset, ...]
    convention: ActionConvention | None
    prompt_length: int
    unused: tuple[str, ...]
    missing: tuple[str, ...]
    misshapen: tuple[str, ...]
    unknown: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """True when every tensor is there in the right shape."""
        return not (self.missing or self.misshapen)

    @property
    def text(self) -> str:
        """Everything in words, one line each."""
        llm, dino, siglip = self.model.llm, self.model.dino, self.model.siglip
        types = ", ".join(f"{count} {name}" for name, count in self.dtypes.items())
        sets = ", ".join(f"{s.name} (state {s.state_size})" for s in self.datasets)
        convention = "not declared (action_convention.json)"
        if self.convention is not None:
            told = asdict(self.convention).items()
            convention = ", ".join(f"{name} {value}" for name, value in told)
        rows = [
            ("weights", f"{self.weight_bytes / 1e9:.2f} GB in {len(self.shards)} files ({types})"),
            ("parameters", f"{self.parameters / 1e6:.1f} M"),
            ("decoder", f"hidden {llm.hidden_size}, MLP {llm.intermediate_size}, "
                        f"{llm.num_hidden_layers} layers, {llm.num_attention_heads} heads"),
            ("towers", f"DINOv2 {dino.width} x {dino.depth}, "
                       f"SigLIP {siglip.width} x {siglip.depth}"),
            ("views", str(self.model.views or "not declared")),
            ("chunk", f"{self.model.chunk_length} actions of {self.action_size} numbers"),
            ("state", f"{self.state_size} numbers" if self.state_size else "none"),
            ("data sets", sets),
            ("convention", convention),
            ("prompt", f"{self.prompt_length} tokens for 'wipe the table'"),
            ("unused keys", f"{len(self.unused)} (last tower blocks, norms, pool, lm_head)"),
            ("missing keys", _keys(self.missing)),
            ("misshapen keys", _keys(self.misshapen)),
            ("unknown keys", _keys(self.unknown)),
            *(("assumed", line) for line in self.model.assumed),
        ]  # fmt: skip
        return "\n".join([str(self.directory), *(f"  {name:<15}{value}" for name, value in rows)])


def _keys(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more if names else "none"


def describe(directory: Path) -> Description:
    """Describe a checkpoint.

    Raises:
        CheckpointError: A file is missing, damaged or of an unsupported kind.
    """
    model = read_config(directory)
    files = CheckpointFiles.find(directory)
    head = load_component(files.component(ACTION_HEAD))
    projector = _projector(files)
    action_size = len(head["model.fc2.bias"]) if "model.fc2.bias" in head else 0
    state_size = projector["fc1.weight"].shape[-1] if "fc1.weight" in projector else 0
    main = _stored(files)
    stored = {key: shape for key, (shape, _, _) in main.items()}
    stored |= _shapes(ACTION_HEAD, head) | _shapes(PROPRIO_PROJECTOR, projector)
    needed = _needed(model, action_size, state_size)
    names = read_json(directory / STATISTICS_FILE)
    statistics = [load_statistics(directory, name) for name in names]
    return Description(
        directory=directory,
        model=model,
        shards=tuple(path.name for path in files.shards),
        weight_bytes=sum(size for _, _, size in main.values()),
        parameters=sum(math.prod(shape) for shape in stored.values()),
        dtypes=dict(Counter(dtype for _, dtype, _ in main.values())),
        action_size=action_size,
        state_size=state_size,
        datasets=tuple(Dataset(s.name, s.proprio.size if s.proprio else 0) for s in statistics),
        convention=read_convention(directory),
        prompt_length=len(PromptTokenizer(directory).encode("wipe the table")),
        unused=tuple(sorted(unused_keys(model) & stored.keys())),
        missing=tuple(sorted(needed.keys() - stored.keys())),
        misshapen=tuple(sorted(k for k in needed.keys() & stored.keys() if needed[k] != stored[k])),
        unknown=tuple(sorted(stored.keys() - needed.keys())),
    )


def inspect_checkpoint(directory: Path) -> PolicyInfo:
    """Describe a checkpoint as a policy, by its small files alone.

    Raises:
        CheckpointError: A file is missing, damaged or of an unsupported kind.
    """
    model, files = read_config(directory), CheckpointFiles.find(directory)
    files.component(ACTION_HEAD)
    projector = _projector(files)
    state_size = projector["fc1.weight"].shape[-1] if "fc1.weight" in projector else None
    declared = read_convention(directory), read_state_layout(directory)
    return model.info(state_size, *declared, CROP_AREA)


def _needed(model: ModelConfig, action_size: int, state_size: int) -> Shapes:
    hidden = model.llm.hidden_size
    head = action_head_shapes(hidden, action_size)
    needed = model_shapes(model) | {f"{ACTION_HEAD}.{k}": shape for k, shape in head.items()}
    if state_size:
        projector = proprio_projector_shapes(hidden, state_size)
        needed |= {f"{PROPRIO_PROJECTOR}.{k}": shape for k, shape in projector.items()}
    return needed


def _shapes(name: str, tensors: dict[str, torch.Tensor]) -> Shapes:
    return {f"{name}.{key}": tuple(tensor.shape) for key, tensor in tensors.items()}


def _projector(files: CheckpointFiles) -> dict[str, torch.Tensor]:
    if PROPRIO_PROJECTOR not in files.components:
        return {}
    return load_component(files.component(PROPRIO_PROJECTOR))


def _stored(files: CheckpointFiles) -> dict[str, tuple[tuple[int, ...], str, int]]:
    """Return key -> shape, type and size in [bytes] of every tensor."""
    stored = {}
    for path in files.shards:
        with safe_open(path, framework="pt") as shard:
            for key in shard.keys():  # noqa: SIM118, a safe_open is no mapping
                part = shard.get_slice(key)
                shape, dtype = tuple(part.get_shape()), str(part.get_dtype())
                stored[key] = (shape, dtype, math.prod(shape) * _width(dtype))
    return stored


def _width(dtype: str) -> int:
    digits = "".join(c for c in dtype if c.isdigit())  # BF16, F32, I64, F8_E4M3
    return 1 if "_" in dtype or not digits else int(digits) // 8
