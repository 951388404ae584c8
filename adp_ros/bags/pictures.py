"""Pictures of a bag: found by stamp or by time, read only when they are asked for."""

import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import numpy as np
import simplejpeg

from ..errors import BagError
from ..types import Rgb
from .bag_reader import BagReader, Stored
from .bag_topics import JPEG_SUFFIX, JPEG_TYPE, PICTURE_TYPE

Item = TypeVar("Item")
ToRgb = Callable[[Any], Rgb]
"""Unpacks a sensor_msgs/Image."""


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


_STAMP: Final = struct.Struct("<iI")
_HEADER_AT: Final = 4  # after the encapsulation


def stamp_of(data: bytes | memoryview) -> int:
    """Return the stamp of a serialized message that begins with a header, in [ns].

    Raises:
        BagError: The message is too short for one.
    """
    if len(data) < _HEADER_AT + _STAMP.size:
        raise BagError(f"a message of {len(data)} bytes has no header")
    sec, nanosec = _STAMP.unpack_from(data, _HEADER_AT)
    return int(sec) * 1_000_000_000 + int(nanosec)


def rgb_from_jpeg(data: bytes, topic: str) -> Rgb:
    """Unpack a JPEG picture of a topic. Shape (H, W, 3).

    Raises:
        BagError: It is none.
    """
    try:
        return np.asarray(simplejpeg.decode_jpeg(data, colorspace="RGB"))
    except ValueError as error:
        raise BagError(f"{topic}: a picture is no JPEG: {error}") from error


class Pictures:
    """The pictures of a bag, uncompressed where they are, else JPEG.

    Attributes:
        problems: What is wrong with them, in words.
        lossy: How many were read that are not as they were.

    Args:
        reader: The bag.
        to_rgb: Unpacks a sensor_msgs/Image.
    """

    def __init__(self, reader: BagReader, to_rgb: ToRgb) -> None:
        self._reader = reader
        self._to_rgb = to_rgb
        self._places: dict[tuple[str, int], list[Stored]] = {}  # by topic and stamp
        self.lossy = 0
        unreadable = 0
        for stored in reader.stored(lambda topic: topic.type_name in (PICTURE_TYPE, JPEG_TYPE)):
            try:
                stamp = stamp_of(reader.beginning(stored))
            except BagError:
                unreadable += 1
                continue
            self._places.setdefault((stored.topic, stamp), []).append(stored)
        self.problems = [] if self._places else ["there are no pictures"]
        if doubtful := sum(len(found) > 1 for found in self._places.values()):
            several = "stamps belong to several pictures: the newest that had come is taken"
            self.problems.append(f"{doubtful} {several}")
        if self._places and unreadable:
            self.problems.append(f"{unreadable} pictures have no header and are not used")

    def read(self, topic: str, stamp: int, elapsed: int) -> Rgb | None:
        """Return the picture of a stamp, None when the bag does not have it.

        Args:
            topic: Of the uncompressed pictures.
            stamp: In [ns].
            elapsed: When it was used, since the bag's first message in [ns]: of several pictures
                with one stamp the newest that had come is taken.

        Raises:
            BagError: It can't be decoded.
            ObservationError: Its encoding is unknown.
        """
        for name in (topic, topic + JPEG_SUFFIX):
            if places := self._places.get((name, stamp)):
                come = [stored for stored in places if stored.elapsed <= elapsed]
                return self._unpack(come[-1] if come else places[0])
        return None

    def newest(self, topic: str, elapsed: int) -> Rgb | None:
        """Return the newest picture that had come at a time since the bag's first message [ns]."""
        for name in (topic, topic + JPEG_SUFFIX):
            if (stored := self._reader.newest(name, elapsed)) is not None:
                return self._unpack(stored)
        return None

    def _unpack(self, stored: Stored) -> Rgb:
        message = self._reader.decoder(stored.topic).decode(self._reader.data(stored))
        if self._reader.topics[stored.topic].type_name == PICTURE_TYPE:
            return self._to_rgb(message)
        self.lossy += 1
        return rgb_from_jpeg(message.data.tobytes(), stored.topic)
