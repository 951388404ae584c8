"""Checkpoints that are always there: the trained one of the package, the small one in the cache.

It has the layout of any OpenVLA-OFT fine-tune. Its ``training.json`` says ``"simulation": true``:
the launch lets it move no real arm.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ..errors import CheckpointError

TRAINING_FILE: Final = "training.json"


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        CheckpointError: The file is missing, not JSON or not an object.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} is missing") from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} holds a {type(values).__name__}, an object is needed")
    return values


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a JSON object."""
    path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def read_training(checkpoint: Path) -> Mapping[str, Any]:
    """Return what ``training.json`` of a checkpoint says, empty where there is none.

    Raises:
        CheckpointError: It is there and can't be read, or is no JSON object.
    """
    path = checkpoint / TRAINING_FILE
    if not path.is_file():
        return {}
    try:
        return read_json(path)
    except CheckpointError as error:
        raise CheckpointError(f"{path} can't be read: {error}") from error


def learnt_in_simulation(checkpoint: Path) -> bool:
    """Tell whether a checkpoint was trained in simulation and must not move a real arm.

    Its ``training.json`` says so with ``"simulation": true``; whatever stands there but ``false``
    counts as true. Without the name, or without the file, nothing is known: False.

    Raises:
        CheckpointError: The file can't be read.
    """
    return read_training(checkpoint).get("simulation", False) is not False


_WHOLE: Final = 4 * 2**20  # files up to this size are read whole
_SAMPLE: Final = 2**16  # bytes of each sample of a larger one
_SAMPLES: Final = 64


def git_revision(directory: Path) -> str:
    """Return the commit of a checkout, with ``-dirty`` when files differ; empty outside of one."""
    words = ["git", "-C", str(directory), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        answer = subprocess.run(words, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""


def checkpoint_fingerprint(directory: Path) -> str:
    """Return a hash by which a checkpoint, or one file, is recognised, in well under a second.

    Files up to 4 MiB count whole; of larger ones name, size, beginning, end and 64 evenly spaced
    samples do, so that a weight file that was trained on differs.

    Raises:
        CheckpointError: The directory can't be read.
    """
    digest = hashlib.sha256()
    try:
        inside = (directory,) if directory.is_file() else directory.iterdir()
        for file in sorted(path for path in inside if path.is_file()):
            size = file.stat().st_size
            digest.update(f"{file.name}\0{size}\0".encode())
            with file.open("rb") as stream:
                if size <= _WHOLE:
                    digest.update(stream.read())
                    continue
                for i in range(_SAMPLES + 1):
                    stream.seek((size - _SAMPLE) * i // _SAMPLES)
                    digest.update(stream.read(_SAMPLE))
    except OSError as error:
        raise CheckpointError(f"checkpoint {directory} can't be read: {error}") from error
    return f"sampled-sha256:{digest.hexdigest()}"


FOLDER: Final = Path("resource", "twin_policy")


def shipped_policy(share: Path) -> Path | None:
    """Return the directory of the checkpoint in what :func:`.share_directory` found.

    None where the package was installed without it.
    """
    directory = share / FOLDER
    return directory if (directory / "config.json").is_file() else None


def cache_directory(environ: Mapping[str, str]) -> Path:
    """Return the cache folder: ``ADP_ROS_CACHE``, else ``XDG_CACHE_HOME``, else ``~/.cache``."""
    if environ.get("ADP_ROS_CACHE"):
        return Path(environ["ADP_ROS_CACHE"])
    base = environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "adp_ros"


def small_checkpoint(environ: Mapping[str, str]) -> Path:
    """Return where the small checkpoint with random weights is, or will be.

    The name holds a digest of the code that makes it, so that another version of the package
    makes its own.
    """
    source = Path(__file__).with_name("openvla") / "create.py"
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:12]
    return cache_directory(environ) / f"checkpoint-small-{digest}"


def make_small_checkpoint(environ: Mapping[str, str]) -> Path:
    """Make the small checkpoint unless it is there; return its directory.

    A process of its own makes it, so that launch files stay free of torch. Two processes that
    make it at once don't disturb each other.

    Raises:
        CheckpointError: It cannot be made.
    """
    target = small_checkpoint(environ)
    if (target / "config.json").is_file():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=target.parent, prefix=".making-"))
    except OSError as error:
        raise CheckpointError(
            f"the small checkpoint can't be kept in {target.parent} ({error.strerror}), "
            "set ADP_ROS_CACHE to a writable folder"
        ) from error
    try:
        made = work / "checkpoint"
        words = [sys.executable, "-m", "adp_ros.cli", "checkpoint", "new", "--size", "small"]
        result = subprocess.run(
            [*words, str(made)], env=dict(environ), capture_output=True, text=True, check=False
        )
        if result.returncode != 0:
            reason = result.stderr.strip().splitlines()[-1:] or ["no message"]
            raise CheckpointError(f"the small checkpoint could not be made: {reason[0]}")
        made.rename(target)
    except OSError as error:
        if not (target / "config.json").is_file():  # else another process was faster
            raise CheckpointError(f"{target}: {error.strerror}") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return target
