"""Merging a LoRA adapter equals the dense computation; adapters that differ are refused."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from adp_ros.errors import CheckpointError, ConfigError
from adp_ros.policies.openvla.create import SIZES, NewCheckpoint, create_checkpoint
from adp_ros.policies.openvla.lora import merge_lora, read_adapter
from adp_ros.policies.openvla.weight_files import CheckpointFiles
from adp_ros.policies.policy import load_policy
from adp_ros.types import Observation

RANK, ALPHA = 4, 16
CONFIG = {
    "peft_type": "LORA",
    "r": RANK,
    "lora_alpha": ALPHA,
    "bias": "none",
    "target_modules": "all-linear",
    "fan_in_fan_out": False,
    "use_dora": False,
    "use_rslora": False,
    "rank_pattern": {},
    "alpha_pattern": {},
    "modules_to_save": None,
    "lora_dropout": 0.0,
}
CHANGED = (
    "language_model.model.layers.1.self_attn.q_proj",
    "language_model.model.layers.2.mlp.down_proj",
    "vision_backbone.featurizer.blocks.0.attn.qkv",
    "vision_backbone.fused_featurizer.blocks.1.mlp.fc2",
    "projector.fc2",
)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """The model before fine-tuning."""
    directory = tmp_path_factory.mktemp("base") / "model"
    create_checkpoint(directory, SIZES["tiny"], NewCheckpoint(shard_bytes=3 * 10**6))
    return directory


@pytest.fixture
def fine_tune(base, tmp_path):
    """An unmerged fine-tune: no model weights, heads of its own and lora_adapter/."""
    directory = tmp_path / "fine_tune"
    other = tmp_path / "other"
    create_checkpoint(other, SIZES["tiny"], NewCheckpoint(seed=5, dataset="tuned"))
    shutil.copytree(other, directory, ignore=shutil.ignore_patterns("*.safetensors*"))
    (directory / "config.json").unlink()
    adapter = directory / "lora_adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(json.dumps(CONFIG))
    weights = CheckpointFiles.find(base).iter_tensors()
    shapes = {key: tensor.shape for key, tensor in weights}
    random = torch.Generator().manual_seed(1)
    factors = {}
    for module in CHANGED:
        outputs, inputs = shapes[f"{module}.weight"]
        name = f"base_model.model.{module}"
        factors[f"{name}.lora_A.weight"] = torch.randn(RANK, inputs, generator=random)
        factors[f"{name}.lora_B.weight"] = torch.randn(outputs, RANK, generator=random)
    save_file(factors, adapter / "adapter_model.safetensors")
    return directory


def change(directory, file, values):
    """Change values of a JSON file of the adapter."""
    path = directory / "lora_adapter" / file
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_merge_is_the_dense_sum(base, fine_tune, tmp_path):
    """Changed weights are W + alpha / r B A in float64, rounded to bfloat16; others untouched."""
    assert merge_lora(fine_tune, base, tmp_path / "out") == len(CHANGED)
    factors = load_file(fine_tune / "lora_adapter" / "adapter_model.safetensors")
    before = {k: t.clone() for k, t in CheckpointFiles.find(base).iter_tensors()}
    after = {k: t.clone() for k, t in CheckpointFiles.find(tmp_path / "out").iter_tensors()}
    assert after.keys() == before.keys()
    for key, weight in before.items():
        module = key.removesuffix(".weight")
        if module not in CHANGED:
            assert torch.equal(after[key], weight)
            continue
        a = factors[f"base_model.model.{module}.lora_A.weight"].double().numpy()
        b = factors[f"base_model.model.{module}.lora_B.weight"].double().numpy()
        dense = weight.double().numpy() + ALPHA / RANK * np.einsum("or,ri->oi", b, a)
        assert after[key].dtype == weight.dtype
        close = np.isclose(after[key].double().numpy(), dense, rtol=2**-8, atol=1e-6)
        assert close.all()


def test_merged_model_computes_with_the_adapter(base, fine_tune, tmp_path):
    """A linear layer of the loaded model gives W x + alpha / r B (A x)."""
    merge_lora(fine_tune, base, tmp_path / "out")
    factors = load_file(fine_tune / "lora_adapter" / "adapter_model.safetensors")
    x = torch.randn(8704 * SIZES["tiny"].vision_width // 2176, generator=torch.Generator())
    old, new = (load_policy(d).model.projector.fc2 for d in (base, tmp_path / "out"))
    a = factors["base_model.model.projector.fc2.lora_A.weight"]
    b = factors["base_model.model.projector.fc2.lora_B.weight"]
    expected = old(x) + ALPHA / RANK * b @ (a @ x)
    assert torch.allclose(new(x), expected, rtol=0.02, atol=0.5)
    assert not torch.allclose(old(x), expected, rtol=0.02, atol=0.5)


def test_merged_checkpoint_is_the_fine_tune(base, fine_tune, tmp_path):
    """Heads and statistics are the fine-tune's, config.json the base's; it predicts."""
    out = tmp_path / "out"
    merge_lora(fine_tune, base, out)
    head = "action_head--latest_checkpoint.pt"
    assert (
        (out / head).read_bytes() == (fine_tune / head).read_bytes() != (base / head).read_bytes()
    )
    assert (out / "config.json").read_bytes() == (base / "config.json").read_bytes()
    policy = load_policy(out)
    image = np.zeros((224, 224, 3), dtype=np.uint8)
    result = policy.predict(Observation((image,), "wipe", np.zeros(8)))
    assert policy.parts.statistics.name == "tuned"
    assert np.isfinite(result.actions).all()


def test_unmerged_checkpoint_is_explained(fine_tune, base):
    """Loading it says what to do; a base without configuration does not hide that."""
    shutil.copyfile(base / "config.json", fine_tune / "config.json")
    with pytest.raises(CheckpointError, match=r"only lora_adapter/: merge it .* merge-lora"):
        load_policy(fine_tune)


def test_rank_stabilised_scaling(fine_tune):
    """With use_rslora the factor is alpha / sqrt(r)."""
    assert read_adapter(fine_tune / "lora_adapter").scaling == ALPHA / RANK
    change(fine_tune, "adapter_config.json", {"use_rslora": True})
    assert read_adapter(fine_tune / "lora_adapter").scaling == ALPHA / RANK**0.5


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"use_dora": True}, "use_dora is True, supported: False"),
        ({"peft_type": "IA3"}, "peft_type is 'IA3', supported: 'LORA'"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save is ['lm_head']"),
        ({"rank_pattern": {"fc1": 8}}, "rank_pattern is {'fc1': 8}"),
        ({"r": 0}, "r is 0 and lora_alpha 16"),
        ({"r": 8}, "a pair of rank 8 is needed"),
    ],
)
def test_other_adapters_are_refused(fine_tune, values, message):
    """What is no plain LoRA is refused by name instead of merged wrongly."""
    change(fine_tune, "adapter_config.json", values)
    with pytest.raises(CheckpointError) as caught:
        read_adapter(fine_tune / "lora_adapter")
    assert message in str(caught.value)


def _drop_b(factors):
    del factors["base_model.model.projector.fc2.lora_B.weight"]


def _rename(factors):
    for part in ("lora_A", "lora_B"):
        name = f"base_model.model.projector.fc2.{part}.weight"
        factors[name.replace("fc2", "fc9")] = factors.pop(name)


def _nan(factors):
    factors["base_model.model.projector.fc2.lora_A.weight"][0, 0] = float("nan")


def _other(factors):
    factors["base_model.model.projector.fc2.bias"] = torch.zeros(3)


def _narrow(factors):
    name = "base_model.model.projector.fc2.lora_A.weight"
    factors[name] = factors[name][:, :7].contiguous()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_drop_b, r"projector\.fc2\.weight has factors .* a pair of rank 4 is needed"),
        (_rename, r"has no projector\.fc9\.weight, which the adapter changes"),
        (_nan, r"fc2\.lora_A\.weight holds NaN"),
        (_other, r"fc2\.bias is no LoRA factor"),
        (_narrow, r"projector\.fc2\.weight is \(64, 320\), the adapter changes \(64, 7\)"),
    ],
)
def test_damaged_adapter_is_named(base, fine_tune, tmp_path, damage, message):
    """Factors that missing, foreign, not finite or of another shape are named; nothing is left."""
    path = fine_tune / "lora_adapter" / "adapter_model.safetensors"
    factors = load_file(path)
    damage(factors)
    save_file(factors, path)
    with pytest.raises(CheckpointError, match=message):
        merge_lora(fine_tune, base, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fine_tune", "other"]


def test_missing_adapter_and_full_output_are_named(base, fine_tune, tmp_path):
    """A fine-tune without adapter and an output with files in it are refused."""
    with pytest.raises(CheckpointError, match=r"adapter_config\.json is missing"):
        merge_lora(base, base, tmp_path / "out")
    with pytest.raises(ConfigError, match="a new or empty directory is needed"):
        merge_lora(fine_tune, base, base)
