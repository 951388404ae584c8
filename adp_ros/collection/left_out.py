"""Episodes that were tried and are no demonstrations: they are not tried again."""

import json
from pathlib import Path
from typing import Final

from ..errors import DemonstrationError
from .worker import Collected

LEFT_OUT_FILE: Final = "left_out.jsonl"


class LeftOut:
    """One line per episode; a line that an interruption cut off counts for nothing."""

    def __init__(self, directory: Path) -> None:
        """Read what is there.

        Raises:
            DemonstrationError: It can't be read.
        """
        self._path = directory / LEFT_OUT_FILE
        self.names = frozenset(self._read())

    def add(self, collected: Collected) -> None:
        """Append an episode.

        Raises:
            DemonstrationError: It can't be written.
        """
        line = {
            "name": collected.job.name,
            "ending": collected.ending,
            "progress": collected.progress,
        }
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write("\n" if self._cut_off() else "")
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            raise DemonstrationError(f"{self._path} can't be written: {error}") from error
        self.names |= {collected.job.name}

    def _cut_off(self) -> bool:
        data = self._path.read_bytes() if self._path.exists() else b""
        return bool(data) and not data.endswith(b"\n")

    def _read(self) -> list[str]:
        if not self._path.exists():
            return []
        try:
            lines = self._path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DemonstrationError(f"{self._path} can't be read: {error}") from error
        names = []
        for line in lines:
            try:
                names.append(str(json.loads(line)["name"]))
            except (ValueError, KeyError, TypeError):
                continue  # cut off; the episode is tried again
        return names
