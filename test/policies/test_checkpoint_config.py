"""Sizes from config.json, and the declared convention of the actions."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from adp_ros.errors import CheckpointError
from adp_ros.policies.conventions import read_convention, write_convention
from adp_ros.policies.openvla.create import SIZES, config_values
from adp_ros.policies.openvla.model_config import LlmConfig, read_config
from adp_ros.types import ActionConvention

GOLDEN = Path(__file__).parents[1] / "golden" / "checkpoint"


def write(directory, values):
    """Write config.json."""
    (directory / "config.json").write_text(json.dumps(values))
    return directory


def test_recorded_checkpoint():
    """Sizes of the recorded checkpoint; SigLIP's MLP is timm's int(96 * 3.7362)."""
    config = read_config(GOLDEN)
    assert (config.dino.width, config.dino.depth, config.dino.heads) == (64, 4, 4)
    assert (config.dino.intermediate, config.dino.registers) == (256, 4)
    assert (config.siglip.width, config.siglip.depth, config.siglip.heads) == (96, 5, 6)
    assert (config.siglip.intermediate, config.siglip.registers) == (358, 0)
    assert config.llm.hidden_size == 128
    assert config.llm.rms_norm_eps == 1e-5
    assert config.chunk_length == 8
    assert config.views is None


def test_public_checkpoint_has_real_sizes(tmp_path):
    """With upstream's keys alone, absent text_config keys mean LlamaConfig's defaults."""
    values = {
        "model_type": "openvla",
        "timm_model_ids": [
            "vit_large_patch14_reg4_dinov2.lvd142m",
            "vit_so400m_patch14_siglip_224",
        ],
        "text_config": {"model_type": "llama", "vocab_size": 32064, "torch_dtype": "bfloat16"},
    }
    config = read_config(write(tmp_path, values))
    assert config == SIZES["7b"]
    assert config.llm == LlmConfig(rms_norm_eps=1e-6, rope_theta=1e4, hidden_size=4096)
    assert (config.siglip.intermediate, config.vision_width) == (4304, 2176)


@pytest.mark.parametrize("size", SIZES)
def test_written_config_is_read_back(tmp_path, size):
    """What config_values writes gives the same sizes again."""
    model = replace(SIZES[size], views=2)
    assert read_config(write(tmp_path, config_values(model))) == model


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "llava"}, "model_type is 'llava', supported: 'openvla'"),
        ({"use_fused_vision_backbone": False}, "use_fused_vision_backbone is False"),
        ({"arch_specifier": "linear"}, "arch_specifier is 'linear'"),
        ({"image_sizes": [384, 384]}, "image_sizes is [384, 384], supported: [224, 224]"),
        ({"image_resize_strategy": "letterbox"}, "image_resize_strategy is 'letterbox'"),
        ({"timm_model_ids": ["vit_base", "vit_so400m_patch14_siglip_224"]}, "['vit_base', "),
        ({"timm_model_ids": "vit_base"}, "timm_model_ids is 'vit_base'"),
        ({"timm_model_overrides": [{}]}, "two objects are needed"),
        ({"timm_model_overrides": [{"img_size": 9}, {}]}, "'img_size' of vit_large"),
        ({"timm_model_overrides": [{"embed_dim": 0}, {}]}, "embed_dim of vit_large"),
        ({"timm_model_overrides": [{"num_heads": 7}, {}]}, "no multiple of 7 heads"),
        ({"text_config": {"model_type": "mistral"}}, "text_config.model_type is 'mistral'"),
        ({"text_config": {"rope_scaling": {"factor": 2}}}, "text_config.rope_scaling is"),
        (
            {"text_config": {"rope_parameters": {"rope_type": "linear"}}},
            "rope_parameters is {'rope",
        ),
        ({"text_config": {"rope_parameters": "default"}}, "rope_parameters is 'default', an obj"),
        (
            {"text_config": {"rope_theta": 1e4, "rope_parameters": {"rope_theta": 5e5}}},
            "rope_parameters.rope_theta is 500000.0, text_config.rope_theta is 10000.0",
        ),
        ({"text_config": {"head_dim": 64}}, "text_config.head_dim is 64, supported: 128"),
        ({"text_config": {"partial_rotary_factor": 0.5}}, "partial_rotary_factor is 0.5"),
        ({"text_config": {"hidden_size": "4096"}}, "text_config.hidden_size is '4096'"),
        ({"text_config": {"hidden_size": 100}}, "width 100 is no multiple of 32 heads"),
        ({"text_config": {"rms_norm_eps": "1e-6"}}, "text_config.rms_norm_eps is '1e-6'"),
        ({"text_config": []}, "text_config is []"),
        ({"num_actions_chunk": 0}, "num_actions_chunk is 0"),
        ({"num_images_in_input": -1}, "num_images_in_input is -1"),
    ],
)
def test_other_models_are_refused(tmp_path, changes, message):
    """A model of another kind is refused with the key, its value and what is supported."""
    with pytest.raises(CheckpointError) as caught:
        read_config(write(tmp_path, config_values(SIZES["7b"]) | changes))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "told",
    [
        {"head_dim": 32},
        {"head_dim": None, "rope_scaling": None, "num_key_value_heads": None},
        {"rope_parameters": {"rope_type": "default", "rope_theta": 1e8}},
        {"rope_theta": 1e8, "rope_parameters": {"rope_type": "default", "rope_theta": 1e8}},
        {"rope_theta": 1e8, "rope_scaling": {"type": "default", "factor": 1.0}},
        {"rope_parameters": {"rope_theta": 1e8, "partial_rotary_factor": 1.0}},
    ],
)
def test_the_same_model_in_other_words(tmp_path, told):
    """What newer transformers write, and what says nothing, describes the same model."""
    values = config_values(SIZES["twin"])
    del values["text_config"]["rope_theta"]
    if not str(told).count("rope_theta"):
        told = told | {"rope_theta": 1e8}
    values["text_config"] |= told
    assert read_config(write(tmp_path, values)) == SIZES["twin"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "config.json is missing"),
        ("{", "cannot be read as JSON"),
        ("[]", "holds a list, an object is needed"),
        ("\0", "cannot be read as JSON"),
    ],
)
def test_broken_file_is_named(tmp_path, text, message):
    """A missing or broken config.json is one clear error."""
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=message):
        read_config(tmp_path)


def test_convention_is_declared_or_absent(tmp_path):
    """A declared convention is read back; without the file there is none."""
    assert read_convention(tmp_path) is None
    declared = ActionConvention("tool", "tool", "euler_xyz")
    write_convention(tmp_path, declared)
    assert read_convention(tmp_path) == declared


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"translation_frame": "base"}, "rotation_frame, rotation is missing"),
        (
            {"translation_frame": "world", "rotation_frame": "base", "rotation": "rpy"},
            "translation_frame is 'world', allowed: ('base', 'tool')",
        ),
        (
            {"translation_frame": "base", "rotation_frame": "base", "rotation": "rpy", "x": 1},
            "unknown setting 'x'",
        ),
    ],
)
def test_convention_is_never_guessed(tmp_path, values, message):
    """A partial or unknown convention is refused instead of completed."""
    (tmp_path / "action_convention.json").write_text(json.dumps(values))
    with pytest.raises(CheckpointError) as caught:
        read_convention(tmp_path)
    assert message in str(caught.value)
