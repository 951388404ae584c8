"""What ``adp-ros checkpoint`` tells about a checkpoint is true; its exit status too."""

import json

import pytest
from safetensors.torch import load_file, save_file

from adp_ros.cli import main
from adp_ros.policies.openvla.describe import describe
from adp_ros.policies.policy import load_policy
from adp_ros.types import ActionConvention


@pytest.fixture
def made(tmp_path):
    """A tiny checkpoint, made on the command line."""
    directory = tmp_path / "made"
    assert main(["checkpoint", "new", str(directory), "--size", "tiny", "--views", "2"]) == 0
    return directory


def test_recorded_checkpoint(golden_checkpoint):
    """Sizes, data set and keys of the recorded checkpoint; parameters counted on the model."""
    described = describe(golden_checkpoint)
    policy = load_policy(golden_checkpoint)
    used = sum(p.numel() for p in policy.model.parameters())
    assert described.complete
    assert described.unknown == ()
    assert described.unused == policy.parts.unused_keys
    assert described.weight_bytes == 20382152  # total_size of the recorded index
    assert described.dtypes == {"BF16": 186}
    assert used < described.parameters
    assert (described.action_size, described.state_size) == (7, 8)
    assert [(s.name, s.state_size) for s in described.datasets] == [("jaco_tiny_public", 8)]
    assert described.convention is None
    assert described.prompt_length == 19


def test_command_describes_what_it_made(made, capsys):
    """Inspect --json gives the sizes that were asked for."""
    capsys.readouterr()
    assert main(["checkpoint", "inspect", str(made), "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["complete"]
    assert values["model"]["views"] == 2
    assert values["model"]["llm"]["hidden_size"] == 64
    assert values["datasets"] == [{"name": "jaco2", "state_size": 8}]
    assert values["convention"] == {
        "translation_frame": ActionConvention().translation_frame,
        "rotation_frame": ActionConvention().rotation_frame,
        "rotation": ActionConvention().rotation,
    }


def test_incomplete_checkpoint_gives_status_1(made, capsys):
    """Missing, mis-shaped and unknown keys are listed, and the exit status is 1."""
    path = made / "model.safetensors"
    tensors = load_file(path)
    del tensors["projector.fc1.bias"]
    tensors["projector.fc3.bias"] = tensors["projector.fc3.bias"][:5].clone()
    tensors["extra.weight"] = tensors["projector.fc2.bias"].clone()
    save_file(tensors, path)
    assert main(["checkpoint", "inspect", str(made)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split() == ["missing", "keys", "projector.fc1.bias"] for line in lines)
    assert any(line.split() == ["misshapen", "keys", "projector.fc3.bias"] for line in lines)
    assert any(line.split() == ["unknown", "keys", "extra.weight"] for line in lines)


def test_bad_input_gives_status_2(made, tmp_path, capsys):
    """A full directory, a missing one and a missing adapter are one line and status 2."""
    for words, message in (
        (["new", str(made)], "exists already, a new or empty directory is needed"),
        (["inspect", str(tmp_path / "nowhere")], "config.json is missing"),
        (
            ["merge-lora", str(made), str(made), str(tmp_path / "o")],
            "adapter_config.json is missing",
        ),
        (["new", str(tmp_path / "n"), "--state", "99"], "state is 99, allowed: 0 to 64"),
    ):
        assert main(["checkpoint", *words]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    assert not (tmp_path / "n").exists()
