"""Reads a bag in the order in which it was recorded; what is wrong with it is said, not raised."""

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from mcap.records import Channel, Metadata, Schema
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, TypesysError, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from ..errors import BagError
from .bag_writer import OfferedQos, TopicInfo, offered_from_text
from .mcap_file import Block, McapFile, RawMessage, bag_files

FIELDS: Final = MappingProxyType(
    {  # what replay reads of each type
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
            *("header", "pruner", "tokens_total", "kept_indices", "sequence_length"),
        ),
        "adp_ros/msg/InferenceLatency": ("header", "window", "frame_age"),
        "adp_ros/msg/SafetyState": ("status", "cause", "message"),
        "sensor_msgs/msg/Image": ("header", "height", "width", "encoding", "step", "data"),
        "sensor_msgs/msg/CompressedImage": ("header", "format", "data"),
        "sensor_msgs/msg/JointState": ("header", "name", "position"),
        "geometry_msgs/msg/PoseStamped": ("header", "pose"),
        "kinova_msgs/msg/JointAngles": tuple(f"joint{i}" for i in range(1, 7)),
        "kinova_msgs/msg/FingerPosition": ("finger1", "finger2", "finger3"),
    }
)

TYPES: Final = MappingProxyType(
    {  # of topics that are ours by name; one of another type is not
        "/adp/action_chunk": "adp_ros/msg/ActionChunk",
        "/adp/chunk_request": "adp_ros/msg/ChunkRequest",
        "/adp/gate_state": "adp_ros/msg/GateState",
        "/adp/prune_state": "adp_ros/msg/PruneState",
        "/adp/latency": "adp_ros/msg/InferenceLatency",
        "/adp/policy_state": "sensor_msgs/msg/JointState",
        "/adp/safety_state": "adp_ros/msg/SafetyState",
    }
)

_ENCAPSULATIONS: Final = MappingProxyType({b"\0\0": "big", b"\0\1": "little"})
_UNREADABLE: Final = (SerdeError, struct.error, ValueError, IndexError, KeyError, AssertionError)


class Decoder:
    """Decodes the messages of one topic.

    Args:
        topic: With type and definition.

    Raises:
        BagError: It is not of the type that its name stands for, or the definition can't be read,
            or is of a version without a field that is needed.
    """

    def __init__(self, topic: TopicInfo) -> None:
        expected = TYPES.get(topic.name, topic.type_name)
        if topic.type_name != expected:
            raise BagError(f"{topic.name} is {topic.type_name}, {expected} is needed")
        self._topic = topic
        self._store: Typestore = get_typestore(Stores.EMPTY)
        try:
            types = get_types_from_msg(topic.definition, topic.type_name)
            self._store.register(types)
        except (TypesysError, ValueError, KeyError) as error:
            raise BagError(
                f"{topic.name}: the definition of {topic.type_name} can't be read: {error}"
            ) from error
        entry = self._store.get_msgdef(topic.type_name)
        self._class = entry.cls
        self._unpack = {"big": entry.deserialize_cdr_be, "little": entry.deserialize_cdr_le}
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
            encapsulation = _ENCAPSULATIONS[bytes(data[:2])]
            unpack = self._unpack[encapsulation]
            return unpack(bytes(data[4:]), 0, self._class, self._store)[0]
        except _UNREADABLE as error:
            raise BagError(f"{self._topic.name}: a message can't be decoded: {error!r}") from error


class Packed(NamedTuple):
    """A message that is decoded where it is used, which may be in another process.

    Attributes:
        decoder: Of its topic.
        data: Serialized message.
    """

    decoder: Decoder
    data: bytes

    def unpack(self) -> Any:
        """Return the message.

        Raises:
            BagError: The bytes are no such message.
        """
        return self.decoder.decode(self.data)


_HELD_UP: Final = 1_000_000_000  # [ns] from sending to receiving; more is another clock
_BACK: Final = 1_000_000_000  # [ns] by which a topic's time may go back: pictures are held a while


class Place(NamedTuple):
    """Where a message lies.

    Attributes:
        file: Number of the file in the bag.
        block: Position of the compressed block that holds it, None when it is not compressed.
        at: Where its data begins, in the file or in the block once unpacked.
        size: Of its data in bytes.
    """

    file: int
    block: int | None
    at: int
    size: int


class Stored(NamedTuple):
    """One message of a bag; times in [ns].

    Attributes:
        topic: Its topic.
        data: Serialized message; a view of what was read, a copy outlives it.
        log_time: When it was received.
        publish_time: When it was sent.
        place: Where it lies.
    """

    topic: str
    data: memoryview
    log_time: int
    publish_time: int
    place: Place

    @property
    def time(self) -> int:
        """When a reader on the same machine had it, whatever held up the recorder, in [ns]."""
        held_up = 0 <= self.log_time - self.publish_time < _HELD_UP
        return self.publish_time if held_up else self.log_time


