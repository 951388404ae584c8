"""The files of a new checkpoint besides its weights: configuration, statistics, tokeniser."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from ..types import ActionConvention
from .config import LlmConfig, ModelConfig, TowerConfig, real_tower
from .convention import write_convention
from .sizes import NewCheckpoint
from .state_layout import JACO_LAYOUT, StateLayout, write_state_layout
from .statistics import STATISTICS_FILE
from .synthetic_tokenizer import PAD_ID, write_tokenizer

_ACTION_HIGH: Final = (0.012, 0.012, 0.012, 0.05, 0.05, 0.05, 1.0)  # of one 0.1 s step, [m, rad]
_STATE_LOW: Final = (-0.6, -0.8, 0.0, -3.1, -3.1, -3.1, 0.0, 0.0)  # of JACO_LAYOUT, [m, rad]
_STATE_HIGH: Final = (0.6, 0.2, 0.8, 3.1, 3.1, 3.1, 1.3, 1.3)
# the converter rounded 0.485, 0.456, ... to bfloat16
_NORMALISATION: Final = (
    ((0.484375, 0.455078125, 0.40625), (0.228515625, 0.2236328125, 0.224609375)),
    ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
)


def write_description(directory: Path, model: ModelConfig, settings: NewCheckpoint) -> None:
    """Write every file of a new checkpoint but its weights.

    Args:
        directory: Exists; files of the same names are replaced.
        model: Sizes.
        settings: State size and names.
    """
    write_tokenizer(directory)
    write_convention(directory, ActionConvention())
    if settings.state == len(JACO_LAYOUT):
        write_state_layout(directory, StateLayout(JACO_LAYOUT))
    write_json(directory / STATISTICS_FILE, {settings.dataset: _statistics(settings.state)})
    write_json(directory / "preprocessor_config.json", _preprocessor())
    tokens = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": PAD_ID}
    write_json(directory / "generation_config.json", {"_from_model_config": True, **tokens})
    write_json(directory / "config.json", config_values(model))


def config_values(model: ModelConfig) -> dict[str, Any]:
    """Return what ``config.json`` holds; the inverse of :func:`adp_ros.policy.config.read_config`.

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
        values["timm_model_overrides"] = [_tower_sizes(t) for t in towers]
    return values | ({"num_images_in_input": model.views} if model.views else {})


def _tower_sizes(tower: TowerConfig) -> dict[str, int]:
    return {"embed_dim": tower.width, "depth": tower.depth, "num_heads": tower.heads}


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


def _preprocessor() -> dict[str, Any]:
    parameters = [
        {"inplace": False, "mean": list(mean), "std": list(std)} for mean, std in _NORMALISATION
    ]
    return {
        "image_processor_type": "PrismaticImageProcessor",
        "image_resize_strategy": "resize-naive",
        "input_sizes": [[3, 224, 224], [3, 224, 224]],
        "processor_class": "PrismaticProcessor",
        "tvf_normalize_params": parameters,
        "use_fused_vision_backbone": True,
    }


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write a JSON object."""
    path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
