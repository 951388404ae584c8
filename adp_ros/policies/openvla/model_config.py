"""Sizes of a checkpoint's model, from ``config.json``.

The file is read as plain JSON: its ``auto_map`` names remote code, which is never run.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal

from ...adp.cost import DecoderSizes
from ...errors import CheckpointError
from ...types import ActionConvention
from ..checkpoints import read_json
from ..conventions import StateLayout
from ..policy import OPENVLA_OFT, PolicyInfo

PATCHES_PER_VIEW: Final = 256  # 224 px pictures in patches of 14 px
DEFAULT_CHUNK_LENGTH: Final = 8  # actions per chunk, NUM_ACTIONS_CHUNK of OpenVLA-OFT

TowerKind = Literal["dinov2", "siglip"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TowerConfig:
    """Sizes of one vision tower.

    Attributes:
        timm_id: Name of the architecture in timm, without its tag.
        kind: ``dinov2`` has a class token, registers and layer scale; ``siglip`` has none.
        width: Channels of a token.
        depth: Blocks. The features come from the one before the last.
        heads: Attention heads.
        intermediate: Channels inside the MLP.
        registers: Register tokens after the class token.
        patch_size: Side of a patch, in [px].
        image_size: Side of the picture, in [px].
    """

    timm_id: str
    kind: TowerKind
    width: int
    depth: int
    heads: int
    intermediate: int
    registers: int = 0
    patch_size: int = 14
    image_size: int = 224


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmConfig:
    """Sizes of the Llama; the defaults are those of Hugging Face's ``LlamaConfig``.

    Upstream's converter leaves keys at their defaults out of ``text_config``, so an absent
    ``rms_norm_eps`` means 1e-6 (not Llama 2's own 1e-5).
    """

    hidden_size: int = 4096
    intermediate_size: int = 11008
    num_hidden_layers: int = 32
    num_attention_heads: int = 32
    num_key_value_heads: int = 32
    rms_norm_eps: float = 1e-6
    rope_theta: float = 1e4
    max_position_embeddings: int = 2048
    vocab_size: int = 32064

    @property
    def head_dim(self) -> int:
        """Channels of one attention head."""
        return self.hidden_size // self.num_attention_heads

    @property
    def cost_sizes(self) -> DecoderSizes:
        """The sizes that decide the cost."""
        return DecoderSizes(self.hidden_size, self.intermediate_size, self.num_hidden_layers)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """Sizes of the whole model.

    Attributes:
        dino: First tower, ``vision_backbone.featurizer``.
        siglip: Second tower, ``vision_backbone.fused_featurizer``.
        llm: Language model.
        chunk_length: Actions per chunk. No weight tells it; ``num_actions_chunk`` of config.json
            does where it is not upstream's 8.
        views: Pictures per observation, ``num_images_in_input``, or None where config.json does
            not tell (upstream's does not).
        assumed: What config.json does not tell and was assumed, one line each.
    """

    dino: TowerConfig
    siglip: TowerConfig
    llm: LlmConfig
    chunk_length: int = DEFAULT_CHUNK_LENGTH
    views: int | None = None
    assumed: tuple[str, ...] = field(default=(), compare=False)

    def info(
        self,
        state_size: int | None,
        convention: ActionConvention | None,
        layout: StateLayout | None,
        crop_area: float,
    ) -> PolicyInfo:
        """Describe a policy of this model and these declarations."""
        sizes = self.llm.cost_sizes
        return PolicyInfo(
            kind=OPENVLA_OFT,
            chunk_length=self.chunk_length,
            views=self.views,
            state_size=state_size,
            convention=convention,
            layout=layout,
            layers=sizes.layers,
            crop_area=crop_area,
            details={
                "layers": sizes.layers,
                "hidden": sizes.hidden,
                "intermediate": sizes.intermediate,
            },
            assumed=self.assumed,
        )

    @property
    def vision_width(self) -> int:
        """Channels of a fused patch, as the projector takes it."""
        return self.dino.width + self.siglip.width


_TOWERS: Final[Mapping[str, tuple[TowerKind, int, int, int, float, int]]] = {
    # timm id: kind, width, depth, heads, MLP ratio, registers
    "vit_large_patch14_reg4_dinov2": ("dinov2", 1024, 24, 16, 4.0, 4),
    "vit_so400m_patch14_siglip_224": ("siglip", 1152, 27, 16, 3.7362, 0),
}
_TOWER_SIZES: Final = ("embed_dim", "depth", "num_heads", "mlp_ratio")
_NEEDED: Final[Mapping[str, Any]] = {
    "model_type": "openvla",
    "use_fused_vision_backbone": True,
    "arch_specifier": "no-align+fused-gelu-mlp",
    "image_resize_strategy": "resize-naive",
    "image_sizes": [224, 224],
    "timm_override_act_layers": [None, None],
}
_LLM_NEEDED: Final[Mapping[str, Any]] = {
    "model_type": "llama",
    "hidden_act": "silu",
    "partial_rotary_factor": 1,
    "attention_bias": False,
    "mlp_bias": False,
}
_ROPE: Final = ("rope_parameters", "rope_scaling")  # of transformers 5, and of those before
_PLAIN_ROPE: Final[Mapping[str, Any]] = {
    "rope_type": "default",
    "type": "default",
    "partial_rotary_factor": 1,
    "factor": 1,
}


def read_config(checkpoint_dir: Path, any_resize: bool = False) -> ModelConfig:
    """Read the sizes of the model from a checkpoint's ``config.json``.

    With ``any_resize`` every ``image_resize_strategy`` will do.

    Raises:
        CheckpointError: The file is missing or broken, or describes a model of another kind;
            names the key, its value and what is supported.
    """
    path = checkpoint_dir / "config.json"
    values = read_json(path)
    try:
        config = _config(values, any_resize)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    if "num_actions_chunk" in values:
        return config
    assumed = (
        f"{path} has no num_actions_chunk, {DEFAULT_CHUNK_LENGTH} actions a chunk are assumed "
        "(as OpenVLA-OFT has for LIBERO; ALOHA has 25, BRIDGE 5); write it there if it differs"
    )
    return replace(config, assumed=(assumed,))


def _config(values: Mapping[str, Any], any_resize: bool) -> ModelConfig:
    strategy = {"image_resize_strategy": values.get("image_resize_strategy")} if any_resize else {}
    _check_needed("", values, {**_NEEDED, **strategy})
    dino, siglip = _towers(values)
    llm = _llm(values.get("text_config", {}))
    length = values.get("num_actions_chunk", DEFAULT_CHUNK_LENGTH)
    _check_size("num_actions_chunk", length)
    views = values.get("num_images_in_input")
    if views is not None:
        _check_size("num_images_in_input", views)
    return ModelConfig(dino=dino, siglip=siglip, llm=llm, chunk_length=length, views=views)


def _check_needed(prefix: str, values: Mapping[str, Any], needed: Mapping[str, Any]) -> None:
    for name, only in needed.items():
        value = values.get(name, only)
        if value != only:
            raise CheckpointError(f"{prefix}{name} is {value!r}, supported: {only!r}")


def _check_size(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise CheckpointError(f"{name} is {value!r}, a whole number from 1 is needed")


def _check_number(name: str, value: object) -> None:
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else 0
    if not 0 < number < math.inf:
        raise CheckpointError(f"{name} is {value!r}, a number above 0 is needed")


def _towers(values: Mapping[str, Any]) -> list[TowerConfig]:
    known = tuple(_TOWERS)
    ids = values.get("timm_model_ids", list(known))
    plain = tuple(str(i).split(".")[0] for i in ids) if isinstance(ids, list) else ()
    if plain != known:
        raise CheckpointError(f"timm_model_ids is {ids!r}, supported: {list(known)} in this order")
    changes = values.get("timm_model_overrides", [{}, {}])
    if not isinstance(changes, list) or [type(sizes) for sizes in changes] != [dict, dict]:
        raise CheckpointError(f"timm_model_overrides is {changes!r}, two objects are needed")
    return [_tower(timm_id, sizes) for timm_id, sizes in zip(known, changes, strict=True)]


def _tower(timm_id: str, sizes: Mapping[str, Any]) -> TowerConfig:
    for name, value in sizes.items():
        if name not in _TOWER_SIZES:
            raise CheckpointError(
                f"timm_model_overrides: {name!r} of {timm_id} is not supported, allowed: "
                f"{', '.join(_TOWER_SIZES)}"
            )
        check = _check_number if name == "mlp_ratio" else _check_size
        check(f"{name} of {timm_id}", value)
    tower = real_tower(timm_id, sizes)
    _check_heads(timm_id, tower.width, tower.heads)
    return tower


def real_tower(timm_id: str, sizes: Mapping[str, Any] = MappingProxyType({})) -> TowerConfig:
    """Return the sizes that timm gives to one of the two supported towers, some overridden."""
    kind, width, depth, heads, ratio, registers = _TOWERS[timm_id]
    width = sizes.get("embed_dim", width)
    return TowerConfig(
        timm_id=timm_id,
        kind=kind,
        width=width,
        depth=sizes.get("depth", depth),
        heads=sizes.get("num_heads", heads),
        intermediate=int(width * sizes.get("mlp_ratio", ratio)),
        registers=registers,
    )


def _check_heads(name: str, width: int, heads: int) -> None:
    if width % heads:
        raise CheckpointError(f"{name}: width {width} is no multiple of {heads} heads")


def _llm(values: Any) -> LlmConfig:
    if not isinstance(values, dict):
        raise CheckpointError(f"text_config is {values!r}, an object is needed")
    values = _rope_told({name: v for name, v in values.items() if v is not None})
    _check_needed("text_config.", values, _LLM_NEEDED)
    given = {f.name: values.get(f.name, f.default) for f in fields(LlmConfig)}
    given["num_key_value_heads"] = values.get("num_key_value_heads", given["num_attention_heads"])
    for name, value in given.items():
        check = _check_number if name in ("rms_norm_eps", "rope_theta") else _check_size
        check(f"text_config.{name}", value)
    _check_heads("text_config", given["hidden_size"], given["num_attention_heads"])
    llm = LlmConfig(**given)
    _check_needed("text_config.", values, {"head_dim": llm.head_dim})
    return llm


def _rope_told(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with the plain rotation's theta; others, and two thetas, are refused."""
    told = dict(values)
    for name in _ROPE:
        rope = told.pop(name, None)
        if rope is None:
            continue
        if not isinstance(rope, dict):
            raise CheckpointError(f"text_config.{name} is {rope!r}, an object is needed")
        theta = rope.get("rope_theta")
        rope = {key: value for key, value in rope.items() if key != "rope_theta"}
        if any(value is not None and value != _PLAIN_ROPE.get(k) for k, value in rope.items()):
            raise CheckpointError(
                f"text_config.{name} is {rope!r}, supported: {dict(_PLAIN_ROPE)!r} and rope_theta"
            )
        if theta is not None and told.setdefault("rope_theta", theta) != theta:
            raise CheckpointError(
                f"text_config.{name}.rope_theta is {theta!r}, text_config.rope_theta is "
                f"{told['rope_theta']!r}; one of them is wrong"
            )
    return told
