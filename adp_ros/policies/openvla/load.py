"""From a checkpoint directory to a policy, tensor by tensor.

Upstream checkpoints name the decoder as ``transformers`` does and the towers as timm does, where
query, key and value weights are one tensor; ours come from ``transformers``, which keeps them
apart.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from ...errors import CheckpointError, ConfigError
from ...settings import check_settings, setting
from ..conventions import read_convention, read_state_layout
from .forward import Clock
from .graphs import EagerRunner, GraphRunner
from .model import OpenVla
from .model_config import ModelConfig, read_config
from .normalisation import Statistics, load_statistics
from .oft_policy import CheckpointParts, OpenVlaPolicy
from .preprocess import Preprocessor
from .tokenizer import PromptTokenizer
from .weight_files import ACTION_HEAD, PROPRIO_PROJECTOR, CheckpointFiles, load_component


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightOptions:
    """Where weights go, and whose statistics scale the actions."""

    device: str = setting("cpu", "Device of the model: cpu, cuda, cuda:1.")
    dtype: str = setting(
        "auto",
        "Type of the weights; auto is bfloat16 on CUDA and float32 on the CPU.",
        choices=("auto", "float32", "bfloat16"),
    )
    unnorm_key: str = setting("", "Data set whose statistics are used; empty for the only one.")

    def __post_init__(self) -> None:
        check_settings(self, "policy.")


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyOptions(WeightOptions):
    """Choices of the user that no checkpoint file makes.

    ``action_slice``: OpenVLA-OFT trains and runs from the last prompt token on; the released ADP
    code reads one row later. ``constant_proprio``: a state dimension that never changed in the
    training data becomes -1 or 1 in the released inference code, which published results were made
    with, and 0 in training.
    """

    center_crop: bool = setting(True, "Crop 90 % of each picture's area before the towers.")
    action_slice: str = setting(
        "trained",
        "Rows the action head reads: as trained, or one later as the released ADP code.",
        choices=("trained", "replicate_release"),
    )
    constant_proprio: str = setting(
        "inference",
        "Value of constant state dimensions: as released inference code, or 0 as in training.",
        choices=("inference", "training"),
    )


_DINO: Final = {
    "norm1": "norm1",
    "attention.q_proj": "attn.qkv",
    "attention.k_proj": "attn.qkv",
    "attention.v_proj": "attn.qkv",
    "attention.o_proj": "attn.proj",
    "layer_scale1.lambda1": "ls1.scale_factor",
    "norm2": "norm2",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
    "layer_scale2.lambda1": "ls2.scale_factor",
}
_SIGLIP: Final = {
    "layer_norm1": "norm1",
    "self_attn.q_proj": "attn.qkv",
    "self_attn.k_proj": "attn.qkv",
    "self_attn.v_proj": "attn.qkv",
    "self_attn.out_proj": "attn.proj",
    "layer_norm2": "norm2",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}
_BLOCK: Final = re.compile(
    r"(?P<tower>vision_backbone\.(?P<kind>featurizer|fused_featurizer))\.blocks\.(?P<index>\d+)\."
    r"(?P<name>.+?)(?P<end>\.weight|\.bias|)"
)
_THIRDS: Final = {"q_proj": 0, "k_proj": 1, "v_proj": 2}
COMPONENTS: Final = ("action_head", "proprio_projector")


def source(parameter: str) -> tuple[str, int | None]:
    """Return where the values of a parameter of :class:`.model.OpenVla` come from.

    Returns:
        Key of the tensor in the checkpoint; those of a ``.pt`` file begin with its component's
        name. And third of the tensor's rows (0 query, 1 key, 2 value), None for all.
    """
    if parameter.startswith("lm_head."):
        return f"language_model.{parameter}", None
    if parameter.startswith("language_model."):
        return parameter.replace("language_model.", "language_model.model.", 1), None
    if parameter.startswith("action_head."):
        return parameter.replace("action_head.", "action_head.model.", 1), None
    block = _BLOCK.fullmatch(parameter)
    if block is None:
        return parameter, None
    names = _DINO if block["kind"] == "featurizer" else _SIGLIP
    key = f"{block['tower']}.blocks.{block['index']}.{names[block['name']]}{block['end']}"
    return key, _THIRDS.get(block["name"].rsplit(".", 1)[-1])


Components = dict[str, dict[str, Tensor]]  # component -> key in its file -> tensor

_LISTED = 8  # names an error message spells out


def fill(
    model: nn.Module,
    files: CheckpointFiles,
    components: Components,
    device: torch.device,
    dtype: torch.dtype,
) -> tuple[str, ...]:
    """Give every parameter of a model on the meta device its values, on a device and of a type.

    ``components``, the tensors of the ``.pt`` files, are emptied, so that their memory is free
    early.

    Returns:
        Keys of the checkpoint that the model does not use, sorted.

    Raises:
        CheckpointError: Tensors are missing, of the wrong shape or type, not finite or
            unreadable; names them.
    """
    shapes = {name: p.shape for name, p in model.named_parameters()}
    users: dict[str, list[tuple[str, int | None]]] = {}
    for name in shapes:
        key, third = source(name)
        users.setdefault(key, []).append((name, third))
    beside = {f"{name}.{key}": t for name, part in components.items() for key, t in part.items()}
    components.clear()
    there = {*files.weight_map, *beside}
    if missing := sorted(users.keys() - there):
        raise CheckpointError(f"{files.directory} lacks {_some(missing)}")
    unused = sorted(there - users.keys())
    values: dict[str, Tensor] = {}
    wrong: list[str] = []

    def take(tensors: Iterable[tuple[str, Tensor]]) -> None:
        for key, tensor in tensors:
            own = users.get(key)
            if own is None:
                continue
            rows, *rest = shapes[own[0][0]]
            needed = (rows * len(own), *rest)
            if tensor.shape != needed or not tensor.is_floating_point():
                found = f"{tuple(tensor.shape)} {tensor.dtype}"
                wrong.append(f"{key} is {found}, floating-point {needed} is needed")
                continue
            for name, third in own:
                part = tensor if third is None else tensor.tensor_split(3)[third]
                values[name] = part.to(device, dtype, copy=True)

    take(beside.items())
    beside.clear()
    take(files.iter_tensors(first=frozenset(unused)))  # while memory is still empty
    if wrong:
        raise CheckpointError(f"{files.directory}: unusable: {_some(wrong)}")
    model.load_state_dict(values, strict=True, assign=True)
    model.requires_grad_(False)
    return tuple(unused)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


_TYPES: Final[Mapping[str, torch.dtype]] = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def load_checkpoint(directory: Path, options: PolicyOptions, clock: Clock) -> OpenVlaPolicy:
    """Load a checkpoint, a directory as upstream's fine-tuning leaves it.

    ``clock`` gives monotonic time in [s].

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
        layout=read_state_layout(directory),
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


def placement(options: WeightOptions) -> tuple[torch.device, torch.dtype]:
    """Return device and type of the weights.

    Raises:
        ConfigError: The device is unknown or not there.
    """
    device = _device(options.device)
    default = "bfloat16" if device.type == "cuda" else "float32"
    return device, _TYPES[default if options.dtype == "auto" else options.dtype]


def _device(name: str) -> torch.device:
    refused = ConfigError(f"device is {name!r}, allowed: cpu, cuda, cuda:<number>")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise refused from error
    if device.type not in ("cpu", "cuda"):
        raise refused
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
