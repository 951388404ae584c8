"""``make gpu-check`` without a GPU: it says so; each of its checks runs on a small model."""

import importlib.util
import json
from pathlib import Path

import pytest
import torch
from cpu_recorder import record_on_cpu

SCRIPT = Path(__file__).parents[1] / ".ci" / "gpu_check.py"


@pytest.fixture(scope="module")
def gpu_check():
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("gpu_check", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_without_cuda_it_says_so_and_ends_well(gpu_check, monkeypatch, capsys, tmp_path):
    """Status 0, one line, no file."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    output = tmp_path / "out.json"
    assert gpu_check.main(["--output", str(output)]) == 0
    assert "sees no CUDA, nothing is checked" in capsys.readouterr().out
    assert not output.exists()


def test_one_device_agrees_with_itself(gpu_check):
    """The same device twice gives the same actions and patches."""
    found = gpu_check.check_parity("cpu", "tiny")
    assert found == {"passed": True, "largest_difference": 0.0, "least_share_of_kept": 1.0}


def test_a_second_recording_is_counted(gpu_check):
    """A recorder that works on the CPU: every shape once; one that forgets is found out."""
    found = gpu_check.check_graphs("cpu", "tiny", record_on_cpu)
    assert found["passed"] and found["recorded_again"] == 0 and found["recorded"] >= 9


def test_bench_has_every_arm_for_one_and_two_views(gpu_check):
    """Full, plain and both keeps, in bfloat16."""
    found = gpu_check.check_bench("cpu", "tiny", rounds=2)
    for views in (1, 2):
        part = found[f"views_{views}"]
        assert set(part["arms"]) == {"full", "plain", "adp 0.5", "adp 0.3"}
        assert (part["model"]["dtype"], part["model"]["views"]) == ("bfloat16", views)
        full, pruned = part["arms"]["full"], part["arms"]["adp 0.5"]
        assert full["sequence_lengths"][0] - pruned["sequence_lengths"][1] == views * 128


def test_a_step_moves_adapters_and_head(gpu_check):
    """The loss is finite, and what is trained is other than before."""
    found = gpu_check.check_lora("cpu", "tiny")
    assert found["passed"] and found["loss"] > 0.0 and found["peak_gib"] is None
    assert found["tensors_moved"] > 0


def test_what_breaks_or_does_not_fit_is_written_down(gpu_check):
    """Neither ends the rest, both fail the whole."""
    said = []
    made = {"bad": lambda: 1 / 0, "good": lambda: {"passed": True}}
    found = gpu_check.perform(made, 60.0, said.append)
    assert found["bad"]["error"].startswith("ZeroDivisionError") and not found["bad"]["passed"]
    assert found["good"]["passed"] and said == ["bad: FAILED\n", "good: passed\n"]
    late = gpu_check.perform(made, -1.0, said.append)
    assert all(not check["passed"] and "not made" in check["error"] for check in late.values())


def test_everything_is_in_one_file(gpu_check, monkeypatch, tmp_path):
    """The environment and every check by name; the status tells whether all passed."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    read = gpu_check.read_environment
    monkeypatch.setattr(gpu_check, "read_environment", lambda device: read("cpu"))
    output = tmp_path / "runs" / "out.json"
    for passed, status in ((True, 0), (False, 1)):
        monkeypatch.setattr(
            gpu_check, "checks", lambda *given, p=passed: {"parity": lambda: {"passed": p}}
        )
        assert gpu_check.main(["--output", str(output)]) == status
        values = json.loads(output.read_text())
        assert values["checks"]["parity"]["passed"] is passed
        assert values["environment"]["versions"]["torch"] == torch.__version__


def test_the_order_is_that_of_what_matters_most(gpu_check):
    """Short ones first, so that they are there when the time is up."""
    assert list(gpu_check.checks("cuda", "small", "7b", 20)) == [
        "parity",
        "graphs",
        "bench",
        "lora",
    ]
