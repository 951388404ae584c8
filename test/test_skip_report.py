"""A skip is never silent: the summary names claim and proof."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
SKIPS = '''
"""Launch files start what they say.

Nothing else is looked at.
"""
import pytest
{top}

@pytest.mark.skipif(True, reason="busy; prove it: on an idle machine")
def test_both_loops_agree():
    """Every window: state
    and reason are equal."""

def test_fine():
    pass
'''


def summary(tmp_path, top=""):
    """End of a run over a file with skips."""
    (tmp_path / "conftest.py").write_text("from skip_report import *\n")
    (tmp_path / "test_it.py").write_text(SKIPS.format(top=top))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    result = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(HERE)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    return result.stdout


def test_a_skipped_test_is_named_with_its_claim_and_how_to_prove_it(tmp_path):
    """In one section, with the whole claim on one line; what passed is not in it."""
    text = summary(tmp_path).split("not proven by this run")[1]
    assert "test_both_loops_agree" in text
    assert "claim: Every window: state and reason are equal.\n  busy; prove it: on an idle" in text
    assert "test_fine" not in text


def test_a_skipped_file_is_named_with_the_claim_of_the_file(tmp_path):
    """A library that is not there skips the whole file."""
    reason = "no launch; prove it: install launch"
    text = summary(tmp_path, f'pytest.importorskip("no_such_library", reason="{reason}")')
    assert "claim: Launch files start what they say.\n  no launch; prove it: install" in text


def test_a_run_without_skips_says_nothing(tmp_path):
    """No section where there is nothing to say."""
    assert "not proven" not in summary(tmp_path, "pytest.mark.skipif = lambda *a, **k: lambda f: f")
