"""Results on disk: JSON lines that only ever grow, from one run or many shards."""

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from .conditions import Condition, SceneVariant
from .episodes import Episode, EpisodeResult, Key, Plan, ResultsError

PATTERN: Final = "episodes*.jsonl"


@dataclass(frozen=True, slots=True)
class Identity:
    """What all episodes of a folder have in common.

    Attributes:
        checkpoint: Fingerprint of the checkpoint, empty without one.
        loop: What the loop is made of: arm, rates, version.
        path: Where the checkpoint lay; may differ between machines.
        relevance: How the relevance of patches was learnt, in the checkpoint's own words.
        revision: Commit of the code; noted, not compared.
    """

    checkpoint: str
    loop: Mapping[str, Any]
    path: str = ""
    relevance: str = ""
    revision: str = ""

    def refuse_other(self, other: "Identity", where: str) -> None:
        """Refuse to mix results.

        Raises:
            ResultsError: The checkpoint or the loop differs; says in what.
        """
        if self.checkpoint != other.checkpoint:
            raise ResultsError(
                f"{where} holds results of another checkpoint ({self.path or 'none'}, "
                f"{self.checkpoint[-12:] or 'none'}), not of {other.path or 'none'} "
                f"({other.checkpoint[-12:] or 'none'}): choose another --out"
            )
        names = sorted({*self.loop, *other.loop})
        changed = [n for n in names if self.loop.get(n) != other.loop.get(n)]
        if changed:
            was = ", ".join(f"{n} was {self.loop.get(n)}, is {other.loop.get(n)}" for n in changed)
            raise ResultsError(
                f"{where} holds results of another loop ({was}): choose another --out"
            )


@dataclass(frozen=True, slots=True)
class Results:
    """All that was found in a folder.

    Attributes:
        identity: Of its runs, None while there is none.
        conditions: Name -> what is known of it: ``digest``, ``description``, ``settings``.
        scenes: Name -> what is known of it: ``digest``, ``description``, ``settings``.
        episodes: Key -> result, in the order of the files.
        revisions: Commits of the code that wrote them, where known.
    """

    identity: Identity | None
    conditions: Mapping[str, Mapping[str, Any]]
    scenes: Mapping[str, Mapping[str, Any]]
    episodes: Mapping[Key, EpisodeResult]
    revisions: tuple[str, ...] = ()


def read_results(directory: Path) -> Results:
    """Read every results file of a folder; one that does not exist gives nothing.

    A last line that was cut off when its writer was killed is left out.

    Raises:
        ResultsError: A file can't be read or is damaged, or the files don't belong together.
    """
    identity: Identity | None = None
    named: dict[str, dict[str, Mapping[str, Any]]] = {"condition": {}, "scene": {}}
    episodes: dict[Key, EpisodeResult] = {}
    revisions: dict[str, None] = {}
    for path in sorted(directory.glob(PATTERN)):
        for where, line in _lines(path):
            kind = line.get("kind")
            if kind == "run":
                found = Identity(**{k: v for k, v in line.items() if k != "kind"})
                if identity is not None:
                    identity.refuse_other(found, str(path))
                identity = identity or found
                revisions |= {found.revision: None} if found.revision else {}
            elif kind in named:
                _same(str(kind), line["name"], named[kind], line["digest"], where)
                named[kind][line["name"]] = line
            elif kind == "episode":
                key = (line["task"], line["seed"], line["scene"], line["condition"])
                episodes.setdefault(key, EpisodeResult.from_json(line["result"]))
            else:
                raise ResultsError(f"{where}: kind {kind!r} is not known to this version")
    return Results(identity, named["condition"], named["scene"], episodes, tuple(revisions))


def condition_line(condition: Condition) -> dict[str, Any]:
    """Return the line that says what a condition is."""
    return {
        "kind": "condition",
        "name": condition.name,
        "digest": condition.digest,
        "description": condition.description,
        "settings": condition.settings(),
        "prunes": condition.prunes,
    }


def scene_line(scene: SceneVariant) -> dict[str, Any]:
    """Return the line that says what a variant of the scene is."""
    line = {"kind": "scene", "name": scene.name, "digest": scene.digest}
    return line | {"description": scene.description, "settings": asdict(scene)}


def _same(
    kind: str, name: str, known: Mapping[str, Mapping[str, Any]], digest: str, where: str
) -> None:
    """Refuse a name that stands for something else now than when results were written."""
    if name in known and known[name]["digest"] != digest:
        settings = json.dumps(known[name]["settings"])
        raise ResultsError(
            f"{where} holds results of {kind} {name!r} with other settings ({settings}): choose "
            "another --out, or another name"
        )


def _lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ResultsError(f"results {path} can't be read: {error}") from error
    for number, line in enumerate(text[: text.rfind("\n") + 1].splitlines(), 1):
        where = f"{path}, line {number}"
        try:
            values = json.loads(line)
        except json.JSONDecodeError as error:
            raise ResultsError(f"{where} is damaged: {error}") from error
        if not isinstance(values, dict):
            raise ResultsError(f"{where} is damaged: no object")
        yield where, values


class ResultsWriter:
    """Appends to a results file that :func:`open_writer` opened."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def define(self, identity: Identity, plan: Plan) -> None:
        """Append whose results follow, and what the names of scenes and conditions stand for."""
        self._append({"kind": "run", **asdict(identity)})
        for line in (*map(scene_line, plan.scenes), *map(condition_line, plan.conditions)):
            self._append(line)

    def write(self, episode: Episode, result: EpisodeResult) -> None:
        """Append one episode; when this returns, a killed process does not take it away."""
        names = zip(("task", "seed", "scene", "condition"), episode.key, strict=True)
        self._append({"kind": "episode", **dict(names), "result": asdict(result)})

    def _append(self, line: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(line, allow_nan=False).encode() + b"\n")
        self._file.flush()


@contextmanager
def open_writer(path: Path, identity: Identity, plan: Plan) -> Iterator[ResultsWriter]:
    """Open a results file for one process, after what its folder holds has been checked.

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
        known, where = read_results(path.parent), str(path.parent)
        if known.identity is not None:
            known.identity.refuse_other(identity, where)
        for condition in plan.conditions:
            _same("condition", condition.name, known.conditions, condition.digest, where)
        for scene in plan.scenes:
            _same("scene", scene.name, known.scenes, scene.digest, where)
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)  # a line without an end: its writer was killed
        file.seek(0, 2)
        writer = ResultsWriter(file)
        writer.define(identity, plan)
        yield writer
