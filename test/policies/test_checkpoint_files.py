"""Weight files are found, checked and read as data; every damage is named."""

import json
import pickle
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from adp_ros.errors import CheckpointError
from adp_ros.policies.openvla.create import SIZES, NewCheckpoint, create_checkpoint
from adp_ros.policies.openvla.weight_files import CheckpointFiles, load_component

EMBEDDING = "language_model.model.embed_tokens.weight"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A sharded checkpoint, to be copied before it is damaged."""
    directory = tmp_path_factory.mktemp("whole") / "checkpoint"
    create_checkpoint(directory, SIZES["tiny"], NewCheckpoint(shard_bytes=3 * 10**6))
    return directory


@pytest.fixture
def checkpoint(whole, tmp_path):
    """A copy of the sharded checkpoint."""
    return shutil.copytree(whole, tmp_path / "checkpoint")


def shard_of(checkpoint, key):
    """Return the file that holds a key."""
    return checkpoint / index(checkpoint)["weight_map"][key]


def index(checkpoint):
    """Return the index."""
    return json.loads((checkpoint / "model.safetensors.index.json").read_text())


def error(checkpoint):
    """Find the files and read all of them; return the error's text."""
    with pytest.raises(CheckpointError) as caught:
        for _ in CheckpointFiles.find(checkpoint).iter_tensors():
            pass
    return str(caught.value)


def test_shards_hold_every_tensor_once(checkpoint):
    """The tensors of all shards are those that safetensors itself reads from the files."""
    files = CheckpointFiles.find(checkpoint)
    ours = {key: tensor.clone() for key, tensor in files.iter_tensors()}
    theirs = {k: t for path in files.shards for k, t in load_file(path).items()}
    assert len(files.shards) > 1
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_single_file_is_found(checkpoint):
    """A checkpoint whose weights fit one file has no index."""
    files = CheckpointFiles.find(checkpoint)
    save_file({k: t.clone() for k, t in files.iter_tensors()}, checkpoint / "model.safetensors")
    (checkpoint / "model.safetensors.index.json").unlink()
    assert CheckpointFiles.find(checkpoint).weight_map.keys() == files.weight_map.keys()


def test_components_of_any_step(checkpoint):
    """Heads are found by upstream's rule, with and without the prefix of distributed training."""
    head = checkpoint / "action_head--latest_checkpoint.pt"
    with_prefix = torch.load(head, weights_only=True)
    head.rename(checkpoint / "action_head--150000_checkpoint.pt")
    files = CheckpointFiles.find(checkpoint)
    assert files.component("action_head").name == "action_head--150000_checkpoint.pt"
    plain = {key.removeprefix("module."): t for key, t in with_prefix.items()}
    torch.save(plain, files.component("action_head"))
    assert load_component(files.component("action_head")).keys() == plain.keys()
    assert all(key.startswith("module.") for key in with_prefix)


def test_two_heads_are_ambiguous(checkpoint):
    """Two files for one component are listed; nothing is picked by chance."""
    head = checkpoint / "action_head--latest_checkpoint.pt"
    shutil.copyfile(head, checkpoint / "action_head--50000_checkpoint.pt")
    assert error(checkpoint).endswith(
        "has 2 files for action_head: action_head--50000_checkpoint.pt, "
        "action_head--latest_checkpoint.pt; exactly one is needed"
    )


def test_missing_head_is_explained(checkpoint):
    """Without a head it is a checkpoint with discrete tokens, which is said."""
    (checkpoint / "action_head--latest_checkpoint.pt").unlink()
    with pytest.raises(CheckpointError, match="discrete action tokens are not supported"):
        CheckpointFiles.find(checkpoint).component("action_head")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("noisy_action_projector--latest_checkpoint.pt", "belongs to a diffusion head"),
        ("vision_backbone--latest_checkpoint.pt", "belongs to FiLM-conditioned vision towers"),
    ],
)
def test_other_kinds_are_refused(checkpoint, name, message):
    """Diffusion and FiLM checkpoints are refused in words, with the file that tells."""
    (checkpoint / name).write_bytes(b"")
    assert f"{name} {message}" in error(checkpoint)


def test_diffusion_head_is_refused(checkpoint):
    """A head whose tensors are those of a noise predictor is refused."""
    head = checkpoint / "action_head--latest_checkpoint.pt"
    torch.save({"module.noise_predictor.fc1.weight": torch.zeros(1)}, head)
    with pytest.raises(CheckpointError, match="belongs to a diffusion head"):
        load_component(head)


def test_only_an_adapter_is_explained(checkpoint):
    """A directory without merged weights says how to merge them."""
    for path in (*checkpoint.glob("*.safetensors"), checkpoint / "model.safetensors.index.json"):
        path.unlink()
    assert error(checkpoint).endswith("has no weights, model.safetensors or "
                                      "model.safetensors.index.json is needed")  # fmt: skip
    (checkpoint / "pytorch_model.bin").write_bytes(b"")
    assert "pickled weights (pytorch_model*.bin), only safetensors" in error(checkpoint)
    (checkpoint / "lora_adapter").mkdir()
    assert "only lora_adapter/: merge it" in error(checkpoint)
    assert "adp-ros checkpoint merge-lora" in error(checkpoint)


