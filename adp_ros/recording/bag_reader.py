"""Reads a bag in the order in which it was recorded; what is wrong with it is said, not raised."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mcap.records import Channel, Message, Metadata, Schema

from .bag_files import bag_files
from .mcap_records import McapFile
from .topic import TopicInfo

_HELD_UP: Final = 1_000_000_000  # [ns] from sending to receiving; more is another clock
_BACK: Final = 1_000_000_000  # [ns] by which a topic's time may go back: pictures are held a while


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message lies.

    Attributes:
        file: Number of the file in the bag.
        offset: Of the record that holds it.
        index: Its number among that record's messages.
    """

    file: int
    offset: int
    index: int


@dataclass(frozen=True, slots=True)
class Stored:
    """One message of a bag; times in [ns].

    Attributes:
        topic: Its topic.
        data: Serialized message.
        log_time: When it was received.
        publish_time: When it was sent.
        place: Where it lies.
    """

    topic: str
    data: bytes
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
        self._cached: tuple[tuple[int, int], tuple[Message, ...]] | None = None

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
        channels: dict[int, TopicInfo | None] = {}

        def note(item: Schema | Channel) -> None:
            if isinstance(item, Schema):
                schemas[item.id] = item
            elif item.id not in channels:
                channels[item.id] = self._topic(item, schemas, wanted)

        for item in file.summary():  # in case the record that tells them first is damaged
            note(item)
        for block in file.blocks():
            index = -1
            for record in block.items:
                if isinstance(record, Schema | Channel):
                    note(record)
                elif isinstance(record, Metadata):
                    self.notes.append((record.name, dict(record.metadata)))
                else:
                    index += 1
                    topic = channels.get(record.channel_id)
                    if topic is not None:
                        self._note_order(topic.name, record.log_time)
                        place = Place(number, block.offset, index)
                        yield _stored(topic.name, record, place)

    def fetch(self, place: Place) -> bytes:
        """Return a message again, by its place."""
        key = (place.file, place.offset)
        if self._cached is None or self._cached[0] != key:
            file = self._files[place.file]
            with file.path.open("rb") as stream:
                items = file.block_at(stream, place.offset).items
            self._cached = (key, tuple(item for item in items if isinstance(item, Message)))
        return self._cached[1][place.index].data

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
        )
        self.topics[topic.name] = topic
        return topic if wanted(topic) else None

    def _note_order(self, topic: str, log_time: int) -> None:
        last = self._order.get(topic, log_time)
        self._order[topic] = log_time
        if last - log_time > _BACK:
            text = f"time goes back by {(last - log_time) * 1e-9:.1f} s in {topic}"
            self._jumps.append(text)


def _stored(topic: str, message: Message, place: Place) -> Stored:
    return Stored(topic, message.data, message.log_time, message.publish_time, place)
