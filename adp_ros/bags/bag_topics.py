"""Topics of a bag: type, definition and quality of service, as rosbag2 notes them."""

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from ..errors import ConfigError
from ..settings import parse_yaml

CHUNK_TOPIC: Final = "/adp/action_chunk"
SAFETY_TOPIC: Final = "/adp/safety_state"
PICTURE_TYPE: Final = "sensor_msgs/msg/Image"
JPEG_TYPE: Final = "sensor_msgs/msg/CompressedImage"
JPEG_SUFFIX: Final = "/compressed"  # of the topic that has the same pictures as JPEG
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


ENDLESS_NS: Final = 2**63 - 1  # what ROS calls an infinite duration
_SECOND_NS: Final = 1_000_000_000
# rmw's numbers of the words
_HISTORIES: Final = ("system_default", "keep_last", "keep_all", "unknown")
_RELIABILITIES: Final = ("system_default", "reliable", "best_effort", "unknown")
_DURABILITIES: Final = ("system_default", "transient_local", "volatile", "unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedQos:
    """Quality of service of one publisher, in rosbag2's words.

    Attributes:
        history: ``keep_last``, ``keep_all``, ``system_default`` or ``unknown``.
        depth: Queue length.
        reliability: ``reliable``, ``best_effort``, ...
        durability: ``volatile``, ``transient_local``, ...
        deadline: In [ns].
        lifespan: In [ns].
        liveliness: ``automatic``, ...
        lease: Liveliness lease duration in [ns].
    """

    history: str = "keep_last"
    depth: int = 10
    reliability: str = "reliable"
    durability: str = "volatile"
    deadline: int = ENDLESS_NS
    lifespan: int = ENDLESS_NS
    liveliness: str = "automatic"
    lease: int = ENDLESS_NS

    def to_mapping(self) -> dict[str, Any]:
        """Return it under the names of rosbag2's metadata."""
        return {
            "history": self.history,
            "depth": self.depth,
            "reliability": self.reliability,
            "durability": self.durability,
            "deadline": _duration(self.deadline),
            "lifespan": _duration(self.lifespan),
            "liveliness": self.liveliness,
            "liveliness_lease_duration": _duration(self.lease),
            "avoid_ros_namespace_conventions": False,
        }

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> "OfferedQos":
        """Read what :meth:`to_mapping` writes; older bags have numbers for the words.

        Raises:
            KeyError, TypeError, ValueError: It is none.
        """
        history, reliability, durability = (
            _word(values[name], words)
            for name, words in (
                ("history", _HISTORIES),
                ("reliability", _RELIABILITIES),
                ("durability", _DURABILITIES),
            )
        )
        return cls(
            history=history,
            depth=int(values["depth"]),
            reliability=reliability,
            durability=durability,
        )


def _word(value: Any, words: Sequence[str]) -> str:
    return words[value] if isinstance(value, int) else str(value)


def offered_from_text(text: str) -> tuple[OfferedQos, ...]:
    """Read the profiles that a bag's channel carries; none when it carries none.

    Deadlines, lifespans and liveliness are left at their defaults: a player keeps none of them.

    Raises:
        ValueError: The text is not YAML, or holds something else.
    """
    try:
        values = parse_yaml(text, "offered QoS") if text else []
        return tuple(OfferedQos.from_mapping(value) for value in values or ())
    except (ConfigError, KeyError, TypeError, IndexError) as error:
        raise ValueError(f"offered QoS can't be read: {error}") from error


def _duration(nanoseconds: int) -> Mapping[str, int]:
    sec, nsec = divmod(nanoseconds, _SECOND_NS)
    return {"sec": sec, "nsec": nsec}


def qos_text(profiles: Sequence[OfferedQos]) -> str:
    """Return the profiles as the YAML text that a bag's channels carry."""
    if not profiles:
        return ""
    return yaml.safe_dump([p.to_mapping() for p in profiles], sort_keys=False).strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicInfo:
    """One topic.

    Attributes:
        name: Such as ``/adp/action_chunk``.
        type_name: Such as ``adp_ros/msg/ActionChunk``.
        definition: Text of the message and of every message in it.
        type_hash: Hash of the type as in REP 2016, ``RIHS01_...``.
        qos: One profile per publisher.
    """

    name: str
    type_name: str
    definition: str
    type_hash: str
    qos: tuple[OfferedQos, ...] = ()
