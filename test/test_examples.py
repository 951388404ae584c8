"""Every program of examples/ runs as it stands, in a process of its own, and does what it says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
SAYS = {
    "predict.py": [r"patches kept: 128 of 256\n", r"\(336, 336\) \(208, 208\)"],
    "rollout.py": [r"ended by: success\n", r"done: 100%"],
    "new_pruner.py": [r"middle: 64 patches", r"adp: 64 patches"],
}


def run(name, *arguments):
    """What an example prints."""
    command = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", SAYS)
def test_an_example_prints_what_it_promises(name):
    """Tokens kept follow from the keep ratio, scenes are solved: the figures are those expected."""
    printed = run(name)
    for pattern in SAYS[name]:
        assert re.search(pattern, printed), printed


def test_every_example_is_run():
    """A new file in examples/ is known to the test above."""
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SAYS)
