"""Writes one bag: an MCAP file that is readable at any moment, and its ``metadata.yaml``."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Final

from mcap.writer import CompressionType, Writer

from .bag_metadata import BagTally, bag_information, information_text, write_information
from .topic import TopicInfo, qos_text

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
