"""What of a bag is played into running nodes, and when."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final, NamedTuple

from ..control.safety_machine import Status
from ..errors import BagError
from .bag_reader import BagReader, Stored, problem_words
from .bag_topics import JPEG_SUFFIX, JPEG_TYPE, PICTURE_TYPE, SAFETY_TOPIC, TopicInfo
from .contents import is_of_driver
from .pictures import stamp_of

CLOCK: Final = "/clock"
_CAMERA: Final = ("sensor_msgs/msg/CameraInfo", PICTURE_TYPE, JPEG_TYPE)


class Operation(Enum):
    """What is done with a message."""

    SEND = auto()
    UNPACK = auto()  # a JPEG without uncompressed twin in the bag: sent, and uncompressed as well
    START = auto()  # the recorded arm began to move here


class Scheduled(NamedTuple):
    """One message and its time.

    Attributes:
        due: In [s] since the beginning; never goes back.
        message: Where it lies.
        operation: What is done with it.
    """

    due: float
    message: Stored
    operation: Operation = Operation.SEND


@dataclass(frozen=True, slots=True)
class Schedule:
    """What is played, in order, the topics by name, and in words what can't be played."""

    messages: Sequence[Scheduled]
    topics: Mapping[str, TopicInfo]
    problems: Sequence[str]

    @property
    def duration(self) -> float:
        """From the first to the last message, in [s]."""
        return self.messages[-1].due

    @property
    def starts(self) -> int:
        """How often the recorded arm began to move."""
        return sum(scheduled.operation is Operation.START for scheduled in self.messages)


def is_sensed(topic: TopicInfo) -> bool:
    """Tell whether a topic comes from camera or arm: what running nodes don't publish."""
    if topic.type_name in _CAMERA:
        return not topic.name.startswith("/adp/")
    return is_of_driver(topic.name)


def is_any(topic: TopicInfo) -> bool:
    """Take every topic, but for the clock: the player makes its own."""
    return topic.name != CLOCK


def read_schedule(
    reader: BagReader, wanted: Callable[[TopicInfo], bool], refused: Callable[[TopicInfo], str]
) -> Schedule:
    """Put what is to be played in order.

    Args:
        reader: The bag.
        wanted: Tells whether a topic is asked for.
        refused: Says why a topic that is asked for can't be played, empty when it can.

    Raises:
        BagError: There is nothing to play.
    """
    asked = [topic for topic in reader.topics.values() if wanted(topic)]
    reasons = {topic.name: refused(topic) for topic in asked}
    topics = {topic.name: topic for topic in asked if not reasons[topic.name]}
    starts, unusable = _starts(reader)
    problems = [*reader.problems, *unusable, *(text for text in reasons.values() if text)]
    sent = [*reader.stored(lambda topic: topic.name in topics)]
    if not sent:
        names = ", ".join(sorted(reader.topics)) or "none"
        why = "; ".join(problems)
        raise BagError(f"nothing to play; topics: {names}" + (f"; {why}" if why else ""))
    unpacked = _without_picture(reader, sent)
    begun = min(stored.elapsed for stored in (*starts[:1], sent[0]))

    def scheduled(stored: Stored, operation: Operation) -> Scheduled:
        return Scheduled(1e-9 * (stored.elapsed - begun), stored, operation)

    messages = [scheduled(start, Operation.START) for start in starts]
    messages += [scheduled(s, Operation.UNPACK if s in unpacked else Operation.SEND) for s in sent]
    return Schedule(sorted(messages, key=lambda message: message.due), topics, problems)


def _starts(reader: BagReader) -> tuple[list[Stored], list[str]]:
    """Return the safety states with which the recorded arm began to move."""
    starts: list[Stored] = []
    moving = False

    def take(message: Any, stored: Stored) -> None:
        nonlocal moving
        before, moving = moving, Status(int(message.status)).moving
        if moving and not before:
            starts.append(stored)

    unusable = reader.decode({SAFETY_TOPIC: take})
    return starts, problem_words(unusable)


def _without_picture(reader: BagReader, sent: Sequence[Stored]) -> set[Stored]:
    """Return the JPEGs whose picture is not sent uncompressed as well."""
    stamps: set[tuple[str, int]] = set()
    jpegs: list[tuple[Stored, tuple[str, int]]] = []
    for stored in sent:
        kind = reader.topics[stored.topic].type_name
        if kind not in (PICTURE_TYPE, JPEG_TYPE):
            continue
        try:
            key = stored.topic.removesuffix(JPEG_SUFFIX), stamp_of(reader.beginning(stored))
        except BagError:  # it is no picture; it is sent as it is
            continue
        if kind == PICTURE_TYPE:
            stamps.add(key)
        elif stored.topic.endswith(JPEG_SUFFIX):
            jpegs.append((stored, key))
    return {stored for stored, key in jpegs if key not in stamps}
