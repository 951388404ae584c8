"""Every program of examples/ runs as it stands, in a process of its own, and does what it says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from recorded_run import record

from adp_ros.policies.openvla.create import SIZES, create_checkpoint

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
SAYS = {
    "predict.py": [r"patches kept: 128 of 256\n", r"\(336, 336\) \(208, 208\)"],
    "rollout.py": [r"ended by: success\n", r"done: 100%"],
    "new_pruner.py": [r"middle: 64 patches", r"adp: 64 patches"],
    "new_task.py": [r"seed 0: success, 100%", r"seed 1: success", r"seed 2: success"],
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the examples as pip installs them, entry points included."""
    folder = tmp_path_factory.mktemp("installed")
    options = ["--quiet", "--no-build-isolation", "--no-deps", "--target", str(folder)]
    program([sys.executable, "-m", "pip", "install", *options, str(EXAMPLES)], folder)
    return folder


def program(command, installed):
    """Run a command that sees the installed examples; return what it prints."""
    paths = [str(EXAMPLES.parent), str(installed), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=150, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", SAYS)
def test_an_example_prints_what_it_promises(name, installed):
    """Tokens kept follow from the keep ratio, scenes are solved: the figures are those expected."""
    printed = program([sys.executable, str(EXAMPLES / name)], installed)
    for pattern in SAYS[name]:
        assert re.search(pattern, printed), printed


def test_installed_examples_work_by_name(installed):
    """The pruner of the examples is timed and audited by `adp-ros bench` under its own name."""
    words = ["bench", "--size", "tiny", "--pruner", "middle", "--keep", "0.25"]
    words += ["--rounds", "2", "--warm-up", "0", "--json"]
    printed = program([sys.executable, "-m", "adp_ros.cli", *words], installed)
    assert "middle" in printed


def test_the_statistics_of_a_bag_are_those_of_its_run(tmp_path):
    """Windows, pruned windows and the tokens kept are counted as the run had them."""
    create_checkpoint(tmp_path / "tiny", SIZES["tiny"])
    live = record(tmp_path / "bag", tmp_path / "tiny", windows=5)
    pruned = sum(result.pruned for result in live.results)
    command = [sys.executable, str(EXAMPLES / "bag_statistics.py"), str(tmp_path / "bag")]
    printed = program(command, tmp_path)
    assert f"{len(live.results)} windows, {pruned} of them pruned" in printed
    assert "vision tokens kept in pruned windows: 50.0%" in printed
    assert "causes of stops: stop_called" in printed


def test_every_example_is_run():
    """A new file in examples/ is known to the tests above."""
    known = {*SAYS, "bag_statistics.py"}
    assert {path.name for path in EXAMPLES.glob("*.py")} == known
