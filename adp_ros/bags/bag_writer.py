"""Writes one bag: an MCAP file that is readable at any moment, and its ``metadata.yaml``."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import yaml
from mcap.writer import CompressionType, Writer

from .bag_files import METADATA_FILE
from .bag_topics import TopicInfo, qos_mappings, qos_text

_VERSION: Final = 9  # of rosbag2's metadata
_CHUNK_SIZE: Final = 4 * 2**20  # a few raw pictures


class BagWriter:
    """One bag in the form of ``ros2 bag record -s mcap``.

    Chunks are closed by :meth:`flush`: whatever ends the process afterwards, what was flushed can
    be read, if need be without the index at the end of the file.

    Attributes:
        topics: By name, in the order they came up.
        counts: Messages per topic.
        size: Bytes that the operating system has.

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
        kind = CompressionType[compression.upper()]
        self._writer = Writer(self._stream, chunk_size=_CHUNK_SIZE, compression=kind)
        self._writer.start(profile="ros2", library="adp_ros")
        self._schemas: dict[str, int] = {}
        self._channels: dict[str, int] = {}
        self._custom: dict[str, str] = {}
        self._span: tuple[int, int] | None = None
        self.topics: dict[str, TopicInfo] = {}
        self.counts: dict[str, int] = {}
        self.size = 0
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
        self.topics[topic.name] = topic
        self.counts[topic.name] = 0

    def write(self, topic: str, data: bytes, log_time: int, publish_time: int) -> None:
        """Write one serialized message; times in [ns]."""
        sequence = self.counts[topic] & 0xFFFFFFFF
        self._writer.add_message(self._channels[topic], log_time, data, publish_time, sequence)
        self.counts[topic] += 1
        first, last = self._span or (log_time, log_time)
        self._span = min(first, log_time), max(last, log_time)

    def add_note(self, name: str, values: Mapping[str, str]) -> None:
        """Write a metadata record: who recorded what with which settings."""
        self._writer.add_metadata(name, dict(values))

    def set_custom(self, name: str, value: str) -> None:
        """Put a line into ``custom_data`` of ``metadata.yaml``, which ``ros2 bag info`` shows."""
        self._custom[name] = value

    def flush(self) -> None:
        """Hand everything to the operating system."""
        self._writer.flush()
        self._describe()

    def close(self) -> None:
        """Write the index and close the files."""
        text = _text(self._information())
        self._writer.add_metadata("rosbag2", {"serialized_metadata": text})
        self._writer.finish()
        self._describe()
        self._stream.close()

    def abandon(self) -> None:
        """Close the file without an index, after a write failed."""
        with suppress(OSError):  # what is still buffered can't be written either
            self._stream.close()

    def _describe(self) -> None:
        """Replace ``metadata.yaml`` in one step, so that it is whole at any moment."""
        self.size = self._stream.tell()
        temporary = self.directory / f".{METADATA_FILE}.new"
        text = _text({"rosbag2_bagfile_information": self._information()})
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(self.directory / METADATA_FILE)

    def _information(self) -> dict[str, Any]:
        first, last = self._span or (0, 0)
        span = {
            "duration": {"nanoseconds": last - first},
            "starting_time": {"nanoseconds_since_epoch": first},
            "message_count": sum(self.counts.values()),
        }
        return {
            "version": _VERSION,
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
                    "message_count": self.counts[topic.name],
                }
                for topic in self.topics.values()
            ],
            "compression_format": "",
            "compression_mode": "",
            "relative_file_paths": [self._path.name],
            "files": [{"path": self._path.name, **span}],
            "custom_data": self._custom or None,
            "ros_distro": "jazzy",
        }


def _text(information: Mapping[str, Any]) -> str:
    """Return the information as YAML without aliases, which rosbag2's reader need not know."""
    return yaml.safe_dump(json.loads(json.dumps(information)), sort_keys=False)
