"""Pictures of a bag: found by stamp or by time, read only when they are asked for."""

import struct
from bisect import bisect_right
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import numpy as np
import simplejpeg

from ..errors import BagError
from ..types import Rgb
from .bag_reader import BagReader, Decoder, Place, Stored

Item = TypeVar("Item")


def one_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Yield the items in their order; each is made in a second thread, one early.

    An error of the items comes where the item would have come. Items are made one after the
    other, never after this generator has been closed.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="read-ahead") as pool:
        coming = pool.submit(_next, items)
        while made := coming.result():
            coming = pool.submit(_next, items)
            yield made[0]


def _next(items: Iterator[Item]) -> tuple[Item, ...]:
    """Return the next item, nothing at the end."""
    for item in items:
        return (item,)
    return ()


JPEG_SUFFIX: Final = "/compressed"
_STAMP: Final = struct.Struct("<iI")
_HEADER_AT: Final = 4  # after the encapsulation
_SECOND: Final = 1_000_000_000


def stamp_of(data: bytes | memoryview) -> int:
    """Return the stamp of a serialized message that begins with a header, in [ns].

    Raises:
        BagError: The message is too short for one.
    """
    if len(data) < _HEADER_AT + _STAMP.size:
        raise BagError(f"a message of {len(data)} bytes has no header")
    sec, nanosec = _STAMP.unpack_from(data, _HEADER_AT)
    return int(sec) * _SECOND + int(nanosec)


def rgb_from_jpeg(data: bytes, topic: str) -> Rgb:
    """Unpack a JPEG picture of a topic. Shape (H, W, 3).

    Raises:
        BagError: It is none.
    """
    try:
        return np.asarray(simplejpeg.decode_jpeg(data, colorspace="RGB"))
    except ValueError as error:
        raise BagError(f"{topic}: a picture is no JPEG: {error}") from error


@dataclass(slots=True)
class PictureIndex:
    """Where pictures lie: topic -> stamp -> place, and their arrivals in order."""

    by_stamp: dict[str, dict[int, Place]] = field(default_factory=dict)
    arrivals: dict[str, list[tuple[int, int]]] = field(default_factory=dict)

    def note(self, stored: Stored) -> None:
        """Take note of a picture.

        Raises:
            BagError: The message is none.
        """
        stamp = stamp_of(stored.data)
        self.by_stamp.setdefault(stored.topic, {})[stamp] = stored.place
        self.arrivals.setdefault(stored.topic, []).append((stored.log_time, stamp))

    def newest(self, topic: str, time: int) -> int | None:
        """Return the stamp of the newest picture that had arrived at a time [ns]."""
        arrivals = self.arrivals.get(topic, [])
        at = bisect_right(arrivals, (time, 2**63))
        return arrivals[at - 1][1] if at else None


class Pictures:
    """Reads the pictures of one topic, uncompressed where they are, else JPEG.

    Args:
        reader: The bag, read through once.
        index: Its pictures.
        to_rgb: Unpacks a sensor_msgs/Image.
    """

    def __init__(
        self, reader: BagReader, index: PictureIndex, to_rgb: Callable[[Any], Rgb]
    ) -> None:
        self._reader = reader
        self._index = index
        self._to_rgb = to_rgb
        self._decoders: dict[str, Decoder] = {}
        self.lossy = 0

    def read(self, topic: str, stamp: int) -> Rgb | None:
        """Return the picture of a stamp in [ns], None when the bag does not have it.

        Raises:
            BagError: It can't be decoded.
            ObservationError: Its encoding is unknown.
        """
        place = self._index.by_stamp.get(topic, {}).get(stamp)
        if place is not None:
            return self._to_rgb(self._decode(topic, place))
        jpeg_topic = topic + JPEG_SUFFIX
        place = self._index.by_stamp.get(jpeg_topic, {}).get(stamp)
        if place is None:
            return None
        message = self._decode(jpeg_topic, place)
        self.lossy += 1
        return rgb_from_jpeg(message.data.tobytes(), jpeg_topic)

    def newest(self, topic: str, time: int) -> Rgb | None:
        """Return the newest picture that had arrived at a time in [ns]."""
        stamp = self._index.newest(topic, time)
        if stamp is None:
            stamp = self._index.newest(topic + JPEG_SUFFIX, time)
        return None if stamp is None else self.read(topic, stamp)

    def _decode(self, topic: str, place: Place) -> Any:
        if topic not in self._decoders:
            self._decoders[topic] = Decoder(self._reader.topics[topic])
        return self._decoders[topic].decode(self._reader.fetch(place))