@pytest.mark.parametrize("keep", [0, 4, 100, 0.5, 0.999])
def test_truncated_shard_is_named(checkpoint, keep):
    """A shard cut anywhere is named before any of its numbers are used."""
    path = shard_of(checkpoint, EMBEDDING)
    data = path.read_bytes()
    path.write_bytes(data[: keep if keep > 1 else int(keep * len(data))])
    assert f"{path} is truncated or damaged" in error(checkpoint)


def test_damaged_header_is_named(checkpoint):
    """Bytes changed in a shard's header are an error that names the shard."""
    path = shard_of(checkpoint, EMBEDDING)
    data = bytearray(path.read_bytes())
    data[8:40] = b"\xff" * 32
    path.write_bytes(data)
    assert f"{path} is truncated or damaged" in error(checkpoint)


def test_pointer_instead_of_weights_is_recognised(checkpoint):
    """A clone without Git LFS leaves pointers; the error says so."""
    path = shard_of(checkpoint, EMBEDDING)
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    assert "a Git LFS pointer, fetch the file itself" in error(checkpoint)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_not_finite_are_named(checkpoint, value):
    """One NaN or infinity among millions is an error that names file and key."""
    path = shard_of(checkpoint, EMBEDDING)
    tensors = load_file(path)
    tensors[EMBEDDING][31999, 5] = value
    save_file(tensors, path)
    assert error(checkpoint) == f"{path}: {EMBEDDING} holds NaN or infinite weights"


def test_missing_shard_is_named(checkpoint):
    """A shard of the index that is not there is an error."""
    path = shard_of(checkpoint, EMBEDDING)
    path.unlink()
    assert error(checkpoint) == f"{path} is missing"


def test_index_and_shard_must_agree(checkpoint):
    """A key in the shard but not in the index, and the other way round, is named."""
    path = checkpoint / "model.safetensors.index.json"
    values = index(checkpoint)
    key = "projector.fc1.bias"
    file = values["weight_map"].pop(key)
    path.write_text(json.dumps(values))
    assert f"{key} is not in the index" in error(checkpoint)
    values["weight_map"] |= {key: file, "extra.weight": file}
    path.write_text(json.dumps(values))
    assert "extra.weight is only in the index" in error(checkpoint)


@pytest.mark.parametrize("name", ["../weights.safetensors", "/etc/passwd", 3])
def test_index_cannot_point_elsewhere(checkpoint, name):
    """Shards lie beside their index."""
    path = checkpoint / "model.safetensors.index.json"
    path.write_text(json.dumps({"weight_map": {"a": name}}))
    assert "a file beside it is needed" in error(checkpoint)


def test_index_and_single_file_are_ambiguous(checkpoint):
    """Weights in both forms are refused."""
    shutil.copyfile(shard_of(checkpoint, EMBEDDING), checkpoint / "model.safetensors")
    assert "has both model.safetensors.index.json and model.safetensors" in error(checkpoint)


class Runs:
    """Unpickles into a call of a function, as malicious weights do."""

    def __reduce__(self):
        return (open, ("/tmp/adp_ros_was_here", "w"))


def _write_pickle(path):
    path.write_bytes(pickle.dumps(Runs()))


def _write_truncated(path):
    path.write_bytes(path.read_bytes()[:-500])


def _write_code(path):
    torch.save({"module.fc1.weight": Runs()}, path)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("damage", [_write_pickle, _write_truncated, _write_code])
def test_component_is_data(checkpoint, damage):
    """Damaged and malicious heads are refused by name; nothing in them is run."""
    path = checkpoint / "action_head--latest_checkpoint.pt"
    damage(path)
    with pytest.raises(CheckpointError, match=f"{path.name} cannot be read as plain tensors"):
        load_component(path)


@pytest.mark.parametrize("values", [torch.zeros(3), {"a": 1}, [torch.zeros(1)]])
def test_component_holds_a_table_of_tensors(tmp_path, values):
    """Anything else in a .pt file is refused."""
    torch.save(values, tmp_path / "head.pt")
    with pytest.raises(CheckpointError, match="does not hold a table of tensors"):
        load_component(tmp_path / "head.pt")


def test_component_that_is_not_finite_is_named(tmp_path):
    """NaN in a head names file and key."""
    torch.save({"module.fc1.bias": torch.tensor([float("nan")])}, tmp_path / "head.pt")
    with pytest.raises(CheckpointError, match=r"head\.pt: fc1\.bias holds NaN"):
        load_component(tmp_path / "head.pt")


def test_missing_directory_is_named(tmp_path):
    """A path that is no directory is named."""
    assert error(tmp_path / "nowhere") == f"checkpoint {tmp_path / 'nowhere'} is not a directory"
