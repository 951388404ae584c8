"""One pass over a bag for what its controller saw: samples of the arm, safety states, chunks."""

import re
from collections.abc import Callable, Sequence
from typing import Final

from ..errors import BagError
from .bag_reader import BagReader, Stored
from .contents import RecordedWindow
from .decode import Decoder, Packed
from .timeline import Event, Kind, in_order
from .topic import TopicInfo

DRIVER_TOPIC: Final = re.compile(r"^/(\w+)_driver/out/(\w+)$")
SAFETY_TOPIC: Final = "/adp/safety_state"
ARM_KINDS: Final = {kind.value: kind for kind in Kind if kind not in (Kind.SAFETY, Kind.CHUNK)}
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


class _Scan:
    def __init__(self, robot_type: str, windows: Sequence[RecordedWindow]) -> None:
        self.events: list[Event] = []
        self._robot_type = robot_type
        self._windows = windows
        self._window = 0
        self._takers: dict[str, Callable[[Stored], None]] = {}

    def wants(self, topic: TopicInfo) -> bool:
        """Tell whether a topic is read; those that can't be were named by the first pass."""
        if topic.name == _CHUNK_TOPIC:
            self._takers[topic.name] = self._take_chunk
            return True
        kind = self._kind(topic.name)
        if kind is None:
            return False
        try:
            self._takers[topic.name] = self._packing(kind, Decoder(topic))
        except BagError:
            return False
        return True

    def take(self, stored: Stored) -> None:
        """Take one message."""
        self._takers[stored.topic](stored)

    def _kind(self, name: str) -> Kind | None:
        if name == SAFETY_TOPIC:
            return Kind.SAFETY
        driver = DRIVER_TOPIC.match(name)
        if driver is None or driver[1] != self._robot_type:
            return None
        return ARM_KINDS.get(driver[2])

    def _packing(self, kind: Kind, decoder: Decoder) -> Callable[[Stored], None]:
        def take(stored: Stored) -> None:
            self.events.append(Event(kind, stored.time, Packed(decoder, bytes(stored.data))))

        return take

    def _take_chunk(self, stored: Stored) -> None:
        """Find the chunk's window; a chunk that could not be read has none."""
        at = self._window
        if at < len(self._windows) and self._windows[at].arrival == stored.time:
            self.events.append(Event(Kind.CHUNK, stored.time, at))
            self._window += 1
