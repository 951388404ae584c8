"""Results on disk, written: one process appends, line by line, and loses nothing when killed."""

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from .episode import Episode, EpisodeResult, ResultsError
from .plan import Plan
from .results import (
    Identity,
    condition_line,
    episode_line,
    read_results,
    run_line,
    scene_line,
)


class ResultsWriter:
    """Appends to one results file."""

    def __init__(self, file: BinaryIO) -> None:
        """Begin; use :func:`open_writer`.

        Args:
            file: Open for appending.
        """
        self._file = file

    def define(self, identity: Identity, plan: Plan) -> None:
        """Append whose results follow, and what the names of scenes and conditions stand for."""
        self._append(run_line(identity))
        for line in (*map(scene_line, plan.scenes), *map(condition_line, plan.conditions)):
            self._append(line)

    def write(self, episode: Episode, result: EpisodeResult) -> None:
        """Append one episode; when this returns, a killed process does not take it away."""
        self._append(episode_line(episode, result))

    def _append(self, line: Mapping[str, Any]) -> None:
        text = json.dumps(line, allow_nan=False)
        self._file.write(text.encode() + b"\n")
        self._file.flush()


@contextmanager
def open_writer(path: Path, identity: Identity, plan: Plan) -> Iterator[ResultsWriter]:
    """Open a results file for one process, after what is there has been checked.

    Args:
        path: The file; its folder is made.
        identity: Of this run.
        plan: What is going to be run.

    Raises:
        ResultsError: The file can't be written, another process writes it, or the folder holds
            results of another checkpoint, of another loop, or under the same names of other
            settings.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b")
    except OSError as error:
        raise ResultsError(f"results {path} can't be written: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ResultsError(f"results {path} are being written by another process") from None
        known = read_results(path.parent)
        if known.identity is not None:
            known.identity.refuse_other(identity, str(path.parent))
        known.refuse_changed(plan, str(path.parent))
        _cut_torn_line(file)
        writer = ResultsWriter(file)
        writer.define(identity, plan)
        yield writer


def _cut_torn_line(file: BinaryIO) -> None:
    """Drop a last line without an end: its writer was killed within it."""
    file.seek(0)
    content = file.read()
    file.truncate(content.rfind(b"\n") + 1)
    file.seek(0, 2)
