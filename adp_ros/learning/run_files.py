"""Files that survive an interruption: whole or not at all, or line by line."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from ..errors import AdpError, DemonstrationError

TEMPORARY: Final = ".part"  # ending of a file that is being written


@contextmanager
def writing(path: Path, error: type[AdpError] = DemonstrationError) -> Iterator[None]:
    """Say in one line why a file can't be written.

    Raises:
        AdpError: Of the given type: names the file and the reason.
    """
    try:
        yield
    except (OSError, RuntimeError) as reason:  # torch says RuntimeError of a full disk
        text = " ".join(str(reason).split())
        raise error(f"{path} can't be written: {text}") from reason


@contextmanager
def replacing(path: Path, error: type[AdpError] = DemonstrationError) -> Iterator[Path]:
    """Give a path to write to; it takes the file's place at the end, or is removed.

    Args:
        path: A file that is there is replaced, whoever reads it; its folder is made.
        error: Raised where it can't be written.

    Raises:
        AdpError: Of the given type: names the file and the reason.
    """
    work = path.with_name(f".{path.name}.{os.getpid()}{TEMPORARY}")
    try:
        with writing(path, error):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield work
            with work.open("rb") as file:
                os.fsync(file.fileno())
            work.replace(path)
    finally:
        with suppress(OSError):
            work.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file as a whole.

    Raises:
        DemonstrationError: It can't be written.
    """
    with replacing(path) as work:
        work.write_text(text, encoding="utf-8")


def append_line(
    path: Path, values: Mapping[str, Any], error: type[AdpError] = DemonstrationError
) -> None:
    """Append a line of JSON, on a line of its own also where the last one was cut off.

    Raises:
        AdpError: Of the given type: it can't be written.
    """
    with writing(path, error), path.open("ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            file.write(b"" if file.read() == b"\n" else b"\n")
        file.write(json.dumps(values).encode() + b"\n")


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a file of JSON, none where there is no file.

    A line that an interruption cut off does not count.

    Raises:
        DemonstrationError: The file can't be read.
    """
    try:
        lines = path.read_bytes().splitlines() if path.exists() else []
    except OSError as error:
        raise DemonstrationError(f"{path} can't be read: {error}") from error
    found = []
    for line in lines:
        with suppress(ValueError):
            found.append(json.loads(line))
    return [values for values in found if isinstance(values, dict)]
