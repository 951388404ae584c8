"""Pictures held back until it is known which of them a chunk was planned from."""

from collections import OrderedDict
from typing import Final

_STAMP: Final = slice(4, 12)  # of a serialized message that begins with a header: seconds, ns
StampKey = bytes


def stamp_key(data: bytes) -> StampKey:
    """Return the stamp of a serialized message that begins with a header, as it is."""
    return data[_STAMP]


class UsedFrames:
    """Newest pictures by stamp, the oldest forgotten first.

    Args:
        memory: Bytes that they may take.
    """

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._held: OrderedDict[tuple[StampKey, str], tuple[bytes, int, int]] = OrderedDict()
        self._bytes = 0
        self._taken: set[StampKey] = set()
        self._waiting: set[StampKey] = set()

    @property
    def missed(self) -> int:
        """Chunks whose picture has not come, or was forgotten before the chunk came."""
        return len(self._waiting)

    def hold(self, topic: str, data: bytes, log_time: int, publish_time: int) -> bool:
        """Take a picture; True when its chunk has come before it, so that it is to be written."""
        stamp = stamp_key(data)
        if stamp in self._waiting:
            self._waiting.remove(stamp)
            self._taken.add(stamp)
            return True
        key = (stamp, topic)
        if key in self._held or stamp in self._taken:
            return False
        self._held[key] = (data, log_time, publish_time)
        self._bytes += len(data)
        while self._bytes > self._memory:
            _, (oldest, _, _) = self._held.popitem(last=False)
            self._bytes -= len(oldest)
        return False

    def take(self, chunk: bytes) -> list[tuple[str, bytes, int, int]]:
        """Return the pictures that a serialized chunk was planned from, and let them go.

        Each comes with its topic and times. A chunk that comes again has none left.
        """
        key = stamp_key(chunk)
        found = []
        for held in [entry for entry in self._held if entry[0] == key]:
            data, log_time, publish_time = self._held.pop(held)
            self._bytes -= len(data)
            found.append((held[1], data, log_time, publish_time))
        if found:
            self._taken.add(key)
        elif key not in self._taken:
            self._waiting.add(key)
        return found
