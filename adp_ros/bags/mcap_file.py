"""Records of the MCAP files of a bag one after the other, as far as each is whole.

The index at a file's end is not needed: the file of a recorder that was killed has none. Messages
are cut out of what was read without a copy, so that a bag is read about as fast as the disk gives
it.
"""

import struct
import zlib
from collections.abc import Callable, Container, Iterator, Mapping
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

from ..errors import BagError

_MAGIC: Final = b"\x89MCAP0\r\n"
_OTHER_KINDS: Final = (
    (b"SQLite format 3", "an SQLite bag; ros2 bag convert makes an MCAP bag of it"),
    (b"#ROSBAG", "a bag of ROS 1; rosbags-convert makes an MCAP bag of it"),
)


def bag_files(path: Path) -> tuple[Path, ...]:
    """Return the MCAP files of a bag, in order.

    Args:
        path: Folder of a bag, or one ``.mcap`` file.

    Raises:
        BagError: There is no bag, or it is of another kind.
    """
    if not path.exists():
        raise BagError(f"bag {path} does not exist")
    if path.is_file():
        files = [path]
    else:
        files = sorted(path.glob("*.mcap"), key=_number) or sorted(path.glob("*.db3"))
    if not files and any(path.glob("*.mcap.zstd")):
        raise BagError(f"bag {path} is compressed as a whole; unzstd its files first")
    if not files:
        raise BagError(f"bag {path} has no .mcap file in it")
    for file in files:
        _check_kind(file)
    return tuple(files)


def _number(file: Path) -> tuple[int, str]:
    """Sort ``name_10`` after ``name_9``."""
    digits = file.stem.rpartition("_")[2]
    return int(digits) if digits.isdecimal() else 0, file.name


def _check_kind(file: Path) -> None:
    try:
        with file.open("rb") as stream:
            beginning = stream.read(16)
    except OSError as error:
        raise BagError(f"bag {file} can't be read: {error.strerror}") from error
    if not beginning:
        raise BagError(f"bag {file} is empty")
    for magic, words in _OTHER_KINDS:
        if beginning.startswith(magic):
            raise BagError(f"bag {file} is {words}")
    if not beginning.startswith(_MAGIC):
        raise BagError(f"bag {file} is no MCAP file")


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
_OTHER_RECORDS: Final[Mapping[int, Callable[[ReadDataStream], Item]]] = MappingProxyType(
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

    def blocks(self, skipped: Container[int] = ()) -> Iterator[Block]:
        """Yield what the file holds; damaged records are left out and noted.

        Args:
            skipped: Channels whose messages are left out; may grow meanwhile.
        """
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
                    block = _block(offset, opcode, stream.read(length), skipped)
                except DAMAGE as error:
                    self.problems.append(f"{self.path.name}: damaged at byte {offset}: {error}")
                    continue
                if block.items:
                    yield block

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
        content = self.bytes_at(offset + _FRAMING.size, length)
        return _unpack(content)[1] if opcode == Opcode.CHUNK else memoryview(content)

    def _note_cut(self, offset: int) -> None:
        left = self._size - offset
        text = "was not closed" if left == 0 else f"was cut off, {left} bytes are lost"
        self.problems.append(f"{self.path.name}: the recording {text}")


def _block(offset: int, opcode: int, content: bytes, skipped: Container[int]) -> Block:
    base: int | None = offset + _FRAMING.size
    if opcode != Opcode.CHUNK:
        record = memoryview(content)
        return Block(offset, base, _item(opcode, record, 0, len(record), skipped))
    begin, records = _unpack(content)
    base = None if begin is None else offset + _FRAMING.size + begin
    return Block(offset, base, tuple(_records(records, skipped)))


def _unpack(content: bytes) -> tuple[int | None, memoryview]:
    """Return the records of a chunk and where they begin in it, None when they are compressed."""
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
    return None if name else begin, records


def _records(view: memoryview, skipped: Container[int]) -> Iterator[Item]:
    position, end = 0, len(view)
    while position < end:
        opcode, length = _FRAMING.unpack_from(view, position)
        position += _FRAMING.size
        if position + length > end:
            raise McapError("a record is longer than its chunk")
        yield from _item(opcode, view, position, length, skipped)
        position += length


def _item(
    opcode: int, view: memoryview, begin: int, length: int, skipped: Container[int]
) -> tuple[Item, ...]:
    """Return the item that a record is, none for indices, what is skipped and what is unknown."""
    if opcode == Opcode.MESSAGE:
        channel, _, log_time, publish_time = _MESSAGE.unpack_from(view, begin)
        if channel in skipped:
            return ()
        at = begin + _MESSAGE.size
        return (RawMessage(channel, log_time, publish_time, view[at : begin + length], at),)
    if opcode not in _OTHER_RECORDS:
        return ()
    stream = ReadDataStream(BytesIO(view[begin : begin + length]))
    return (_OTHER_RECORDS[opcode](stream),)
