"""Records of an MCAP file one after the other, as far as the file is whole.

The index at a file's end is not needed: the file of a recorder that was killed has none.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Final

import zstandard
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.reader import make_reader
from mcap.records import Channel, Chunk, Message, Metadata, Schema
from mcap.stream_reader import CRCValidationError, breakup_chunk

_MAGIC_SIZE: Final = 8
_FRAMING: Final = struct.Struct("<BQ")  # opcode and length of a record

Item = Schema | Channel | Message | Metadata

# What the libraries raise on bytes that are not what they should be.
DAMAGE: Final = (
    McapError,
    CRCValidationError,
    struct.error,
    UnicodeDecodeError,
    ValueError,
    zlib.error,
    zstandard.ZstdError,
    RuntimeError,  # of lz4
    MemoryError,  # a length that is none
    OverflowError,
)


@dataclass(frozen=True, slots=True)
class Block:
    """What one top-level record holds.

    Attributes:
        offset: Where it begins in the file.
        items: Its records.
    """

    offset: int
    items: tuple[Item, ...]


class McapFile:
    """Sequential and, by offset, repeated reading of one file.

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
                content = stream.read(length)
                try:
                    items = tuple(_items(opcode, content))
                except DAMAGE as error:
                    self.problems.append(f"{self.path.name}: damaged at byte {offset}: {error}")
                    continue
                if items:
                    yield Block(offset, items)

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

    def block_at(self, stream: IO[bytes], offset: int) -> Block:
        """Read one record again that :meth:`blocks` has yielded; the stream is the open file."""
        stream.seek(offset)
        opcode, length = _FRAMING.unpack(stream.read(_FRAMING.size))
        return Block(offset, tuple(_items(opcode, stream.read(length))))

    def _note_cut(self, offset: int) -> None:
        left = self._size - offset
        text = "was not closed" if left == 0 else f"was cut off, {left} bytes are lost"
        self.problems.append(f"{self.path.name}: the recording {text}")


def _items(opcode: int, content: bytes) -> Iterator[Item]:
    stream = ReadDataStream(BytesIO(content))
    if opcode == Opcode.CHUNK:
        for record in breakup_chunk(Chunk.read(stream), validate_crc=True):
            if isinstance(record, Schema | Channel | Message):
                yield record
    elif opcode == Opcode.SCHEMA:
        yield Schema.read(stream)
    elif opcode == Opcode.CHANNEL:
        yield Channel.read(stream)
    elif opcode == Opcode.MESSAGE:
        yield Message.read(stream, len(content))
    elif opcode == Opcode.METADATA:
        yield Metadata.read(stream)
