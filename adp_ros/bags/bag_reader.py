"""Reads a bag in the order of time; what is wrong with it is said, not raised."""

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

import lz4.frame
import numpy as np
import zstandard
from mcap.records import Channel, Schema
from numpy.typing import NDArray
from rosbags.interfaces import Qos

from ..errors import AdpError, BagError
from .bag_files import McapFile, bag_files
from .bag_order import order_messages
from .bag_topics import PICTURE_TYPE, Decoder, TopicInfo, read_qos

_HELD_UP: Final = 1_000_000_000  # [ns] from sending to receiving; more is another clock
_OLDEST: Final = 60_000_000_000  # [ns] from a stamp to the message that carries it
_HEADER_SIZE: Final = 12  # of a serialized message: encapsulation and stamp
_UNKNOWN, _UNREADABLE = -1, -2  # topics of messages that are left out
_ZSTD, _LZ4 = b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18"  # how compressed messages begin


class Stored(NamedTuple):
    """Where and when one message of a bag lies; times in [ns].

    Attributes:
        topic: Its topic.
        time: When a reader on the same machine had it, whatever held up the recorder.
        elapsed: Since the bag's first message; never goes back.
        log_time: When it was received.
        publish_time: When it was sent.
        file: Number of the file in the bag.
        block: Position of the compressed chunk that holds it, -1 when it is not compressed.
        at: Where its data begins, in the file or in the unpacked chunk.
        size: Of its data in bytes.
    """

    topic: str
    time: int
    elapsed: int
    log_time: int
    publish_time: int
    file: int
    block: int
    at: int
    size: int


Take = Callable[[Any, Stored], None]
"""Takes a decoded message.

Raises:
    AdpError, ValueError: It can't be used.
"""


