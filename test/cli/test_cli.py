"""The command line: fast help, one-line errors, exit statuses."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from adp_ros.cli import COMMANDS, main
from adp_ros.errors import ConfigError

LAZY = """
import sys
from adp_ros.cli import main
try:
    main({words})
except SystemExit as end:
    assert end.code == 0, end.code
heavy = {{"torch", "rclpy", "cv2", "mujoco", "transformers"}} & set(sys.modules)
assert not heavy, heavy
"""


def adp_ros(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "adp_ros.cli", *words],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
        check=False,
    )


@pytest.mark.parametrize("words", [["--help"], ["launch", "jaco2_task", "--show-args"]])
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    """Help answers at once: neither torch nor rclpy nor cv2 nor mujoco is imported for it."""
    script = textwrap.dedent(LAZY).format(words=words)
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stderr


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """``adp-ros --help`` lists each command with what it does."""
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert all(name in text and help_text in text for name, help_text in COMMANDS.items())


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each command answers ``--help`` with its usage and status 0."""
    with pytest.raises(SystemExit) as end:
        main([name, "--help"])
    assert end.value.code == 0
    assert f"adp-ros {name}" in capsys.readouterr().out


def test_bad_input_is_one_line_and_status_2() -> None:
    """A user's mistake gives one line on stderr, no traceback, status 2."""
    result = adp_ros("launch", "jaco2_task", "task:=fold_towel")
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith("error: task is 'fold_towel', allowed: carrot_to_pan")
    assert result.stderr.count("\n") == 1


def test_unknown_command_is_status_2() -> None:
    """A command that doesn't exist is refused with those that do."""
    result = adp_ros("fly")
    assert result.returncode == 2
    assert "invalid choice: 'fly'" in result.stderr
    assert "launch" in result.stderr


def test_show_args_is_complete(capsys: pytest.CaptureFixture[str]) -> None:
    """``--show-args --json`` holds the eight arguments of the contract, each described."""
    assert main(["launch", "jaco2_task", "--show-args", "--json"]) == 0
    arguments = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert {
        "task",
        "robot",
        "robot_type",
        "policy",
        "checkpoint",
        "camera",
        "adp",
        "dry_run",
    } <= set(arguments)
    assert all(entry["description"] for entry in arguments.values())


def test_closed_pipe_ends_quietly() -> None:
    """``adp-ros ... | head`` ends without a traceback."""
    command = f"{sys.executable} -m adp_ros.cli launch jaco2_task --show-args | true"
    result = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.stderr == ""


def test_interrupt_ends_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in any command gives the shell's usual status and no traceback."""

    def interrupted(_arguments: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("adp_ros.cli.launch.run", interrupted)
    assert main(["launch", "jaco2_task"]) == 128 + signal.SIGINT


def test_unwritable_cache_is_named(tmp_path: Path) -> None:
    """Where the checkpoint with random weights can't be kept, the error says what to set."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    words = ("launch", "jaco2_task", "robot:=none")  # the twin has the package's own checkpoint
    result = adp_ros(*words, ADP_ROS_CACHE=str(blocked / "cache"))
    assert result.returncode == 2
    assert "set ADP_ROS_CACHE to a writable folder" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(28, "No space left on device", "/runs/x"), "/runs/x: No space left on device"),
        (PermissionError(13, "Permission denied", "/x"), "/x: Permission denied"),
        (ConfigError("task is 'x'"), "task is 'x'"),
        (MemoryError(), "out of memory"),
        (zstandard.ZstdError("bad\n frame"), "zstandard: bad frame"),
    ],
)
def test_what_can_happen_is_one_line(
    error: Exception,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Errors of files, devices and libraries are one line and status 2, whatever the command."""
    monkeypatch.setattr("adp_ros.cli.launch.run", raising(error))
    assert main(["launch", "jaco2_task"]) == 2
    assert capsys.readouterr().err == f"error: {line}\n"


def raising(error: BaseException) -> Callable[[object], int]:
    """Return a command that raises."""

    def run(_arguments: object) -> int:
        raise error

    return run


def test_what_cannot_happen_keeps_its_trace(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A fault of ours is not dressed up as a user's mistake: the trace stays, a report is asked."""
    monkeypatch.setattr("adp_ros.cli.launch.run", raising(KeyError("x")))
    with pytest.raises(KeyError):
        main(["launch", "jaco2_task"])
    assert "please report it" in capsys.readouterr().err


INTERRUPTED_IMPORT = """
import os, signal, sys
from adp_ros.cli import entry
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            try:
                os.kill(os.getpid(), signal.SIGINT)
                for _ in range(10**9): pass
            except KeyboardInterrupt:
                raise ImportError("half imported") from None  # as C extensions do
sys.meta_path.insert(0, Finder())
sys.argv = ["adp-ros", "launch", "jaco2_task", "--show-args"]
entry()
"""


@pytest.mark.parametrize("module", ["adp_ros.cli.launch", "adp_ros.ros.launch_table"])
def test_interrupted_import_is_an_interrupt(module: str) -> None:
    """Ctrl-C while a module is imported ends quietly with 130, whatever the import makes of it."""
    result = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_IMPORT.format(module=module)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "")


def test_output_that_cannot_show_a_path_is_no_error(tmp_path: Path) -> None:
    """A path with accents is escaped where the terminal knows ASCII only."""
    folder = tmp_path / "données"
    result = adp_ros("config", "--output", str(folder), PYTHONIOENCODING="ascii")
    assert (result.returncode, result.stderr) == (0, "")
    assert "donn\\xe9es/sim.yaml" in result.stdout
    refused = adp_ros("launch", "jaco2_task", f"adp:={folder}/none.yaml", PYTHONIOENCODING="ascii")
    assert refused.returncode == 2 and refused.stderr.startswith("error: ")
    assert refused.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("twin_quik", "unknown recipe 'twin_quik', did you mean 'twin_quick'?"),
        ("zzz", "unknown recipe 'zzz', known: twin, twin_corrected, twin_dropping, twin_quick"),
    ],
)
def test_unknown_recipe_names_the_known_ones(
    name: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """``train`` with a name that is no recipe of the package says which there are."""
    assert main(["train", name, "--data", "nowhere", "--out", "nowhere"]) == 2
    assert capsys.readouterr().err.startswith(f"error: {words}")
