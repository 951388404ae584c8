"""Checkpoints that the package makes itself are complete, true in layout and reproducible."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from adp_ros.errors import CheckpointError, ConfigError, ObservationError
from adp_ros.policies.conventions import read_state_layout
from adp_ros.policies.openvla.create import SIZES, NewCheckpoint, create_checkpoint
from adp_ros.policies.openvla.model_config import read_config
from adp_ros.policies.openvla.normalisation import load_statistics
from adp_ros.policies.openvla.tensor_layout import (
    action_head_shapes,
    model_shapes,
    proprio_projector_shapes,
    unused_keys,
)
from adp_ros.policies.openvla.weight_files import CheckpointFiles, load_component
from adp_ros.policies.policy import load_policy
from adp_ros.types import Observation

TINY = SIZES["tiny"]
IMAGE = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A tiny checkpoint in several shards."""
    directory = tmp_path_factory.mktemp("made") / "checkpoint"
    create_checkpoint(directory, TINY, NewCheckpoint(shard_bytes=2 * 10**6))
    return directory


def shapes_of(tensors):
    """Return key -> shape."""
    return {key: tuple(tensor.shape) for key, tensor in tensors.items()}


def test_layout_is_that_of_a_recorded_checkpoint(golden_checkpoint):
    """Keys and shapes are exactly those that the original code wrote."""
    files = CheckpointFiles.find(golden_checkpoint)
    config = read_config(golden_checkpoint)
    assert shapes_of(dict(files.iter_tensors())) == model_shapes(config)
    head = load_component(files.component("action_head"))
    projector = load_component(files.component("proprio_projector"))
    assert shapes_of(head) == action_head_shapes(128, 7)
    assert shapes_of(projector) == proprio_projector_shapes(128, 8)


def test_layout_of_the_real_size():
    """The 7B layout has the public checkpoints' key counts and tower sizes."""
    shapes = model_shapes(SIZES["7b"])
    dino = {k: s for k, s in shapes.items() if ".featurizer." in k}
    siglip = {k: s for k, s in shapes.items() if ".fused_featurizer." in k}
    assert (len(dino), len(siglip)) == (343, 342)
    assert sum(map(np.prod, dino.values())) == pytest.approx(303e6, rel=0.01)
    assert sum(map(np.prod, siglip.values())) == pytest.approx(428e6, rel=0.01)
    assert sum(map(np.prod, shapes.values())) == pytest.approx(7.54e9, rel=0.01)
    assert shapes["projector.fc1.weight"] == (8704, 2176)
    assert shapes["projector.fc2.weight"] == (4096, 8704)
    assert shapes["vision_backbone.fused_featurizer.blocks.26.mlp.fc1.weight"] == (4304, 1152)
    assert action_head_shapes(4096, 7)["model.fc1.weight"] == (4096, 28672)


def test_shards_are_small_and_indexed(made):
    """No shard is larger than asked for, bar single tensors; the index counts every byte."""
    index = json.loads((made / "model.safetensors.index.json").read_text())
    contents = [load_file(path) for path in sorted(made.glob("*.safetensors"))]
    sizes = [sum(t.nbytes for t in part.values()) for part in contents]
    assert all(s <= 2e6 or len(part) == 1 for s, part in zip(sizes, contents, strict=True))
    assert index["metadata"]["total_size"] == sum(sizes)
    assert {t.dtype for part in contents for t in part.values()} == {torch.bfloat16}


def test_head_is_stored_as_distributed_training_leaves_it(made):
    """The .pt files carry the module. prefix; the projector is float32 on disk."""
    head = torch.load(made / "action_head--latest_checkpoint.pt", weights_only=True)
    projector = torch.load(made / "proprio_projector--latest_checkpoint.pt", weights_only=True)
    assert all(key.startswith("module.") for key in [*head, *projector])
    assert {t.dtype for t in head.values()} == {torch.bfloat16}
    assert {t.dtype for t in projector.values()} == {torch.float32}


def test_it_loads_and_its_actions_may_be_executed(made):
    """A whole forward pass gives small motions and a gripper between closed and open."""
    policy = load_policy(made)
    observation = Observation((IMAGE,), "wipe the table", np.zeros(8))
    actions = policy.predict(observation).actions
    assert actions.shape == (8, 7)
    assert np.abs(actions[:, :3]).max() < 0.012
    assert np.abs(actions[:, 3:6]).max() < 0.05
    assert ((actions[:, 6] > 0) & (actions[:, 6] < 1)).all()


