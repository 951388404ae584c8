"""Loading: every key accounted for, misfits named, nothing heavy imported before it is needed."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from adp_ros.errors import CheckpointError, ConfigError
from adp_ros.policies.policy import load_policy

LAYERS = "language_model.model.layers"


@pytest.fixture
def checkpoint(golden_checkpoint, tmp_path):
    """A directory that shares the recorded files until one is replaced."""
    for source in golden_checkpoint.iterdir():
        (tmp_path / source.name).symlink_to(source.resolve())
    return tmp_path


def replace_file(path, write):
    """Put an own file where a link to the recorded one was."""
    path.unlink(missing_ok=True)
    write(path)


def merge(checkpoint, change):
    """Put all shards into one file, after a change of its tensors."""
    tensors = {}
    for shard in sorted(checkpoint.glob("model-*.safetensors")):
        tensors |= load_file(shard)
        shard.unlink()
    (checkpoint / "model.safetensors.index.json").unlink()
    change(tensors)
    save_file(tensors, checkpoint / "model.safetensors")


def edit_component(checkpoint, name, change):
    """Change the tensors of a .pt file."""
    (path,) = checkpoint.glob(f"{name}--*")
    state = torch.load(path, weights_only=True)
    replace_file(path, lambda p: torch.save(change(state), p))


def edit_json(checkpoint, name, change):
    """Change the values of a JSON file."""
    values = json.loads((checkpoint / name).read_text())
    change(values)
    replace_file(checkpoint / name, lambda p: p.write_text(json.dumps(values)))


def test_unused_keys_are_listed(golden_policy):
    """What the L1 head never reads isn't loaded: logits, last blocks, final norms, pool."""
    keys = set(golden_policy.parts.unused_keys)
    assert "language_model.lm_head.weight" in keys
    rest = keys - {"language_model.lm_head.weight"}
    heads = ("featurizer.blocks.3.", "featurizer.norm.")
    fused = ("fused_featurizer.blocks.4.", "fused_featurizer.norm.", "fused_featurizer.attn_pool.")
    prefixes = tuple(f"vision_backbone.{name}" for name in heads + fused)
    assert all(key.startswith(prefixes) for key in rest)
    assert len(keys) == 1 + 14 + 2 + 12 + 2 + 13  # lm_head, blocks, norms, pool


def test_nothing_unused_is_held(golden_policy, golden_checkpoint):
    """Parameters in memory are the checkpoint's tensors less the unused ones, number for number."""
    tensors = {}
    for shard in golden_checkpoint.glob("*.safetensors"):
        tensors |= load_file(shard)
    for name in ("action_head", "proprio_projector"):
        (path,) = golden_checkpoint.glob(f"{name}--*")
        tensors |= torch.load(path, weights_only=True)
    used = sum(
        t.numel() for key, t in tensors.items() if key not in golden_policy.parts.unused_keys
    )
    assert sum(p.numel() for p in golden_policy.model.parameters()) == used
    assert not any(p.requires_grad for p in golden_policy.model.parameters())


def test_single_file_and_plain_heads(checkpoint, golden_observations, golden_policy):
    """One weight file and heads saved without distributed training give the same policy."""
    merge(checkpoint, lambda tensors: None)
    for name in ("action_head", "proprio_projector"):
        edit_component(
            checkpoint, name, lambda s: {k.removeprefix("module."): t for k, t in s.items()}
        )
    observation = golden_observations["v1_c1"]
    actual = load_policy(checkpoint).predict(observation).actions
    np.testing.assert_array_equal(actual, golden_policy.predict(observation).actions)


def test_missing_tensors_are_named(checkpoint):
    """Each tensor that is not there is in the message."""
    gone = [f"{LAYERS}.2.mlp.up_proj.weight", "projector.fc2.bias"]
    merge(checkpoint, lambda tensors: [tensors.pop(key) for key in gone])
    with pytest.raises(CheckpointError) as error:
        load_policy(checkpoint)
    assert f"lacks {gone[0]}, {gone[1]}" in str(error.value)


def test_missing_head_tensor_is_named(checkpoint):
    """A head without one of its tensors is refused, whichever it is."""
    edit_component(
        checkpoint, "action_head", lambda s: {k: t for k, t in s.items() if "fc2.weight" not in k}
    )
    with pytest.raises(CheckpointError, match=r"lacks a matrix action_head\.model\.fc2\.weight"):
        load_policy(checkpoint)
    edit_component(
        checkpoint, "action_head", lambda s: {"module.model.fc2.weight": torch.zeros(7, 128)}
    )
    with pytest.raises(CheckpointError, match=r"lacks action_head\.model\.fc1\.bias"):
        load_policy(checkpoint)


