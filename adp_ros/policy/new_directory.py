"""A directory that is there when it is complete, and not at all otherwise."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from safetensors import SafetensorError

from ..errors import CheckpointError, ConfigError


@contextmanager
def new_directory(directory: Path) -> Iterator[Path]:
    """Give a directory to write in; it gets its name at the end, or is removed on any error.

    Args:
        directory: New or empty. Its parents are made.

    Raises:
        ConfigError: The directory has files in it.
        CheckpointError: It cannot be written.
    """
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise ConfigError(f"{directory} exists already, a new or empty directory is needed")
    directory = directory.resolve()
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(mkdtemp(dir=directory.parent, prefix=f".{directory.name}-"))
        try:
            work = beside / directory.name
            work.mkdir()
            yield work
            _move(work, directory)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{directory} could not be made: {error}") from error


def _move(work: Path, directory: Path) -> None:
    readable = work.stat().st_mode & 0o666  # as the user's umask has it; safetensors writes 0600
    for path in work.iterdir():
        path.chmod(readable)
    if not directory.exists():
        work.replace(directory)
        return
    for path in work.iterdir():  # the directory itself stays: a shell may stand in it
        path.replace(directory / path.name)
