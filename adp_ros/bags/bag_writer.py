"""Writes one bag: an MCAP file that is readable at any moment, and its ``metadata.yaml``."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import yaml
from mcap.writer import CompressionType, Writer

from .bag_files import METADATA_FILE
from .bag_topics import TopicInfo, qos_mappings, qos_text

VERSION: Final = 9
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
                    "offered_qos_profiles": qos_mappings(topic.qos),
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
    temporary = directory / f".{METADATA_FILE}.new"
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(directory / METADATA_FILE)


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
