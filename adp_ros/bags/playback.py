"""What of a bag is played into running nodes, and when."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import groupby
from typing import Final, NamedTuple

from ..control.safety_machine import Status
from ..errors import BagError
from .bag_reader import BagReader, Decoder, Place, Stored
from .bag_writer import TopicInfo
from .contents import NANO
from .pictures import JPEG_SUFFIX, stamp_of

CLOCK: Final = "/clock"
_SAFETY: Final = "/adp/safety_state"
_RAW: Final = "sensor_msgs/msg/Image"
_JPEG: Final = "sensor_msgs/msg/CompressedImage"
_SENSED: Final = re.compile(r"^/\w+_driver/out/\w+$")
_BACK: Final = 1_000_000_000  # [ns]; going back by more is a clock that was set
PICTURE_TYPES: Final = (_RAW, _JPEG)
_CAMERA: Final = ("sensor_msgs/msg/CameraInfo", *PICTURE_TYPES)


class Act(Enum):
    """What is done with a message."""

    SEND = auto()
    UNPACK = auto()  # a JPEG without uncompressed twin in the bag: sent, and uncompressed as well
    START = auto()  # the recorded arm began to move here


class Timed(NamedTuple):
    """One message to play.

    Attributes:
        part: Number of times that the recording's clock had been set back before it.
        arrival: When it was there, in [ns].
        topic: Its topic.
        place: Where it lies in the bag.
        act: What is done with it.
    """

    part: int
    arrival: int
    topic: str
    place: Place
    act: Act = Act.SEND


@dataclass(frozen=True, slots=True)
class Cue:
    """One message and its time.

    Attributes:
        due: In [s] since the beginning; never goes back.
        message: The message.
    """

    due: float
    message: Timed


@dataclass(frozen=True, slots=True)
class Score:
    """What is played, in order.

    Attributes:
        cues: The messages.
        topics: That are played, by name.
        problems: What is wrong with the bag or can't be played, in words.
    """

    cues: Sequence[Cue]
    topics: Mapping[str, TopicInfo]
    problems: Sequence[str]

    @property
    def duration(self) -> float:
        """From the first to the last message, in [s]."""
        return self.cues[-1].due

    @property
    def starts(self) -> int:
        """How often the recorded arm began to move."""
        return sum(cue.message.act is Act.START for cue in self.cues)


def is_sensed(topic: TopicInfo) -> bool:
    """Tell whether a topic comes from camera or arm: what running nodes don't publish."""
    if topic.type_name in _CAMERA:
        return not topic.name.startswith("/adp/")
    return _SENSED.match(topic.name) is not None


def is_any(topic: TopicInfo) -> bool:
    """Take every topic, but for the clock, which is made anew."""
    return topic.name != CLOCK


def read_score(
    reader: BagReader, wanted: Callable[[TopicInfo], bool], refused: Callable[[TopicInfo], str]
) -> Score:
    """Read through a bag and put what is to be played in order.

    Args:
        reader: The bag.
        wanted: Tells whether a topic is asked for.
        refused: Says why a topic that is asked for can't be played, empty when it can.

    Raises:
        BagError: There is nothing to play.
    """
    found = _Found(wanted, refused)
    for stored in reader.messages(lambda topic: found.takes(topic) or topic.name == _SAFETY):
        try:
            found.take(stored, reader)
        except (BagError, ValueError) as error:
            found.skip(stored.topic, str(error))
    problems = [*reader.problems, *found.problems]
    if not found.topics:
        names = ", ".join(sorted(reader.topics)) or "none"
        why = "; ".join(problems)
        raise BagError(f"nothing to play; topics: {names}" + (f"; {why}" if why else ""))
    return Score(_cues(found.marked()), found.topics, problems)


def _cues(messages: Iterable[Timed]) -> list[Cue]:
    """Put messages in order; where the clock was set back, time goes on from there."""
    cues: list[Cue] = []
    for _, group in groupby(sorted(messages, key=_order), key=lambda message: message.part):
        part = [*group]
        begun = cues[-1].due if cues else 0.0
        cues += [Cue(begun + (m.arrival - part[0].arrival) * NANO, m) for m in part]
    return cues


def _order(message: Timed) -> tuple[int, int]:
    return message.part, message.arrival


class _Found:
    """Sorts messages out while a bag is read."""

    def __init__(
        self, wanted: Callable[[TopicInfo], bool], refused: Callable[[TopicInfo], str]
    ) -> None:
        self._wanted = wanted
        self._refused = refused
        self.topics: dict[str, TopicInfo] = {}
        self.problems: list[str] = []
        self.messages: list[Timed] = []
        self._stamps: dict[str, set[int]] = {}  # of uncompressed pictures
        self._jpegs: dict[int, int] = {}  # number of the message -> stamp
        self._safety: Decoder | None = None
        self._moving = False
        self._part = 0
        self._latest = 0

    def takes(self, topic: TopicInfo) -> bool:
        """Tell whether a topic is played; why it can't be is noted."""
        if not self._wanted(topic):
            return False
        problem = self._refused(topic)
        if problem and problem not in self.problems:
            self.problems.append(problem)
        if not problem:
            self.topics[topic.name] = topic
        return not problem

    def take(self, stored: Stored, reader: BagReader) -> None:
        """Take a message as it lies in the bag."""
        topic = reader.topics[stored.topic]
        if topic.type_name not in PICTURE_TYPES:  # pictures may have been written late
            self._part += self._latest - stored.time > _BACK
            self._latest = stored.time
        if stored.topic == _SAFETY and self._begins(stored, topic):
            self._add(stored, Act.START)
        if stored.topic not in self.topics:
            return
        if topic.type_name == _RAW:
            self._stamps.setdefault(topic.name, set()).add(stamp_of(stored.data))
        elif topic.type_name == _JPEG and topic.name.endswith(JPEG_SUFFIX):
            self._jpegs[len(self.messages)] = stamp_of(stored.data)
        self._add(stored, Act.SEND)

    def skip(self, topic: str, problem: str) -> None:
        """Take note of a message that can't be read."""
        text = f"a message is skipped, {topic}: {problem}"
        if text not in self.problems:
            self.problems.append(text)

    def marked(self) -> list[Timed]:
        """Return the messages, JPEGs without an uncompressed twin marked."""
        marked = [*self.messages]
        for number, stamp in self._jpegs.items():
            topic = marked[number].topic.removesuffix(JPEG_SUFFIX)
            if stamp not in self._stamps.get(topic, ()):
                marked[number] = marked[number]._replace(act=Act.UNPACK)
        return marked

    def _add(self, stored: Stored, act: Act) -> None:
        self.messages.append(Timed(self._part, stored.time, stored.topic, stored.place, act))

    def _begins(self, stored: Stored, topic: TopicInfo) -> bool:
        if self._safety is None:
            self._safety = Decoder(topic)
        before = self._moving
        self._moving = Status(int(self._safety.decode(stored.data).status)).moving
        return self._moving and not before
