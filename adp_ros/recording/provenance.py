"""What a bag says about its origin: revision of the code, identity of the checkpoint."""

import hashlib
import subprocess
from pathlib import Path
from typing import Final

from ..errors import CheckpointError

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
    """Return a hash by which a checkpoint is recognised, in well under a second.

    Files up to 4 MiB count whole; of larger ones name, size, beginning, end and 64 evenly spaced
    samples do, so that a weight file that was trained on differs.

    Raises:
        CheckpointError: The directory can't be read.
    """
    digest = hashlib.sha256()
    try:
        for file in sorted(path for path in directory.iterdir() if path.is_file()):
            size = file.stat().st_size
            digest.update(f"{file.name}\0{size}\0".encode())
            _add_file(digest, file, size)
    except OSError as error:
        raise CheckpointError(f"checkpoint {directory} can't be read: {error}") from error
    return f"sampled-sha256:{digest.hexdigest()}"


def _add_file(digest: "hashlib._Hash", file: Path, size: int) -> None:
    with file.open("rb") as stream:
        if size <= _WHOLE:
            digest.update(stream.read())
            return
        for i in range(_SAMPLES + 1):
            stream.seek((size - _SAMPLE) * i // _SAMPLES)
            digest.update(stream.read(_SAMPLE))
