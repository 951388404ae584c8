"""What tells results of one state of the twin from those of another."""

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Final

_ENGINE: Final = ("mujoco", "dm_control")  # physics, and the arm's model


def twin_fingerprint(source: Path = Path(__file__).parent) -> str:
    """Return a short hash of the twin's code and of the versions of physics and arm model.

    Args:
        source: Folder of the code.
    """
    digest = hashlib.sha256(" ".join(f"{name} {version(name)}" for name in _ENGINE).encode())
    for file in sorted(source.rglob("*.py")):
        digest.update(file.relative_to(source).as_posix().encode() + b"\0")
        digest.update(file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