def test_wrong_shapes_are_named(checkpoint):
    """Tensors of the wrong shape or type are named with what they are and what is needed."""
    query = "vision_backbone.featurizer.blocks.1.attn.qkv.weight"
    key = f"{LAYERS}.0.self_attn.k_proj.weight"

    def change(tensors):
        tensors[query] = tensors[query][:96].clone()
        tensors[key] = tensors[key].to(torch.int8)

    merge(checkpoint, change)
    with pytest.raises(CheckpointError) as error:
        load_policy(checkpoint)
    message = str(error.value)
    assert f"{query} is (96, 64) torch.bfloat16, floating-point (192, 64) is needed" in message
    assert f"{key} is (128, 128) torch.int8, floating-point (128, 128) is needed" in message


def test_weights_that_are_not_finite_are_named(checkpoint):
    """NaN in one weight is an error that names its tensor."""
    key = f"{LAYERS}.3.post_attention_layernorm.weight"
    merge(checkpoint, lambda tensors: tensors[key].__setitem__(5, float("nan")))
    with pytest.raises(CheckpointError, match=rf"{key} holds NaN"):
        load_policy(checkpoint)


def test_sizes_that_contradict_the_config_are_named(checkpoint):
    """A config of another width makes the tensors misfits, not a crash."""
    edit_json(checkpoint, "config.json", lambda v: v["text_config"].update(intermediate_size=400))
    with pytest.raises(CheckpointError, match=r"up_proj\.weight is \(352, 128\).*\(400, 128\)"):
        load_policy(checkpoint)


def test_state_size_must_fit_the_statistics(checkpoint):
    """A projector for 9 numbers beside statistics of 8 is refused before any motion."""
    edit_component(
        checkpoint, "proprio_projector", lambda s: s | {"module.fc1.weight": torch.zeros(128, 9)}
    )
    with pytest.raises(CheckpointError, match="proprio projector takes 9 numbers.*have 8"):
        load_policy(checkpoint)


def test_several_data_sets_need_a_choice(checkpoint):
    """With two data sets the user has to name one."""
    edit_json(
        checkpoint, "dataset_statistics.json", lambda v: v.update(other=v["jaco_tiny_public"])
    )
    with pytest.raises(CheckpointError, match="set unnorm_key to one of: 'jaco_tiny_public', 'oth"):
        load_policy(checkpoint)
    assert load_policy(checkpoint, unnorm_key="other").parts.statistics.name == "other"


def test_epsilon_left_out_means_the_default(checkpoint, golden_policy):
    """Without rms_norm_eps in text_config every norm uses 1e-6, with it the value given."""
    edit_json(checkpoint, "config.json", lambda v: v["text_config"].pop("rms_norm_eps"))

    def eps(policy):
        decoder = policy.model.language_model
        norms = [decoder.norm] + [
            norm
            for layer in decoder.layers
            for norm in (layer.input_layernorm, layer.post_attention_layernorm)
        ]
        return {norm.variance_epsilon for norm in norms}

    assert eps(load_policy(checkpoint)) == {1e-6}
    assert eps(golden_policy) == {1e-5}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "tpu"}, "device is 'tpu', allowed: cpu, cuda"),
        ({"device": "mps"}, "device is 'mps', allowed: cpu, cuda"),
        ({"device": "cuda:99"}, "device is 'cuda:99', but torch .* sees"),
        ({"dtype": "float16"}, "policy.dtype is 'float16', allowed: one of"),
        ({"action_slice": "middle"}, "policy.action_slice is 'middle'"),
    ],
)
def test_unusable_settings_are_refused(golden_checkpoint, options, message):
    """A wrong device, type or slice is named with what is allowed."""
    with pytest.raises(ConfigError, match=message):
        load_policy(golden_checkpoint, **options)


def test_importing_the_policy_package_is_cheap():
    """Nodes can name observations and settings without waiting for torch."""
    code = (
        "import sys; from adp_ros.policies.policy import load_policy;"
        "sys.exit(int(any(m in sys.modules for m in ('torch', 'transformers', 'rclpy', 'cv2'))))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
