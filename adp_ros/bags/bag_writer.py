"""Writes one bag: an MCAP file that is readable at any moment, and its ``metadata.yaml``."""

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import yaml
from mcap.writer import CompressionType, Writer

from ..errors import ConfigError
from ..settings import parse_yaml

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


VERSION: Final = 9
FILE_NAME: Final = "metadata.yaml"
ROS_DISTRIBUTION: Final = "jazzy"


@dataclass(slots=True)
class BagTally:
    """Counts of one bag file.

    Attributes:
        topics: By name, in the order they came up.
        counts: Messages per topic.
        first: Time of the earliest message in [ns]; None while there is none.
        last: Time of the latest message in [ns].
    """

    topics: dict[str, TopicInfo] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    first: int | None = None
    last: int = 0

    def note(self, topic: str, log_time: int) -> None:
        """Count a message."""
        self.counts[topic] += 1
        self.first = log_time if self.first is None else min(self.first, log_time)
        self.last = max(self.last, log_time)


def bag_information(tally: BagTally, file_name: str, custom: Mapping[str, str]) -> dict[str, Any]:
    """Return the contents of ``rosbag2_bagfile_information``."""
    start = tally.first or 0
    span = {
        "duration": {"nanoseconds": tally.last - start if tally.first is not None else 0},
        "starting_time": {"nanoseconds_since_epoch": start},
        "message_count": sum(tally.counts.values()),
    }
    return {
        "version": VERSION,
        "storage_identifier": "mcap",
        **span,
        "topics_with_message_count": [
            {
                "topic_metadata": {
                    "name": topic.name,
                    "type": topic.type_name,
                    "serialization_format": "cdr",
                    "offered_qos_profiles": [p.to_mapping() for p in topic.qos],
                    "type_description_hash": topic.type_hash,
                },
                "message_count": tally.counts[topic.name],
            }
            for topic in tally.topics.values()
        ],
        "compression_format": "",
        "compression_mode": "",
        "relative_file_paths": [file_name],
        "files": [{"path": file_name, **span}],
        "custom_data": dict(custom) or None,
        "ros_distro": ROS_DISTRIBUTION,
    }


def information_text(information: Mapping[str, Any]) -> str:
    """Return the information as YAML without aliases, which rosbag2's reader need not know."""
    return yaml.dump(information, Dumper=_Plain, sort_keys=False)


def write_information(directory: Path, information: Mapping[str, Any]) -> None:
    """Replace ``metadata.yaml`` in one step, so that it is whole at any moment."""
    text = information_text({"rosbag2_bagfile_information": information})
    temporary = directory / f".{FILE_NAME}.new"
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(directory / FILE_NAME)


class _Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


_CHUNK_SIZE: Final = 4 * 2**20  # a few raw pictures
_COMPRESSION: Final[Mapping[str, CompressionType]] = MappingProxyType(
    {"none": CompressionType.NONE, "lz4": CompressionType.LZ4, "zstd": CompressionType.ZSTD}
)


class BagWriter:
    """One bag in the form of ``ros2 bag record -s mcap``.

    Chunks are closed by :meth:`flush`: whatever ends the process afterwards, what was flushed can
    be read, if need be without the index at the end of the file.

    Args:
        directory: Folder of the bag; made here, must not exist.
        compression: ``none``, ``lz4`` or ``zstd``.

    Raises:
        OSError: The folder or a file can't be written.
    """

    def __init__(self, directory: Path, compression: str = "none") -> None:
        directory.mkdir(parents=True)
        self.directory = directory
        self._path = directory / f"{directory.name}_0.mcap"
        self._stream = self._path.open("wb")
        kind = _COMPRESSION[compression]
        self._writer = Writer(self._stream, chunk_size=_CHUNK_SIZE, compression=kind)
        self._writer.start(profile="ros2", library="adp_ros")
        self._schemas: dict[str, int] = {}
        self._channels: dict[str, int] = {}
        self._custom: dict[str, str] = {}
        self.tally = BagTally()
        self.size = 0  # bytes that the operating system has
        self.flush()

    def add_topic(self, topic: TopicInfo) -> None:
        """Take a topic; needed once, before its first message."""
        if topic.type_name not in self._schemas:
            self._schemas[topic.type_name] = self._writer.register_schema(
                topic.type_name, "ros2msg", topic.definition.encode()
            )
        self._channels[topic.name] = self._writer.register_channel(
            topic.name,
            "cdr",
            self._schemas[topic.type_name],
            {"offered_qos_profiles": qos_text(topic.qos), "topic_type_hash": topic.type_hash},
        )
        self.tally.topics[topic.name] = topic
        self.tally.counts[topic.name] = 0

    def write(self, topic: str, data: bytes, log_time: int, publish_time: int) -> None:
        """Write one serialized message; times in [ns]."""
        channel = self._channels[topic]
        count = self.tally.counts[topic]
        self._writer.add_message(channel, log_time, data, publish_time, sequence=count & 0xFFFFFFFF)
        self.tally.note(topic, log_time)

    def add_note(self, name: str, values: Mapping[str, str]) -> None:
        """Write a metadata record: who recorded what with which settings."""
        self._writer.add_metadata(name, dict(values))

    def set_custom(self, name: str, value: str) -> None:
        """Put a line into ``custom_data`` of ``metadata.yaml``, which ``ros2 bag info`` shows."""
        self._custom[name] = value

    def flush(self) -> None:
        """Hand everything to the operating system."""
        self._writer.flush()
        self.size = self._stream.tell()
        write_information(self.directory, self._information())

    def close(self) -> None:
        """Write the index and close the files."""
        text = information_text(self._information())
        self._writer.add_metadata("rosbag2", {"serialized_metadata": text})
        self._writer.finish()
        self.size = self._stream.tell()
        self._stream.close()
        write_information(self.directory, self._information())

    def abandon(self) -> None:
        """Close the file without an index, after a write failed."""
        with suppress(OSError):  # what is still buffered can't be written either
            self._stream.close()

    def _information(self) -> dict[str, object]:
        return bag_information(self.tally, self._path.name, self._custom)
