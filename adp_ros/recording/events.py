"""One pass over a bag for what its controller saw: samples of the arm, safety states, chunks."""

import re
from collections.abc import Sequence
from typing import Final

from ..errors import BagError
from .bag_reader import BagReader, Stored
from .contents import RecordedWindow
from .decode import Decoder, Packed
from .timeline import Event, Kind, in_order
from .topic import TopicInfo

DRIVER_TOPIC: Final = re.compile(r"^/(\w+)_driver/out/(\w+)$")
_SAFETY_TOPIC: Final = "/adp/safety_state"
_ARM_KINDS: Final = {kind.value: kind for kind in Kind if kind not in (Kind.SAFETY, Kind.CHUNK)}
_CHUNK_TOPIC: Final = "/adp/action_chunk"


def read_events(
    reader: BagReader, robot_type: str, windows: Sequence[RecordedWindow]
) -> list[Event]:
    """Read a bag through; messages are decoded later, where they are used.

    Args:
        reader: The bag.
        robot_type: Of the driver whose samples are wanted.
        windows: The bag's windows; the event of a chunk tells the number of its window in them.

    Returns:
        What happened, in order.
    """
    scan = _Scan(robot_type, windows)
    for stored in reader.messages(scan.wants):
        scan.take(stored)
    return in_order(scan.events)


def kind_on(topic: str) -> Kind | None:
    """Return what the controller gets on a topic: of the driver of any arm, or of itself."""
    if topic == _SAFETY_TOPIC:
        return Kind.SAFETY
    driver = DRIVER_TOPIC.match(topic)
    return None if driver is None else _ARM_KINDS.get(driver[2])


class _Scan:
    def __init__(self, robot_type: str, windows: Sequence[RecordedWindow]) -> None:
        self.events: list[Event] = []
        self._robot_type = robot_type
        self._windows = windows
        self._window = 0
        self._sources: dict[str, tuple[Kind, Decoder]] = {}

    def wants(self, topic: TopicInfo) -> bool:
        """Tell whether a topic is read; those that can't be were named by the first pass."""
        if topic.name == _CHUNK_TOPIC:
            return True
        kind, driver = kind_on(topic.name), DRIVER_TOPIC.match(topic.name)
        if kind is None or (driver is not None and driver[1] != self._robot_type):
            return False
        try:
            self._sources[topic.name] = kind, Decoder(topic)
        except BagError:
            return False
        return True

    def take(self, stored: Stored) -> None:
        """Take one message."""
        if stored.topic == _CHUNK_TOPIC:
            self._take_chunk(stored)
            return
        kind, decoder = self._sources[stored.topic]
        self.events.append(Event(kind, stored.time, Packed(decoder, bytes(stored.data))))

    def _take_chunk(self, stored: Stored) -> None:
        """Find the chunk's window; a chunk that could not be read has none."""
        at = self._window
        if at < len(self._windows) and self._windows[at].arrival == stored.time:
            self.events.append(Event(Kind.CHUNK, stored.time, at))
            self._window += 1
