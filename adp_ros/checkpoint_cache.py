"""The small checkpoint that stands in until a real one is given: made once, kept in a cache."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from .errors import CheckpointError

# modules of adp_ros.policy whose change makes another checkpoint
_MAKERS: Final = ("create", "description", "layout", "sizes", "synthetic_tokenizer")


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
    source = Path(__file__).with_name("policy") / "create.py"
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:12]
    return cache_directory(environ) / f"checkpoint-small-{digest}"


def make_small_checkpoint(environ: Mapping[str, str]) -> Path:
    """Make the small checkpoint unless it is there; return its directory.

    Two processes that make it at once don't disturb each other.

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
        return _make(work / "checkpoint", target, environ)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _make(work: Path, target: Path, environ: Mapping[str, str]) -> Path:
    """Make the checkpoint in a process of its own: launch files stay free of torch."""
    words = [
        sys.executable,
        "-m",
        "adp_ros.cli",
        "checkpoint",
        "new",
        "--size",
        "small",
        str(work),
    ]
    result = subprocess.run(words, env=dict(environ), capture_output=True, text=True, check=False)
    if result.returncode != 0:
        reason = result.stderr.strip().splitlines()[-1:] or ["no message"]
        raise CheckpointError(f"the small checkpoint could not be made: {reason[0]}")
    try:
        os.rename(work, target)
    except OSError as error:
        if not (target / "config.json").is_file():  # else another process was faster
            raise CheckpointError(f"{target}: {error.strerror}") from error
    return target
