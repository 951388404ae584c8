"""Make a checkpoint with random weights in the layout of an OpenVLA-OFT fine-tune.

Everything that upstream's fine-tuning writes is there but ``tokenizer.model``, so that whatever
loads a real checkpoint is exercised. Its actions mean nothing.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any, Final

import torch
from safetensors.torch import save_file

from ...settings import check_settings, setting
from ...types import ACTION_SIZE, ActionConvention
from ..checkpoints import write_json
from ..conventions import JACO_LAYOUT, StateLayout, write_convention, write_state_layout
from .forward import Clock
from .load import PolicyOptions, assemble, placement, read_parts
from .model import OpenVla
from .model_config import LlmConfig, ModelConfig, TowerConfig, real_tower
from .normalisation import STATISTICS_FILE
from .oft_policy import OpenVlaPolicy
from .tensor_layout import Shapes, action_head_shapes, model_shapes, proprio_projector_shapes
from .tokenizer import PAD_ID, write_tokenizer
from .weight_files import (
    ACTION_HEAD,
    INDEX_FILE,
    PROPRIO_PROJECTOR,
    SINGLE_FILE,
    new_directory,
    save_component,
)

_DINO: Final = "vit_large_patch14_reg4_dinov2"
_SIGLIP: Final = "vit_so400m_patch14_siglip_224"


def _tower(timm_id: str, width: int, depth: int, heads: int) -> TowerConfig:
    real = real_tower(timm_id)
    intermediate = real.intermediate * width // real.width
    return replace(real, width=width, depth=depth, heads=heads, intermediate=intermediate)


def _llm(hidden: int, intermediate: int, layers: int, heads: int) -> LlmConfig:
    return LlmConfig(
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
    )


SIZES: Final[Mapping[str, ModelConfig]] = MappingProxyType(
    {
        "tiny": ModelConfig(
            dino=_tower(_DINO, 32, 3, 2), siglip=_tower(_SIGLIP, 48, 3, 3), llm=_llm(64, 176, 3, 4)
        ),
        "small": ModelConfig(
            dino=_tower(_DINO, 128, 4, 4),
            siglip=_tower(_SIGLIP, 144, 4, 4),
            llm=_llm(256, 688, 8, 8),
        ),
        "twin": ModelConfig(
            dino=_tower(_DINO, 128, 3, 4),
            siglip=_tower(_SIGLIP, 32, 2, 2),
            llm=replace(_llm(128, 344, 4, 4), rope_theta=1e8),
        ),
        "medium": ModelConfig(
            dino=_tower(_DINO, 384, 12, 6),
            siglip=_tower(_SIGLIP, 432, 12, 6),
            llm=_llm(1024, 2752, 8, 8),
        ),
        "7b": ModelConfig(dino=real_tower(_DINO), siglip=real_tower(_SIGLIP), llm=LlmConfig()),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCheckpoint:
    """What a new checkpoint is to be, besides its model's sizes."""

    seed: int = setting(0, "Seed of the random weights.", low=0, high=2**63 - 1)
    state: int = setting(
        8, "Numbers of the proprioceptive state, 0 for a checkpoint without.", low=0, high=64
    )
    dataset: str = setting("jaco2", "Name of the data set in the statistics.")
    shard_bytes: int = setting(
        10**9,
        "Largest size of a safetensors file, unless one tensor is larger.",
        unit="bytes",
        low=1,
    )

    def __post_init__(self) -> None:
        check_settings(self)


_ACTION_HIGH: Final = (0.012, 0.012, 0.012, 0.05, 0.05, 0.05, 1.0)  # of one 0.1 s step, [m, rad]
_STATE_LOW: Final = (-0.6, -0.8, 0.0, -3.1, -3.1, -3.1, 0.0, 0.0)  # of JACO_LAYOUT, [m, rad]
_STATE_HIGH: Final = (0.6, 0.2, 0.8, 3.1, 3.1, 3.1, 1.3, 1.3)
# the converter rounded 0.485, 0.456, ... to bfloat16
_NORMALISATION: Final = (
    ((0.484375, 0.455078125, 0.40625), (0.228515625, 0.2236328125, 0.224609375)),
    ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
)


def write_description(directory: Path, model: ModelConfig, settings: NewCheckpoint) -> None:
    """Write every file of a new checkpoint but its weights, in place of those there are."""
    write_tokenizer(directory)
    write_convention(directory, ActionConvention())
    if settings.state == len(JACO_LAYOUT):
        write_state_layout(directory, StateLayout(JACO_LAYOUT))
    write_json(directory / STATISTICS_FILE, {settings.dataset: _statistics(settings.state)})
    preprocessor = {
        "image_processor_type": "PrismaticImageProcessor",
        "image_resize_strategy": "resize-naive",
        "input_sizes": [[3, 224, 224], [3, 224, 224]],
        "processor_class": "PrismaticProcessor",
        "tvf_normalize_params": [
            {"inplace": False, "mean": list(mean), "std": list(std)} for mean, std in _NORMALISATION
        ],
        "use_fused_vision_backbone": True,
    }
    write_json(directory / "preprocessor_config.json", preprocessor)
    tokens = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": PAD_ID}
    write_json(directory / "generation_config.json", {"_from_model_config": True, **tokens})
    write_json(directory / "config.json", config_values(model))


