"""The files of a bag, and where in each the messages lie, as far as it is whole.

The index at a file's end is not needed: the file of a recorder that was killed has none. Chunks
are unpacked and checked by the ``mcap`` library, whose own readers end at the first damaged record.
"""

import os
import struct
import zlib
from array import array
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final
from weakref import finalize

import numpy as np
import zstandard
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError, UnsupportedCompressionError
from mcap.opcode import Opcode
from mcap.reader import make_reader
from mcap.records import Channel, Chunk, Metadata, Schema
from mcap.stream_reader import get_chunk_data_stream
from numpy.typing import NDArray

from ..errors import BagError, ConfigError
from ..settings import mapping_in

METADATA_FILE: Final = "metadata.yaml"
_MAGIC: Final = b"\x89MCAP0\r\n"
_OTHER_KINDS: Final = (
    (b"SQLite format 3", "an SQLite bag; ros2 bag convert makes an MCAP bag of it"),
    (b"#ROSBAG", "a bag of ROS 1; rosbags-convert makes an MCAP bag of it"),
)


@dataclass(frozen=True, slots=True)
class BagFiles:
    """The MCAP files of a bag.

    Attributes:
        paths: In order, at least one.
        listed: ``metadata.yaml`` names them, or there is but one.
        problems: What the folder holds beside them, or lacks, in words.
    """

    paths: tuple[Path, ...]
    listed: bool
    problems: tuple[str, ...] = ()


def bag_files(path: Path) -> BagFiles:
    """Find the files of a bag: those that ``metadata.yaml`` lists, without it all in the folder.

    Args:
        path: Folder of a bag, or one ``.mcap`` file.

    Raises:
        BagError: There is no bag, or it is of another kind.
    """
    if not path.exists():
        raise BagError(f"bag {path} does not exist")
    found = BagFiles((path,), listed=True) if path.is_file() else _in_folder(path)
    for file in found.paths:
        _check_kind(file)
    return found


def _in_folder(folder: Path) -> BagFiles:
    there = _visible(folder, "*.mcap")
    names, problem = _listed_names(folder)
    problems = (problem,) if problem else ()
    if not there and _visible(folder, "*.mcap.zstd"):
        raise BagError(f"bag {folder} is compressed as a whole; unzstd its files first")
    if not names:
        if files := there or _visible(folder, "*.db3"):
            return BagFiles(tuple(files), listed=False, problems=problems)
        raise BagError(f"bag {folder} has no .mcap file in it")
    paths = [folder / name for name in names if (folder / name).is_file()]
    missing = ", ".join(name for name in names if folder / name not in paths)
    others = ", ".join(file.name for file in there if file not in paths)
    if not paths:
        raise BagError(
            f"bag {folder}: {METADATA_FILE} lists {missing}, which is not there; in the folder: "
            f"{others or 'no .mcap file'}"
        )
    if missing:
        problems = (*problems, f"{missing} is listed in {METADATA_FILE} and not there")
    if others:
        problems = (*problems, f"{others} is not listed in {METADATA_FILE} and not read")
    return BagFiles(tuple(paths), listed=True, problems=problems)


def _visible(folder: Path, pattern: str) -> list[Path]:
    """Return files in the order of the numbers at the ends of their names, none with a dot."""
    found = [f for f in folder.glob(pattern) if f.is_file() and not f.name.startswith(".")]
    numbers = {file: file.stem.rpartition("_")[2] for file in found}  # name_10 after name_9
    return sorted(found, key=lambda f: (int(n) if (n := numbers[f]).isdecimal() else 0, f.name))


def _listed_names(folder: Path) -> tuple[Sequence[str], str]:
    """Return the names that ``metadata.yaml`` lists, and why it can't be used."""
    file = folder / METADATA_FILE
    if not file.exists():
        return (), ""
    try:
        values = mapping_in(file.read_text(encoding="utf-8"), METADATA_FILE)
        listed = values["rosbag2_bagfile_information"]["relative_file_paths"]
        return [Path(str(name)).name for name in listed], ""
    except (OSError, UnicodeDecodeError, ConfigError, KeyError, TypeError):
        return (), f"{METADATA_FILE} lists no files: every .mcap file of the folder is read"


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


COLUMNS: Final = ("channel", "block", "at", "size", "log_time", "publish_time", "sequence")

_MAGIC_SIZE: Final = 8
_FRAMING: Final = struct.Struct("<BQ")  # opcode and length of a record
_CHUNK_HEADER: Final = 40  # bytes before the records of a chunk, and the name of its compression
_MESSAGE: Final = struct.Struct("<HIQQ")  # channel, sequence, log time, publish time
_LATEST: Final = 2**63  # [ns]
_READ: Final = (Opcode.SCHEMA, Opcode.CHANNEL, Opcode.METADATA, Opcode.MESSAGE, Opcode.CHUNK)
_UNPACKED_BLOCKS: Final = 8  # that are kept

# What the libraries raise on bytes that are not what they should be.
_DAMAGE: Final = (
    McapError,
    struct.error,
    ValueError,
    zlib.error,
    zstandard.ZstdError,
    RuntimeError,  # of lz4
    MemoryError,  # a length that is none
    OverflowError,
)