class BagReader:
    """One bag.

    Attributes:
        topics: By name.
        notes: Name and contents of its metadata records.
        problems: What is wrong with it, in words.

    Args:
        path: Folder of the bag, or one ``.mcap`` file.

    Raises:
        BagError: It is no MCAP bag.
    """

    def __init__(self, path: Path) -> None:
        found = bag_files(path)
        self.topics: dict[str, TopicInfo] = {}
        self.notes: list[tuple[str, dict[str, str]]] = []
        self.problems: list[str] = list(found.problems)
        self._names: list[str] = []
        self._decoders: dict[str, Decoder] = {}
        try:
            self._files = [McapFile(file) for file in found.paths]
        except OSError as error:
            raise BagError(f"bag {path} can't be read: {error.strerror}") from error
        columns = [self._file_columns(*item) for item in enumerate(self._files)]
        if not found.listed:
            columns = self._by_time(columns)
        self._columns = self._in_order(np.concatenate(columns))

    def stored(self, wanted: Callable[[TopicInfo], bool]) -> Iterator[Stored]:
        """Yield the messages of the topics that are wanted, in the order of time."""
        numbers = [n for n, name in enumerate(self._names) if wanted(self.topics[name])]
        for row in self._columns[np.isin(self._columns[:, 0], numbers)].tolist():
            yield Stored(self._names[row[0]], *row[1:])

    def newest(self, topic: str, elapsed: int) -> Stored | None:
        """Return the newest message of a topic that had come at a time of the bag in [ns]."""
        if topic not in self.topics:
            return None
        rows = self._columns[self._columns[:, 0] == self._names.index(topic)]
        at = int(np.searchsorted(rows[:, 2], elapsed, side="right"))
        return Stored(topic, *rows[at - 1, 1:].tolist()) if at else None

    def elapsed_at(self, stamp: int, elapsed: int) -> int:
        """Return when a stamp was, also where the clock was set since then.

        Args:
            stamp: That a message carries, in [ns].
            elapsed: When the message was there, since the bag's first message in [ns].

        Returns:
            The same of the stamp: at most `elapsed`, by :data:`_OLDEST` earlier at most.
        """
        oldest = elapsed - _OLDEST
        begin, end = np.searchsorted(self._columns[:, 2], (oldest, elapsed + 1))
        times, since = self._columns[begin:end, 1], self._columns[begin:end, 2]
        nearest = int(np.argmin(np.abs(times - stamp)))
        return int(np.clip(since[nearest] + stamp - times[nearest], oldest, elapsed))

    def data(self, stored: Stored) -> bytes:
        """Return a serialized message.

        Raises:
            BagError: It was compressed and can't be unpacked.
        """
        data = self._files[stored.file].data(stored.block, stored.at, stored.size)
        return _unpacked(data, stored.topic) if data.startswith((_ZSTD, _LZ4)) else data

    def beginning(self, stored: Stored) -> bytes:
        """Return a serialized message, as far as its header may reach.

        Raises:
            BagError: It was compressed and can't be unpacked.
        """
        size = min(stored.size, _HEADER_SIZE)
        data = self._files[stored.file].data(stored.block, stored.at, size)
        return self.data(stored) if data.startswith((_ZSTD, _LZ4)) else data

    def decoder(self, topic: str) -> Decoder:
        """Return the decoder of a topic.

        Raises:
            BagError: Its messages can't be decoded.
        """
        if topic not in self._decoders:
            self._decoders[topic] = Decoder(self.topics[topic])
        return self._decoders[topic]

    def decode(self, takers: Mapping[str, Take]) -> dict[str, int]:
        """Give each message to the taker of its topic, in the order of time.

        Returns:
            What could not be decoded or taken, in words -> how many messages, 0 for a whole topic.
        """
        decoders: dict[str, Decoder] = {}
        problems: dict[str, int] = {}
        for name in [name for name in takers if name in self.topics]:
            try:
                decoders[name] = self.decoder(name)
            except BagError as error:
                problems[str(error)] = 0
        for stored in self.stored(lambda topic: topic.name in decoders):
            try:
                takers[stored.topic](decoders[stored.topic].decode(self.data(stored)), stored)
            except (AdpError, ValueError, AttributeError, IndexError) as error:
                text = str(error)
                text = text if text.startswith(stored.topic) else f"{stored.topic}: {text}"
                problems[text] = problems.get(text, 0) + 1
        return problems

    def _file_columns(self, number: int, file: McapFile) -> NDArray[np.int64]:
        """Return the messages of one file in the order of :class:`Stored`, and their sequence."""
        self.problems += file.problems
        self.notes += file.notes
        topics = np.full(2**16, _UNKNOWN, dtype=np.int64)  # by the number of a channel
        for channel in file.channels.values():
            topics[channel.id] = self._topic(channel, file.schemas.get(channel.schema_id))
        channel_of, block, at, size, log_time, publish_time, sequence = file.rows.T
        topic_of = topics[channel_of]
        if unknown := np.count_nonzero(topic_of == _UNKNOWN):
            self.problems.append(f"{file.path.name}: {unknown} messages are of no known topic")
        held_up = log_time - publish_time
        time = np.where((held_up >= 0) & (held_up < _HELD_UP), publish_time, log_time)
        same = np.full(len(time), number)
        rows = (topic_of, time, same, log_time, publish_time, same, block, at, size, sequence)
        columns: NDArray[np.int64] = np.stack(rows, axis=1)[topic_of >= 0]
        return columns

    def _in_order(self, columns: NDArray[np.int64]) -> NDArray[np.int64]:
        columns = columns[~self._repeated(columns)]
        # a recorder may have held pictures until their chunk came
        types = [self.topics[name].type_name for name in self._names]
        pictures = [number for number, kind in enumerate(types) if kind == PICTURE_TYPE]
        late = pictures if len(pictures) < len(types) else ()
        order = order_messages(columns[:, 1], columns[:, 0], late, self._names)
        self.problems += order.problems
        columns = columns[order.rows, :-1]
        columns[:, 2] = order.elapsed
        return columns

    def _repeated(self, columns: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell which messages are there twice, as merged recordings have them."""
        topic, _, _, log_time, publish_time, *_, size, sequence = columns.T
        order = np.lexsort((sequence, log_time, size, publish_time, topic))
        same = (np.diff(columns[order][:, (0, 4, 8)], axis=0) == 0).all(axis=1)
        # two recorders note different times of receipt, one recorder never one message twice
        again = np.diff(columns[order][:, (3, 9)], axis=0) == 0
        same &= np.where(again[:, 0], again[:, 1], publish_time[order][1:] > 0)
        repeated = np.zeros(len(columns), dtype=np.bool_)
        for at in np.flatnonzero(same):
            first, second = (self._bytes(columns[row]) for row in order[at : at + 2])
            repeated[order[at + 1]] = first == second
        if repeated.any():
            self.problems.append(
                f"{np.count_nonzero(repeated)} messages are there twice and read once"
            )
        return repeated

    def _bytes(self, row: NDArray[np.int64]) -> bytes:
        file, *place = row[5:9].tolist()
        return self._files[int(file)].data(*place)

    def _by_time(self, columns: list[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
        """Put files that nobody listed in the order of time; say which are of the same time."""
        spans = [
            (rows[:, 3].min(), number, rows[:, 3].max())
            for number, rows in enumerate(columns)
            if len(rows)
        ]
        spans.sort()
        for (_, one, end), (begin, other, _) in pairwise(spans):
            if begin < end:
                names = " and ".join(self._files[number].path.name for number in (one, other))
                self.problems.append(f"{names} overlap in time")
        return [columns[number] for _, number, _ in spans] or columns

    def _topic(self, channel: Channel, schema: Schema | None) -> int:
        """Return the number of a channel's topic, :data:`_UNREADABLE` when it can't be read."""
        if channel.message_encoding != "cdr" or schema is None or schema.encoding != "ros2msg":
            kind = schema.encoding if schema is not None else "nothing"
            self.problems.append(
                f"{channel.topic} is not read: it is {channel.message_encoding} described by "
                f"{kind}, cdr described by ros2msg is needed"
            )
            return _UNREADABLE
        definition = schema.data.decode("utf-8", errors="replace").replace("\r\n", "\n")
        known = self.topics.get(channel.topic)
        if known is not None and known.type_name != schema.name:
            self.problems.append(f"{channel.topic} is not read where it is {schema.name}")
            return _UNREADABLE
        if known is not None and known.definition != definition:
            self.problems.append(f"{channel.topic} is described in two ways, the first is taken")
        if known is None:
            self._names.append(channel.topic)
            self.topics[channel.topic] = TopicInfo(
                name=channel.topic,
                type_name=schema.name,
                definition=definition,
                type_hash=channel.metadata.get("topic_type_hash", ""),
                qos=self._qos(channel),
            )
        return self._names.index(channel.topic)

    def _qos(self, channel: Channel) -> tuple[Qos, ...]:
        try:
            return read_qos(channel.metadata.get("offered_qos_profiles", ""))
        except ValueError as error:
            self.problems.append(f"{channel.topic}: {error}")
            return ()


def _unpacked(data: bytes, topic: str) -> bytes:
    """Unpack a message that rosbag2 compressed by itself."""
    try:
        if data.startswith(_LZ4):
            return bytes(lz4.frame.decompress(data))
        return zstandard.ZstdDecompressor().decompressobj().decompress(data)
    except (zstandard.ZstdError, RuntimeError) as error:
        raise BagError(f"{topic}: a message can't be unpacked: {error}") from error


def problem_words(problems: Mapping[str, int]) -> list[str]:
    """Return what :meth:`BagReader.decode` met with, one line each."""
    return [f"{n} messages skipped, {text}" if n else text for text, n in problems.items()]
