"""Records of an MCAP file one after the other, as far as the file is whole.

The index at a file's end is not needed: the file of a recorder that was killed has none. Messages
are cut out of what was read without a copy, and a block is read and checked while the one before it
is looked into, so that a bag is read about as fast as the disk gives it.
"""

import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

import lz4.frame
import zstandard
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError, UnsupportedCompressionError
from mcap.opcode import Opcode
from mcap.reader import make_reader
from mcap.records import Channel, Metadata, Schema

from .read_ahead import one_ahead

_MAGIC_SIZE: Final = 8
_FRAMING: Final = struct.Struct("<BQ")  # opcode and length of a record
_CHUNK: Final = struct.Struct("<QQQII")  # times, size, checksum, length of compression's name
_LENGTH: Final = struct.Struct("<Q")
_MESSAGE: Final = struct.Struct("<HIQQ")  # channel, sequence, log time, publish time

# What the libraries raise on bytes that are not what they should be.
DAMAGE: Final = (
    McapError,
    struct.error,
    UnicodeDecodeError,
    ValueError,
    zlib.error,
    zstandard.ZstdError,
    RuntimeError,  # of lz4
    MemoryError,  # a length that is none
    OverflowError,
)


class RawMessage(NamedTuple):
    """One message; times in [ns].

    Attributes:
        channel: Number of its channel.
        log_time: When it was received.
        publish_time: When it was sent.
        data: Serialized, a view of what was read: a copy outlives it.
        at: Where the data begins, from where its block counts.
    """

    channel: int
    log_time: int
    publish_time: int
    data: memoryview
    at: int


Item = Schema | Channel | Metadata | RawMessage
_OTHERS: Final[Mapping[int, Callable[[ReadDataStream], Item]]] = MappingProxyType(
    {Opcode.SCHEMA: Schema.read, Opcode.CHANNEL: Channel.read, Opcode.METADATA: Metadata.read}
)


@dataclass(frozen=True, slots=True)
class Block:
    """What one top-level record holds.

    Attributes:
        offset: Where it begins in the file.
        base: Position in the file from which its messages count, None when it is compressed.
        items: Its records.
    """

    offset: int
    base: int | None
    items: tuple[Item, ...]


class McapFile:
    """Sequential and, by place, repeated reading of one file.

    Attributes:
        path: The file.
        problems: What was wrong with what was read so far, in words.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[str] = []
        self._size = path.stat().st_size

    def blocks(self) -> Iterator[Block]:
        """Yield what the file holds; damaged records are skipped and noted."""
        for offset, opcode, content in one_ahead(self._checked()):
            try:
                block = _block(offset, opcode, content)
            except DAMAGE as error:
                self._note_damage(offset, error)
                continue
            if block.items:
                yield block

    def _checked(self) -> Iterator[tuple[int, int, "_Content"]]:
        """Yield offset, opcode and contents of the top-level records whose checksum is right."""
        with self.path.open("rb") as stream:
            stream.seek(_MAGIC_SIZE)
            while True:
                offset = stream.tell()
                head = stream.read(_FRAMING.size)
                if len(head) < _FRAMING.size:
                    self._note_cut(offset)
                    return
                opcode, length = _FRAMING.unpack(head)
                if length > self._size - stream.tell():
                    self._note_cut(offset)
                    return
                if opcode == Opcode.DATA_END:
                    return
                try:
                    content = _content(opcode, stream.read(length))
                except DAMAGE as error:
                    self._note_damage(offset, error)
                    continue
                yield offset, opcode, content

    def summary(self) -> tuple[Schema | Channel, ...]:
        """Return the topics that the end of the file repeats; none when it was not closed."""
        try:
            with self.path.open("rb") as stream:
                summary = make_reader(stream).get_summary()
        except (*DAMAGE, OSError):  # too short for an end
            return ()
        if summary is None:
            return ()
        return (*summary.schemas.values(), *summary.channels.values())

    def bytes_at(self, position: int, size: int) -> bytes:
        """Read bytes again from a position in the file."""
        with self.path.open("rb") as stream:
            stream.seek(position)
            return stream.read(size)

    def unpacked(self, offset: int) -> memoryview:
        """Read again what the compressed block at an offset holds."""
        opcode, length = _FRAMING.unpack(self.bytes_at(offset, _FRAMING.size))
        return _content(opcode, self.bytes_at(offset + _FRAMING.size, length)).records

    def _note_damage(self, offset: int, error: Exception) -> None:
        self.problems.append(f"{self.path.name}: damaged at byte {offset}: {error}")

    def _note_cut(self, offset: int) -> None:
        left = self._size - offset
        text = "was not closed" if left == 0 else f"was cut off, {left} bytes are lost"
        self.problems.append(f"{self.path.name}: the recording {text}")


class _Content(NamedTuple):
    """Records, and where they begin in their top-level record; None when they were compressed."""

    records: memoryview
    begin: int | None


def _content(opcode: int, content: bytes) -> _Content:
    return _unpack(content) if opcode == Opcode.CHUNK else _Content(memoryview(content), 0)


def _block(offset: int, opcode: int, content: _Content) -> Block:
    records, begin = content
    base = None if begin is None else offset + _FRAMING.size + begin
    if opcode == Opcode.CHUNK:
        return Block(offset, base, tuple(_records(records)))
    return Block(offset, base, tuple(_item(opcode, records, 0, len(records))))


def _unpack(content: bytes) -> _Content:
    """Return the records of a chunk."""
    view = memoryview(content)
    _, _, size, checksum, name_length = _CHUNK.unpack_from(view)
    name_end = _CHUNK.size + name_length
    name = bytes(view[_CHUNK.size : name_end]).decode()
    begin = name_end + _LENGTH.size
    stored = view[begin : begin + _LENGTH.unpack_from(view, name_end)[0]]
    if name == "":
        records = stored
    elif name == "lz4":
        records = memoryview(lz4.frame.decompress(stored))
    elif name == "zstd":
        records = memoryview(zstandard.decompress(stored, size))
    else:
        raise UnsupportedCompressionError(name)
    if len(records) != size or (checksum and zlib.crc32(records) != checksum):
        raise McapError("checksum or size of a chunk is wrong")
    return _Content(records, None if name else begin)


def _records(view: memoryview) -> Iterator[Item]:
    position, end = 0, len(view)
    while position < end:
        opcode, length = _FRAMING.unpack_from(view, position)
        position += _FRAMING.size
        if position + length > end:
            raise McapError("a record is longer than its chunk")
        yield from _item(opcode, view, position, length)
        position += length


def _item(opcode: int, view: memoryview, begin: int, length: int) -> tuple[Item, ...]:
    """Return the item that a record is, none for indices and what is unknown."""
    if opcode == Opcode.MESSAGE:
        channel, _, log_time, publish_time = _MESSAGE.unpack_from(view, begin)
        at = begin + _MESSAGE.size
        return (RawMessage(channel, log_time, publish_time, view[at : begin + length], at),)
    if opcode not in _OTHERS:
        return ()
    stream = ReadDataStream(BytesIO(view[begin : begin + length]))
    return (_OTHERS[opcode](stream),)
