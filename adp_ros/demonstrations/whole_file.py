"""Text files that are there as a whole or not at all."""

import os
from pathlib import Path

from ..errors import DemonstrationError
from .file import TEMPORARY


def write_text(path: Path, text: str) -> None:
    """Write a file, replacing one that is there.

    Raises:
        DemonstrationError: It cannot be written.
    """
    temporary = path.with_name(path.name + TEMPORARY)
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise DemonstrationError(f"{path} can't be written: {error}") from error