class BagReader:
    """One bag.

    Attributes:
        topics: By name, as far as they came up.
        notes: Name and contents of metadata records that came up.

    Args:
        path: Folder of the bag, or one ``.mcap`` file.

    Raises:
        BagError: It is no MCAP bag.
    """

    def __init__(self, path: Path) -> None:
        self._files = [McapFile(file) for file in bag_files(path)]
        self.topics: dict[str, TopicInfo] = {}
        self.notes: list[tuple[str, dict[str, str]]] = []
        self._order: dict[str, int] = {}
        self._jumps: list[str] = []
        self._unread: list[str] = []
        self._unpacked: tuple[tuple[int, int], memoryview] | None = None

    @property
    def problems(self) -> tuple[str, ...]:
        """What was wrong with what was read so far."""
        return (
            *(text for file in self._files for text in file.problems),
            *self._jumps,
            *self._unread,
        )

    def messages(self, wanted: Callable[[TopicInfo], bool]) -> Iterator[Stored]:
        """Yield the messages of the topics that are wanted, as they lie in the file."""
        self.notes, self._jumps, self._unread, self._order = [], [], [], {}
        for number, file in enumerate(self._files):
            yield from self._file_messages(number, file, wanted)

    def _file_messages(
        self, number: int, file: McapFile, wanted: Callable[[TopicInfo], bool]
    ) -> Iterator[Stored]:
        schemas: dict[int, Schema] = {}
        channels: dict[int, TopicInfo] = {}
        others: set[int] = set()

        def note(item: Schema | Channel) -> None:
            if isinstance(item, Schema):
                schemas[item.id] = item
            elif item.id not in channels and item.id not in others:
                topic = self._topic(item, schemas, wanted)
                if topic is None:
                    others.add(item.id)
                else:
                    channels[item.id] = topic

        for item in file.summary():  # in case the record that tells them first is damaged
            note(item)
        for block in file.blocks(skipped=others):
            for record in block.items:
                if isinstance(record, RawMessage):
                    topic = channels.get(record.channel)
                    if topic is not None:
                        self._note_order(topic.name, record.log_time)
                        yield _stored(topic.name, record, _place(number, block, record))
                elif isinstance(record, Metadata):
                    self.notes.append((record.name, dict(record.metadata)))
                else:
                    note(record)

    def fetch(self, place: Place) -> bytes:
        """Return a message again, by its place."""
        file = self._files[place.file]
        if place.block is None:
            return file.bytes_at(place.at, place.size)
        key = (place.file, place.block)
        if self._unpacked is None or self._unpacked[0] != key:
            self._unpacked = (key, file.unpacked(place.block))
        return bytes(self._unpacked[1][place.at : place.at + place.size])

    def _topic(
        self,
        channel: Channel,
        schemas: dict[int, Schema],
        wanted: Callable[[TopicInfo], bool],
    ) -> TopicInfo | None:
        schema = schemas.get(channel.schema_id)
        if channel.message_encoding != "cdr" or schema is None or schema.encoding != "ros2msg":
            kind = schema.encoding if schema is not None else "nothing"
            self._unread.append(
                f"{channel.topic} is not read: it is {channel.message_encoding} described by "
                f"{kind}, cdr described by ros2msg is needed"
            )
            return None
        topic = TopicInfo(
            name=channel.topic,
            type_name=schema.name,
            definition=schema.data.decode("utf-8", errors="replace"),
            type_hash=channel.metadata.get("topic_type_hash", ""),
            qos=self._qos(channel),
        )
        self.topics[topic.name] = topic
        return topic if wanted(topic) else None

    def _qos(self, channel: Channel) -> tuple[OfferedQos, ...]:
        try:
            return offered_from_text(channel.metadata.get("offered_qos_profiles", ""))
        except ValueError as error:
            self._unread.append(f"{channel.topic}: {error}")
            return ()

    def _note_order(self, topic: str, log_time: int) -> None:
        last = self._order.get(topic, log_time)
        self._order[topic] = log_time
        if last - log_time > _BACK:
            text = f"time goes back by {(last - log_time) * 1e-9:.1f} s in {topic}"
            self._jumps.append(text)


def _place(number: int, block: Block, message: RawMessage) -> Place:
    if block.base is None:
        return Place(number, block.offset, message.at, len(message.data))
    return Place(number, None, block.base + message.at, len(message.data))


def _stored(topic: str, message: RawMessage, place: Place) -> Stored:
    return Stored(topic, message.data, message.log_time, message.publish_time, place)
