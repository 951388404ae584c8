"""Takes messages from one thread, writes them in another; drops rather than blocks."""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from ..health import Health, Level, Value
from ..settings import check_settings, setting
from .bag_topics import CHUNK_TOPIC, PICTURE_TYPE, TopicInfo
from .bag_writer import BagWriter

FRAMES: Final = ("jpeg+used", "used", "jpeg", "raw")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSettings:
    """What is recorded, where, and how much memory and disk it may take.

    Raises:
        ConfigError: Names the setting, its value and what is allowed.
    """

    directory: str = setting("bags", "Folder in which each recording gets a folder of its own.")
    frames: str = setting(
        "jpeg+used",
        "Pictures: raw: all, uncompressed (28 MB/s at 640x480, 30 Hz); jpeg: all, compressed, "
        "so that a replay differs in the last digits; used: those that chunks were planned from, "
        "uncompressed (one camera only); jpeg+used: both.",
        choices=FRAMES,
    )
    exclude: tuple[str, ...] = setting(
        ("/adp/overlay", "/parameter_events"), "Topics that are not recorded."
    )
    compression: str = setting(
        "none", "Compression of the file's chunks.", choices=("none", "lz4", "zstd")
    )
    flush_period: float = setting(
        0.5, "What is older than this is on its way to the disk.", unit="s", low=0.05, high=1.0
    )
    min_free_space: float = setting(
        2.0, "Recording ends in order when less is left on the disk.", unit="GB", low=0.05, high=1e4
    )
    queue_size: int = setting(
        256, "Messages that wait for the disk; more are dropped.", unit="MB", low=8, high=16384
    )
    frame_memory: int = setting(256, "Pictures that wait to be used.", unit="MB", low=8, high=16384)
    nice: int = setting(5, "Nice value: recording yields to the control loop.", low=0, high=19)
    launch: str = setting("", "Launch arguments as JSON, noted in the bag.")

    def __post_init__(self) -> None:
        check_settings(self)

    @property
    def records_raw(self) -> bool:
        """Every uncompressed picture."""
        return self.frames == "raw"

    @property
    def records_used(self) -> bool:
        """The uncompressed pictures that chunks were planned from."""
        return self.frames in ("used", "jpeg+used")

    @property
    def records_jpeg(self) -> bool:
        """Every compressed picture."""
        return self.frames in ("jpeg", "jpeg+used")


@dataclass(frozen=True, slots=True)
class Record:
    """One serialized message; times in [ns]."""

    topic: str
    data: bytes
    log_time: int
    publish_time: int

    @property
    def stamp(self) -> bytes:
        """The stamp as it is, of a message that begins with a header: seconds, nanoseconds."""
        return self.data[4:12]


class UsedFrames:
    """Newest pictures by stamp; the oldest are forgotten where they take more bytes."""

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._held: OrderedDict[tuple[bytes, str], Record] = OrderedDict()  # by stamp and topic
        self._bytes = 0
        self._taken: set[bytes] = set()
        self._waiting: set[bytes] = set()

    @property
    def missed(self) -> int:
        """Chunks whose picture has not come, or was forgotten before the chunk came."""
        return len(self._waiting)

    def hold(self, picture: Record) -> bool:
        """Take a picture; True when its chunk has come before it, so that it is to be written."""
        stamp, key = picture.stamp, (picture.stamp, picture.topic)
        if stamp in self._waiting:
            self._waiting.remove(stamp)
            self._taken.add(stamp)
            return True
        if key not in self._held and stamp not in self._taken:
            self._held[key] = picture
            self._bytes += len(picture.data)
        while self._bytes > self._memory:
            self._bytes -= len(self._held.popitem(last=False)[1].data)
        return False

    def take(self, chunk: Record) -> list[Record]:
        """Return the pictures that a chunk was planned from, and let them go.

        A chunk that comes again has none left.
        """
        keys = [key for key in self._held if key[0] == chunk.stamp]
        found = [self._held.pop(key) for key in keys]
        self._bytes -= sum(len(picture.data) for picture in found)
        if found:
            self._taken.add(chunk.stamp)
        elif chunk.stamp not in self._taken:
            self._waiting.add(chunk.stamp)
        return found


_MB: Final = 2**20
_GB: Final = 1e9
_CLOSED: Final = "closed"


@dataclass(frozen=True, slots=True)
class Note:
    """One metadata record."""

    name: str
    values: Mapping[str, str]