def config_values(model: ModelConfig) -> dict[str, Any]:
    """Return what ``config.json`` holds; the inverse of :func:`.model_config.read_config`.

    As upstream's converter does, values that are ``LlamaConfig``'s defaults are left out. Towers
    of other sizes than the real ones are told by ``timm_model_overrides``, not an upstream key.
    """
    towers = (model.dino, model.siglip)
    default, llm = asdict(LlmConfig()), asdict(model.llm)
    changed = {k: v for k, v in llm.items() if v != default[k]}
    values: dict[str, Any] = {
        "architectures": ["OpenVLAForActionPrediction"],
        "model_type": "openvla",
        "vision_backbone_id": "dinosiglip-vit-so-224px",
        "timm_model_ids": [t.timm_id for t in towers],
        "timm_override_act_layers": [None, None],
        "image_sizes": [t.image_size for t in towers],
        "image_resize_strategy": "resize-naive",
        "use_fused_vision_backbone": True,
        "arch_specifier": "no-align+fused-gelu-mlp",
        "llm_backbone_id": "llama2-7b-pure",
        "llm_max_length": 2048,
        "pad_token_id": PAD_ID,
        "pad_to_multiple_of": 64,
        "n_action_bins": 256,
        "norm_stats": {},
        "num_actions_chunk": model.chunk_length,
        "text_config": {"model_type": "llama", "vocab_size": model.llm.vocab_size, **changed},
        "torch_dtype": "bfloat16",
    }
    if any(t != real_tower(t.timm_id) for t in towers):
        values["timm_model_overrides"] = [
            {"embed_dim": t.width, "depth": t.depth, "num_heads": t.heads} for t in towers
        ]
    return values | ({"num_images_in_input": model.views} if model.views else {})


def _statistics(state: int) -> dict[str, Any]:
    action = _spread([-v for v in _ACTION_HIGH[:6]] + [0.0], list(_ACTION_HIGH))
    action["mask"] = [True] * 6 + [False]
    counts = {"num_transitions": 0, "num_trajectories": 0}
    if not state:
        return {"action": action, **counts}
    known = state == len(JACO_LAYOUT)
    low = list(_STATE_LOW) if known else [-1.0] * state
    high = list(_STATE_HIGH) if known else [1.0] * state
    return {"action": action, "proprio": _spread(low, high), **counts}


def _spread(low: list[float], high: list[float]) -> dict[str, list[Any]]:
    """Return the statistics of even spreads from low to high."""
    ends = list(zip(low, high, strict=True))
    return {
        "mean": [(a + b) / 2 for a, b in ends],
        "std": [(b - a) / math.sqrt(12) for a, b in ends],
        "max": high,
        "min": low,
        "q01": low,
        "q99": high,
    }


_EMBEDDING: Final = ("embed_tokens", "pos_embed", "cls_token", "reg_token", "latent")
_SPREAD: Final = 0.02  # of embeddings and biases
_NORM_SPREAD: Final = 0.1  # of norm weights around 1
_ACTION_SPREAD: Final = 0.1  # of the head's outputs
_HALF_OPEN: Final = 0.5  # gripper around which they lie


def create_checkpoint(
    directory: Path, model: ModelConfig, settings: NewCheckpoint | None = None
) -> None:
    """Write a checkpoint with random weights; holds one shard in memory at a time.

    The directory is new or empty; on any error it is left as it was.

    Raises:
        ConfigError: The directory has files in it.
        CheckpointError: It cannot be written.
    """
    settings = settings or NewCheckpoint()
    random = torch.Generator().manual_seed(settings.seed)
    hidden = model.llm.hidden_size
    with new_directory(directory) as work:
        _write_model(work, model, settings.shard_bytes, random)
        shapes = action_head_shapes(hidden, ACTION_SIZE)
        head = {key: draw_weight(key, shape, random).bfloat16() for key, shape in shapes.items()}
        save_component(work, ACTION_HEAD, "latest", head)
        if settings.state:
            shapes = proprio_projector_shapes(hidden, settings.state)
            projector = {key: draw_weight(key, shape, random) for key, shape in shapes.items()}
            save_component(work, PROPRIO_PROJECTOR, "latest", projector)
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


def draw_weight(
    key: str, shape: tuple[int, ...], random: torch.Generator, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """Draw values that keep activations near 1 through any number of layers.

    Actions come out small, with the gripper about half open, so that an arm may execute them.
    The parameter's name tells weights, biases, norms and embeddings apart; the result lives where
    ``random`` draws.
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


def random_policy(
    config: ModelConfig, new: NewCheckpoint, options: PolicyOptions, clock: Clock
) -> OpenVlaPolicy:
    """Make a policy whose actions mean nothing, in no more memory than its weights need.

    ``clock`` gives monotonic time in [s].

    Raises:
        ConfigError: The device is unknown or not there.
    """
    device, dtype = placement(options)
    random = torch.Generator(device).manual_seed(new.seed)
    with torch.device("meta"):
        model = OpenVla(config, ACTION_SIZE, new.state or None)
    weights = {
        name: draw_weight(name, tuple(p.shape), random, dtype)
        for name, p in model.named_parameters()
    }
    model.load_state_dict(weights, strict=True, assign=True)
    model.requires_grad_(False)
    with TemporaryDirectory() as directory:
        write_description(Path(directory), config, new)
        parts = read_parts(Path(directory), options)
    return assemble(model, parts, options, clock)