class McapFile:
    """One file, whose records are read through once.

    Attributes:
        path: The file.
        schemas: By number.
        channels: By number.
        notes: Name and contents of its metadata records.
        problems: What is wrong with it, in words.

    Raises:
        OSError: It can't be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.schemas: dict[int, Schema] = {}
        self.channels: dict[int, Channel] = {}
        self.notes: list[tuple[str, dict[str, str]]] = []
        self.problems: list[str] = []
        self._rows = array("q")
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        finalize(self, os.close, self._descriptor)
        with path.open("rb") as stream:
            self._index(stream, path.stat().st_size)
            self._read_summary(stream)

    @property
    def rows(self) -> NDArray[np.int64]:
        """Where messages lie, in the file's order, shape (N, 7): :data:`COLUMNS`.

        Times are in [ns]. ``at`` counts from the beginning of the file where ``block`` is -1,
        else within the unpacked chunk that lies at ``block``.
        """
        return np.frombuffer(self._rows, dtype=np.int64).reshape(-1, len(COLUMNS))

    def data(self, block: int, at: int, size: int) -> bytes:
        """Return bytes by their place, as :attr:`rows` gives it."""
        if block < 0:
            return os.pread(self._descriptor, size, at)
        records = self._blocks.get(block)
        if records is None:
            head = os.pread(self._descriptor, _FRAMING.size, block)
            length = _FRAMING.unpack(head)[1]
            content = os.pread(self._descriptor, length, block + _FRAMING.size)
            self._blocks[block] = records = _records_of(_chunk(content))
            if len(self._blocks) > _UNPACKED_BLOCKS:
                self._blocks.popitem(last=False)
        return records[at : at + size]

    def _index(self, stream: BinaryIO, size: int) -> None:
        stream.seek(_MAGIC_SIZE)
        while True:
            offset = stream.tell()
            head = stream.read(_FRAMING.size)
            opcode, length = _FRAMING.unpack(head) if len(head) == _FRAMING.size else (0, size)
            if length > size - stream.tell():
                lost = size - offset
                cut = f"was cut off, {lost} bytes are lost" if lost else "was not closed"
                self.problems.append(f"{self.path.name}: the recording {cut}")
                return
            if opcode == Opcode.DATA_END:
                return
            if opcode not in _READ:
                stream.seek(length, os.SEEK_CUR)
                continue
            known = len(self._rows)
            try:
                self._take(opcode, stream.read(length), offset)
            except _DAMAGE as error:
                del self._rows[known:]
                self.problems.append(f"{self.path.name}: damaged at byte {offset}: {error}")

    def _take(self, opcode: int, content: bytes, offset: int) -> None:
        begin = offset + _FRAMING.size
        if opcode != Opcode.CHUNK:
            self._take_record(opcode, content, (0, len(content)), (-1, begin))
            return
        chunk = _chunk(content)
        records = _records_of(chunk)
        origin = (offset, 0) if chunk.compression else (-1, begin + _CHUNK_HEADER)
        position, end = 0, len(records)
        while position < end:
            opcode, length = _FRAMING.unpack_from(records, position)
            position += _FRAMING.size
            if position + length > end:
                raise McapError("a record is longer than its chunk")
            self._take_record(opcode, records, (position, length), origin)
            position += length

    def _take_record(
        self, opcode: int, records: bytes, span: tuple[int, int], origin: tuple[int, int]
    ) -> None:
        at, length = span
        if opcode == Opcode.MESSAGE:
            channel, sequence, log_time, publish_time = _MESSAGE.unpack_from(records, at)
            if max(log_time, publish_time) >= _LATEST:
                raise McapError(f"a message has the time {max(log_time, publish_time)} ns")
            block, base = origin
            place = (block, base + at + _MESSAGE.size, length - _MESSAGE.size)
            self._rows.extend((channel, *place, log_time, publish_time, sequence))
            return
        stream = ReadDataStream(BytesIO(records[at : at + length]))
        if opcode == Opcode.SCHEMA:
            schema = Schema.read(stream)
            self.schemas[schema.id] = schema
        elif opcode == Opcode.CHANNEL:
            known = Channel.read(stream)
            self.channels[known.id] = known
        elif opcode == Opcode.METADATA:
            note = Metadata.read(stream)
            self.notes.append((note.name, dict(note.metadata)))

    def _read_summary(self, stream: BinaryIO) -> None:
        """Take the topics that the file's end repeats, in case the first copy is damaged."""
        stream.seek(0)
        try:
            summary = make_reader(stream).get_summary()
        except (*_DAMAGE, OSError):  # a file that was not closed has none
            return
        if summary is not None:
            self.schemas = {**summary.schemas, **self.schemas}
            self.channels = {**summary.channels, **self.channels}


def _chunk(content: bytes) -> Chunk:
    chunk: Chunk = Chunk.read(ReadDataStream(BytesIO(content)))
    return chunk


def _records_of(chunk: Chunk) -> bytes:
    if chunk.compression not in ("", "lz4", "zstd"):
        raise UnsupportedCompressionError(chunk.compression)
    stream, length = get_chunk_data_stream(chunk, validate_crc=True)
    if length != chunk.uncompressed_size:
        raise McapError(f"a chunk has {length} bytes, {chunk.uncompressed_size} are noted")
    return stream.read(length)
