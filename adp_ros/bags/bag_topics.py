"""Topics of a bag: type, definition and quality of service as rosbag2 notes them, and decoding."""

import json
import os
import re
import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from rosbags.interfaces import Qos
from rosbags.rosbag2 import ReaderError
from rosbags.rosbag2.metadata import dump_qos_v9, parse_qos
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, TypesysError, get_types_from_msg, get_typestore

from ..errors import BagError, ConfigError
from ..policies.window import STAGES

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
        for name, text in texts.items():
            package, _, short = name.split("/")
            main += f"\n{_SEPARATOR}\nMSG: {package}/{short}\n{text}"
        return main

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
    qos: tuple[Qos, ...] = ()


def read_qos(text: str) -> tuple[Qos, ...]:
    """Read the profiles that a bag's channel carries; none when it carries none.

    Raises:
        ValueError: They can't be read.
    """
    try:
        return tuple(parse_qos(text))
    except (ReaderError, KeyError, TypeError) as error:
        raise ValueError(f"offered QoS can't be read: {error}") from error


def qos_mappings(profiles: Sequence[Qos]) -> list[dict[str, Any]]:
    """Return the profiles under the names of rosbag2's metadata."""
    return [dict(profile) for profile in dump_qos_v9(list(profiles))]


def qos_text(profiles: Sequence[Qos]) -> str:
    """Return the profiles as the YAML text that a bag's channels carry."""
    return yaml.safe_dump(qos_mappings(profiles), sort_keys=False).strip() if profiles else ""


FIELDS: Final[Mapping[str, tuple[str, ...]]] = {  # what replay reads of each type
    "adp_ros/msg/ActionChunk": (
        *("header", "window", "step_period", "actions", "pruned", "policy"),
        *("translation_frame", "rotation_frame", "rotation"),
    ),
    "adp_ros/msg/ChunkRequest": ("header", "window", "measured_path", "measured_net"),
    "adp_ros/msg/GateState": (
        *("header", "window", "state", "next_state", "rule", "reason"),
        *("motion", "upper", "lower", "pruned_run"),
    ),
    "adp_ros/msg/PruneState": (
        *("header", "window", "pruner", "tokens_total", "tokens_kept", "kept_per_view"),
        *("kept_indices", "sequence_length", "flops", "flops_full"),
    ),
    "adp_ros/msg/InferenceLatency": ("header", "window", *STAGES),
    "adp_ros/msg/SafetyState": ("status", "cause", "message"),
    "sensor_msgs/msg/Image": ("header", "height", "width", "encoding", "step", "data"),
    "sensor_msgs/msg/CompressedImage": ("header", "format", "data"),
    "sensor_msgs/msg/JointState": ("header", "name", "position"),
    "geometry_msgs/msg/PoseStamped": ("header", "pose"),
    "kinova_msgs/msg/JointAngles": tuple(f"joint{i}" for i in range(1, 7)),
    "kinova_msgs/msg/FingerPosition": ("finger1", "finger2", "finger3"),
}

TYPES: Final[Mapping[str, str]] = {  # of topics that are ours by name; others are not
    "/adp/action_chunk": "adp_ros/msg/ActionChunk",
    "/adp/chunk_request": "adp_ros/msg/ChunkRequest",
    "/adp/gate_state": "adp_ros/msg/GateState",
    "/adp/prune_state": "adp_ros/msg/PruneState",
    "/adp/latency": "adp_ros/msg/InferenceLatency",
    "/adp/policy_state": "sensor_msgs/msg/JointState",
    "/adp/safety_state": "adp_ros/msg/SafetyState",
}

_UNREADABLE: Final = (SerdeError, struct.error, ValueError, IndexError, KeyError, AssertionError)


class Decoder:
    """Decodes the messages of one topic.

    Raises:
        BagError: It is not of the type that its name stands for, or the definition can't be read,
            or is of a version without a field that is needed.
    """

    def __init__(self, topic: TopicInfo) -> None:
        expected = TYPES.get(topic.name, topic.type_name)
        if topic.type_name != expected:
            raise BagError(f"{topic.name} is {topic.type_name}, {expected} is needed")
        if not topic.definition.strip():
            raise BagError(f"{topic.name}: the bag has no definition of {topic.type_name}")
        self._topic = topic
        self._store = get_typestore(Stores.EMPTY)
        try:
            types = get_types_from_msg(topic.definition, topic.type_name)
            self._store.register(types)
        except (TypesysError, ValueError, KeyError) as error:
            raise BagError(
                f"{topic.name}: the definition of {topic.type_name} can't be read: {error}"
            ) from error
        entry = self._store.get_msgdef(topic.type_name)
        self._class = entry.cls
        # by the encapsulation, which is the order of bytes
        self._unpack = {b"\0\0": entry.deserialize_cdr_be, b"\0\1": entry.deserialize_cdr_le}
        known = {name for name, _ in types[topic.type_name][1]}
        missing = [name for name in FIELDS.get(topic.type_name, ()) if name not in known]
        if missing:
            raise BagError(
                f"{topic.name}: {topic.type_name} is of another version, "
                f"it has no {', '.join(missing)}"
            )

    def decode(self, data: bytes | memoryview) -> Any:
        """Return a message, with the attributes of its type.

        Bytes behind it are left alone: ROS's own serialisation leaves some there.

        Raises:
            BagError: The bytes are no such message.
        """
        try:
            unpack = self._unpack[bytes(data[:2])]
            return unpack(bytes(data[4:]), 0, self._class, self._store)[0]
        except _UNREADABLE as error:
            raise BagError(f"{self._topic.name}: a message can't be decoded: {error!r}") from error
