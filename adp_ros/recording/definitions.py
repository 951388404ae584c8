"""Text and hash of a message type, from the files that rosidl installs."""

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from ..errors import ConfigError

_SEPARATOR: Final = "=" * 80
_FIELD: Final = re.compile(r"^(?P<type>[A-Za-z][\w/]*)(<=\d+)?(\[[^\]]*\])?\s+[A-Za-z]\w*")
_PRIMITIVES: Final = frozenset(
    ("bool", "byte", "char", "string", "wstring", "float32", "float64")
    + tuple(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))
)


class Definitions:
    """Looks message types up below ``share/`` of the ROS prefixes.

    Args:
        environ: Environment of the process; ``AMENT_PREFIX_PATH`` names sourced prefixes.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        given = environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
        self._prefixes = [Path(entry) for entry in (*given, sys.prefix) if entry]

    def text(self, type_name: str) -> str:
        """Return a message with every message in it, as bags carry it.

        Raises:
            ConfigError: A message is not installed.
        """
        texts: dict[str, str] = {}
        waiting = [type_name]
        while waiting:
            name = waiting.pop(0)
            if name not in texts:
                texts[name] = self._file(name, ".msg").read_text(encoding="utf-8")
                waiting += _parts(texts[name], name.partition("/")[0])
        main = texts.pop(type_name)
        others = [f"{_SEPARATOR}\nMSG: {_short(name)}\n{text}" for name, text in texts.items()]
        return "\n".join([main, *others])

    def type_hash(self, type_name: str) -> str:
        """Return the hash of a type as rosidl computed it.

        Raises:
            ConfigError: The message is not installed.
        """
        file = self._file(type_name, ".json")
        for entry in json.loads(file.read_text(encoding="utf-8"))["type_hashes"]:
            if entry["type_name"] == type_name:
                return str(entry["hash_string"])
        raise ConfigError(f"{file} has no hash of {type_name}")

    def _file(self, type_name: str, suffix: str) -> Path:
        package, kind, name = type_name.split("/")
        for prefix in self._prefixes:
            file = prefix / "share" / package / kind / f"{name}{suffix}"
            if file.is_file():
                return file
        raise ConfigError(f"message type {type_name} is not installed: no share/{package}/{kind}")


def _parts(text: str, package: str) -> Iterator[str]:
    """Yield the full names of the messages that a message holds."""
    for line in text.splitlines():
        match = _FIELD.match(line.strip())
        if match is None or match["type"] in _PRIMITIVES:
            continue
        parts = match["type"].split("/")
        yield f"{parts[0] if len(parts) > 1 else package}/msg/{parts[-1]}"


def _short(type_name: str) -> str:
    package, _, name = type_name.split("/")
    return f"{package}/{name}"
