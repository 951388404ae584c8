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
        self.missed = 0

    def hold(self, topic: str, data: bytes, log_time: int, publish_time: int) -> None:
        """Take a picture."""
        key = (stamp_key(data), topic)
        if key in self._held:
            return
        self._held[key] = (data, log_time, publish_time)
        self._bytes += len(data)
        while self._bytes > self._memory:
            _, (oldest, _, _) = self._held.popitem(last=False)
            self._bytes -= len(oldest)

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
            self.missed += 1
        return found
