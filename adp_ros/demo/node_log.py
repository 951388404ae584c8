"""What the nodes say during a run: into a file, the last error at hand for the summary."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TextIO

_ERROR_MARKS = ("error: ", "ERROR ", "FATAL ")


class NodeLog:
    """Writes each node's lines to one file; used from one thread per node."""

    def __init__(self, file: TextIO, echo: TextIO | None) -> None:
        """Write to `file` and, when given, to `echo` as well."""
        self._file = file
        self._echo = echo
        self._lock = Lock()
        self._errors: dict[str, str] = {}

    def write_line(self, name: str, line: str) -> None:
        """Take one line of a node."""
        mark = next((mark for mark in _ERROR_MARKS if line.startswith(mark)), None)
        with self._lock:
            if mark is not None:
                self._errors[name] = line.removeprefix(mark)
            self._file.write(f"[{name}] {line}\n")
            if self._echo is not None:
                self._echo.write(f"[{name}] {line}\n")

    def last_error(self, name: str) -> str:
        """Return the last error of a node, empty when it reported none."""
        with self._lock:
            return self._errors.get(name, "")


@contextmanager
def node_log(path: Path, echo: TextIO | None = None) -> Iterator[NodeLog]:
    """Open the log for one run."""
    with path.open("w", encoding="utf-8", buffering=1) as file:
        yield NodeLog(file, echo)