def test_unused_keys_are_those_the_loader_leaves(made):
    """The layout's list of unused keys is what the loaded model did not ask for."""
    assert set(load_policy(made).parts.unused_keys) == unused_keys(TINY)
    assert "language_model.lm_head.weight" in unused_keys(TINY)


def test_seed_decides_the_weights(made, tmp_path):
    """The same seed gives the same tensors whatever the shards, another seed other ones."""
    first = dict(CheckpointFiles.find(made).iter_tensors())
    for seed, same in ((0, True), (1, False)):
        directory = tmp_path / str(seed)
        create_checkpoint(directory, TINY, NewCheckpoint(seed=seed))
        files = CheckpointFiles.find(directory)
        assert [path.name for path in files.shards] == ["model.safetensors"]
        key = "language_model.model.layers.2.mlp.up_proj.weight"
        assert torch.equal(dict(files.iter_tensors())[key], first[key]) is same


def test_checkpoint_without_state(tmp_path):
    """State 0 leaves out projector, statistics and layout; a state is then refused."""
    create_checkpoint(tmp_path, TINY, NewCheckpoint(state=0))
    assert "proprio_projector" not in CheckpointFiles.find(tmp_path).components
    assert load_statistics(tmp_path).proprio is None
    assert read_state_layout(tmp_path) is None
    policy = load_policy(tmp_path)
    assert policy.predict(Observation((IMAGE,), "wipe")).actions.shape == (8, 7)
    with pytest.raises(ObservationError, match="takes none"):
        policy.predict(Observation((IMAGE,), "wipe", np.zeros(8)))


def test_declared_views_are_needed(tmp_path):
    """A checkpoint for two views refuses one."""
    create_checkpoint(tmp_path, replace(TINY, views=2))
    policy = load_policy(tmp_path)
    both = Observation((IMAGE, IMAGE[::-1]), "wipe", np.zeros(8))
    assert policy.predict(both).vision_tokens == 512
    with pytest.raises(ObservationError, match="1 images, this checkpoint needs 2"):
        policy.predict(Observation((IMAGE,), "wipe", np.zeros(8)))


def test_damage_anywhere_is_named_at_load(made, tmp_path):
    """load_policy names a lacking tensor, a mis-shaped one and a state of another size."""
    create_checkpoint(tmp_path / "a", TINY, NewCheckpoint(shard_bytes=10**9))
    files = CheckpointFiles.find(tmp_path / "a")
    tensors = {key: tensor.clone() for key, tensor in files.iter_tensors()}
    key = "projector.fc2.weight"
    for value, message in ((None, f"lacks {key}"), (tensors[key][:, :5], rf"{key} is \(64, 5\)")):
        changed = {k: t for k, t in tensors.items() if k != key}
        changed |= {} if value is None else {key: value.contiguous()}
        save_file(changed, files.shards[0])
        with pytest.raises(CheckpointError, match=message):
            load_policy(tmp_path / "a")
    wrong = Observation((IMAGE,), "wipe", np.zeros(7))
    with pytest.raises(ObservationError, match=r"state has shape \(7,\), .* needs \(8,\)"):
        load_policy(made).predict(wrong)


def test_directory_with_files_is_left_alone(tmp_path):
    """Nothing is written over: the directory must be new or empty."""
    (tmp_path / "precious.txt").write_text("x")
    with pytest.raises(ConfigError, match="exists already, a new or empty directory is needed"):
        create_checkpoint(tmp_path, TINY)
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]


def test_empty_directory_stays_the_same(tmp_path):
    """An empty directory is filled, not replaced; whoever may read it may read its files."""
    before = tmp_path.stat().st_ino
    create_checkpoint(tmp_path, TINY)
    modes = {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert tmp_path.stat().st_ino == before
    assert len(modes) == 1
    assert modes.pop() & 0o400


def test_directory_that_cannot_be_written_is_named(tmp_path):
    """A file in the way of a parent is one clear error."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(CheckpointError, match=r"file/new could not be made"):
        create_checkpoint(tmp_path / "file" / "new", TINY)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"seed": -1}, "seed is -1, allowed: 0 to"),
        ({"state": 65}, "state is 65, allowed: 0 to 64"),
        ({"state": 8.0}, "state is 8.0, a whole number is needed"),
    ],
)
def test_settings_are_checked(values, message):
    """Settings out of range are refused by name."""
    with pytest.raises(ConfigError) as caught:
        NewCheckpoint(**values)
    assert message in str(caught.value)
