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
class PolicyOptions:
    """Choices of the user that no checkpoint file makes.

    Attributes:
        device: ``cpu``, ``cuda`` or ``cuda:1`` and so on.
        dtype: Type of the weights; ``auto`` is bfloat16 on CUDA, float32 on the CPU.
        unnorm_key: Data set whose statistics are used; empty where the checkpoint has only one.
        center_crop: Crop the pictures as fine-tuning with augmentation needs it.
        action_slice: Rows of the decoder that the head reads. ``trained``: from the last prompt
            token on, as OpenVLA-OFT trains and runs. ``replicate_release``: one later, as the
            released ADP code does.
        constant_proprio: What a state dimension becomes that never changed in the training data:
            -1 or 1 as the released ``inference`` code computes it, which published results were
            made with, or 0 as in ``training``.
    """

    device: str = setting("cpu", "Device of the model: cpu, cuda, cuda:1.")
    dtype: str = setting(
        "auto",
        "Type of the weights; auto is bfloat16 on CUDA and float32 on the CPU.",
        choices=("auto", "float32", "bfloat16"),
    )
    unnorm_key: str = setting("", "Data set whose statistics are used; empty for the only one.")
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

    def __post_init__(self) -> None:
        check_settings(self, "policy.")


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


@dataclass(frozen=True, slots=True)
class Source:
    """Where the values of one parameter come from.

    Attributes:
        key: Tensor in the checkpoint; those of a ``.pt`` file begin with its component's name.
        third: Third of the tensor's rows (0 query, 1 key, 2 value), None for all.
    """

    key: str
    third: int | None = None


def source(parameter: str) -> Source:
    """Return the source of a parameter of :class:`~adp_ros.policies.openvla.model.OpenVla`."""
    if parameter.startswith("lm_head."):
        return Source(f"language_model.{parameter}")
    if parameter.startswith("language_model."):
        return Source(parameter.replace("language_model.", "language_model.model.", 1))
    if parameter.startswith("action_head."):
        return Source(parameter.replace("action_head.", "action_head.model.", 1))
    block = _BLOCK.fullmatch(parameter)
    if block is None:
        return Source(parameter)
    names = _DINO if block["kind"] == "featurizer" else _SIGLIP
    key = f"{block['tower']}.blocks.{block['index']}.{names[block['name']]}{block['end']}"
    return Source(key, _THIRDS.get(block["name"].rsplit(".", 1)[-1]))


Components = dict[str, dict[str, Tensor]]  # component -> key in its file -> tensor

_LISTED = 8  # names an error message spells out


def fill(
    model: nn.Module,
    files: CheckpointFiles,
    components: Components,
    device: torch.device,
    dtype: torch.dtype,
) -> tuple[str, ...]:
    """Give every parameter of a model its values.

    Args:
        model: Built on the meta device.
        files: Files of the checkpoint.
        components: Tensors of its ``.pt`` files; emptied, so that their memory is free early.
        device: Where the parameters are to live.
        dtype: Type of the parameters.

    Returns:
        Keys of the checkpoint that the model does not use, sorted.

    Raises:
        CheckpointError: Tensors are missing, of the wrong shape or type, not finite or
            unreadable; names them.
    """
    beside = {f"{name}.{key}": t for name, part in components.items() for key, t in part.items()}
    components.clear()
    there = {*files.weight_map, *beside}
    filler = _Filler(model, device, dtype)
    if missing := sorted(filler.wanted.keys() - there):
        raise CheckpointError(f"{files.directory} lacks {_some(missing)}")
    unused = sorted(there - filler.wanted.keys())
    filler.take(beside.items())
    beside.clear()
    filler.take(files.iter_tensors(first=frozenset(unused)))  # while memory is still empty
    if filler.wrong:
        raise CheckpointError(f"{files.directory}: unusable: {_some(filler.wrong)}")
    model.load_state_dict(filler.values, strict=True, assign=True)
    model.requires_grad_(False)
    return tuple(unused)


class _Filler:
    """Copies tensors as they come; notes those that do not fit."""

    def __init__(self, model: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
        self._device = device
        self._dtype = dtype
        self._shapes = {name: p.shape for name, p in model.named_parameters()}
        self.values: dict[str, Tensor] = {}
        self.wrong: list[str] = []
        self.wanted: dict[str, list[tuple[str, int | None]]] = {}
        for name in self._shapes:
            origin = source(name)
            self.wanted.setdefault(origin.key, []).append((name, origin.third))

    def take(self, tensors: Iterable[tuple[str, Tensor]]) -> None:
        for key, tensor in tensors:
            users = self.wanted.get(key, [])
            needed = self._needed(users)
            if users and not (tensor.shape == needed and tensor.is_floating_point()):
                there = f"{tuple(tensor.shape)} {tensor.dtype}"
                self.wrong.append(f"{key} is {there}, floating-point {needed} is needed")
                continue
            for name, third in users:
                part = tensor if third is None else tensor.tensor_split(3)[third]
                self.values[name] = part.to(self._device, self._dtype, copy=True)

    def _needed(self, users: list[tuple[str, int | None]]) -> tuple[int, ...]:
        if not users:
            return ()
        rows, *rest = self._shapes[users[0][0]]
        return (rows * len(users), *rest)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


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