_Item = Record | Note | TopicInfo


class Recorder:
    """The queue between the node and the disk, and what became of the recording.

    Args:
        writer: The bag.
        settings: Limits.
        free_space: Returns the bytes that the disk has left.
    """

    def __init__(
        self, writer: BagWriter, settings: RecordSettings, free_space: Callable[[], int]
    ) -> None:
        self._writer = writer
        self._settings = settings
        self._free_space = free_space
        self._used = UsedFrames(settings.frame_memory * _MB) if settings.records_used else None
        self._pictures: set[str] = set()
        self._lock = threading.Lock()
        self._queue: deque[_Item] = deque()
        self._queued = 0  # bytes
        self._flushed = 0.0
        self._free = free_space()
        self.received = 0
        self.dropped = 0
        self.notes = 0
        self.ended = ""

    @property
    def failed(self) -> bool:
        """True when the recording ended before it was asked to."""
        return self.ended not in ("", _CLOSED)

    def put(self, item: _Item) -> None:
        """Take something to write; a message is dropped when too much waits already."""
        with self._lock:
            if self.ended:
                return
            if isinstance(item, Record):
                self.received += 1
                if self._queued + len(item.data) > self._settings.queue_size * _MB:
                    self.dropped += 1
                    return
                self._queued += len(item.data)
            self._queue.append(item)

    def step(self, now: float) -> None:
        """Write what waits; called in a loop by the writing thread.

        Args:
            now: Time in [s], not going back.
        """
        with self._lock:
            items, self._queue, self._queued = self._queue, deque(), 0
        if self.ended:
            return
        try:
            for item in items:
                self._write(item)
            if now - self._flushed >= self._settings.flush_period:
                self._flushed = now
                self._flush()
        except OSError as error:
            self._end(f"writing failed: {error.strerror}")
            self._writer.abandon()

    def close(self) -> None:
        """Write what waits and finish the bag; nothing is taken afterwards."""
        if self.ended:
            return
        try:
            for item in self._queue:
                self._write(item)
            self._end(_CLOSED)
            self._writer.close()
        except OSError as error:
            self._end(f"writing failed: {error.strerror}")
            self._writer.abandon()

    def health(self) -> Health:
        """Say how the recording goes, with size and counts."""
        missed = 0 if self._used is None else self._used.missed
        values: dict[str, Value] = {
            "bag": str(self._writer.directory),
            "size_mb": self._writer.size / 1e6,
            "free_space_gb": self._free / _GB,
            "topics": len(self._writer.topics),
            "notes": self.notes,
            "received": self.received,
            "written": sum(self._writer.counts.values()),
            "pictures": sum(self._writer.counts[name] for name in [*self._pictures]),
            "dropped": self.dropped,
            "frames_missed": missed,
            "queue_mb": self._queued / _MB,
        }
        if self.failed:
            return Health(Level.ERROR, f"recording ended: {self.ended}", values)
        if self.dropped or missed:
            text = f"{self.dropped} messages dropped, {missed} used pictures missed"
            return Health(Level.WARN, text, values)
        return Health(Level.OK, f"recording, {self._writer.size / 1e6:.1f} MB", values)

    def _write(self, item: _Item) -> None:
        if isinstance(item, TopicInfo):
            self._writer.add_topic(item)
            if item.type_name == PICTURE_TYPE:
                self._pictures.add(item.name)
        elif isinstance(item, Note):
            self._writer.add_note(item.name, item.values)
            self.notes += 1
        elif self._used is None or item.topic not in self._pictures:
            self._write_record(item)
            if self._used is not None and item.topic == CHUNK_TOPIC:
                for picture in self._used.take(item):
                    self._write_record(picture)
        elif self._used.hold(item):
            self._write_record(item)

    def _write_record(self, item: Record) -> None:
        self._writer.write(item.topic, item.data, item.log_time, item.publish_time)

    def _flush(self) -> None:
        self._writer.flush()
        self._free = self._free_space()
        if self._free < self._settings.min_free_space * _GB:
            self._end(
                f"{self._free / _GB:.2f} GB left on the disk, "
                f"min_free_space is {self._settings.min_free_space:g} GB"
            )
            self._writer.close()

    def _end(self, reason: str) -> None:
        with self._lock:
            self.ended = reason
            self._queue.clear()
            self._queued = 0
