"""A bag for the replay of its windows, and the one pass that reads it."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from ..errors import BagError, ConfigError, ObservationError
from ..policies.conventions import ArmState
from ..policies.window import read_audit, read_decision
from ..robots.jaco2.interface import RADIANS_PER_TICK, robot_named
from ..robots.jaco2.kinematics import ROBOT_TYPES
from ..robots.jaco2.messages import joints_from_state, pose_from_message
from ..types import ACTION_SIZE, ActionConvention, Rgb
from .bag_reader import BagReader, Decoder, Packed, Stored
from .bag_writer import TopicInfo
from .contents import Contents, Event, Kind, RecordedWindow, WindowKey
from .events import DRIVER_TOPIC, kind_on, read_events
from .pictures import Pictures

_PARTS: Final = (Kind.POSE, Kind.JOINTS, Kind.FINGERS)


class ArmSamples:
    """Finds messages by time.

    Args:
        read: Returns the arm's events, in order; called at the first look.
        robot_type: Kinova's name of the arm.
    """

    def __init__(self, read: Callable[[], Sequence[Event]], robot_type: str) -> None:
        self._read = read
        self._robot_type = robot_type
        self._samples: dict[Kind, tuple[list[int], list[Packed]]] | None = None

    def state(self, time: int) -> ArmState:
        """Return the newest state that had arrived at a time in [ns].

        Raises:
            BagError: A message can't be decoded.
            ConfigError: The robot is unknown.
            ObservationError: A part of it was not recorded.
        """
        robot = robot_named(self._robot_type)
        newest = {kind: self._newest(kind, time) for kind in _PARTS}
        for kind, message in newest.items():
            if message is None:
                raise ObservationError(f"nothing was recorded on {robot.topic_out(kind.value)}")
        fingers = newest[Kind.FINGERS]
        ticks = np.array([fingers.finger1, fingers.finger2, fingers.finger3])
        return ArmState(
            pose_from_message(newest[Kind.POSE]),
            joints_from_state(newest[Kind.JOINTS], robot),
            RADIANS_PER_TICK * ticks[: robot.fingers],
        )

    def _newest(self, kind: Kind, time: int) -> Any:
        if self._samples is None:
            self._samples = self._sorted()
        arrivals, messages = self._samples[kind]
        at = bisect_right(arrivals, time)
        return messages[at - 1].unpack() if at else None

    def _sorted(self) -> dict[Kind, tuple[list[int], list[Packed]]]:
        samples: dict[Kind, tuple[list[int], list[Packed]]] = {kind: ([], []) for kind in _PARTS}
        for event in self._read():
            if event.kind in samples:
                arrivals, messages = samples[event.kind]
                arrivals.append(event.arrival)
                messages.append(event.value)
        return samples


_PICTURES: Final = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
_NEEDED: Final = ("/adp/chunk_request", "/adp/gate_state", "/adp/prune_state", "/adp/safety_state")


def read_contents(reader: BagReader) -> Contents:
    """Read a bag through.

    Raises:
        BagError: There is no chunk in it: nothing can be replayed.
    """
    scan = _Scan()
    for stored in reader.messages(scan.wants):
        scan.take(stored)
    contents = scan.contents
    contents.notes = reader.notes
    contents.problems = [*reader.problems, *scan.problems()]
    if not contents.windows:
        names = ", ".join(sorted(reader.topics)) or "none"
        why = "; ".join(contents.problems)
        raise BagError(
            "nothing to replay: the bag has no chunk on /adp/action_chunk; topics: "
            f"{names}" + (f"; {why}" if why else "")
        )
    return contents


class _Scan:
    """Sorts messages into the contents."""

    def __init__(self) -> None:
        self.contents = Contents()
        self._decoders: dict[str, Decoder] = {}
        self._refused: dict[str, str] = {}
        self._unreadable: dict[str, int] = {}
        self._measured: dict[int, tuple[float, float]] = {}
        self._robots: set[str] = set()
        self._turns: Counter[tuple[str, int]] = Counter()
        self._takers: Mapping[str, Callable[[Any, Stored], None]] = {
            "/adp/action_chunk": self._take_chunk,
            "/adp/chunk_request": self._take_request,
            "/adp/gate_state": self._take_gate,
            "/adp/prune_state": self._take_audit,
            "/adp/latency": self._take_latency,
            "/adp/policy_state": self._take_state,
        }

    def wants(self, topic: TopicInfo) -> bool:
        """Tell whether a topic is read; a version of it that can't be is noted."""
        if topic.type_name in _PICTURES:
            return True
        driver = DRIVER_TOPIC.match(topic.name)
        if driver is not None:
            self._robots.add(driver[1])
        for_controller = kind_on(topic.name) is not None
        if not for_controller and topic.name not in self._takers:
            return False
        try:
            self._decoders[topic.name] = Decoder(topic)
        except BagError as error:
            self._refused[topic.name] = str(error)
            return False
        return not for_controller

    def take(self, stored: Stored) -> None:
        """Take one message; one that can't be read is counted."""
        try:
            self._take(stored)
        except (BagError, ConfigError, ValueError) as error:
            count = self._unreadable.setdefault(f"{stored.topic}: {error}", 0)
            self._unreadable[f"{stored.topic}: {error}"] = count + 1

    def problems(self) -> list[str]:
        """Return what was refused, unreadable or missing."""
        found = [*self._refused.values()]
        found += [f"{count} messages skipped, {text}" for text, count in self._unreadable.items()]
        missing = [n for n in _NEEDED if n not in self._decoders and n not in self._refused]
        found += [f"topic {name} is missing" for name in missing]
        contents = self.contents
        if not contents.pictures.by_stamp:
            found.append("there are no pictures")
        known = sorted(self._robots & set(ROBOT_TYPES))
        found += [
            f"driver of {name}: not a robot that is supported ({', '.join(ROBOT_TYPES)})"
            for name in sorted(self._robots - set(ROBOT_TYPES))
        ]
        if len(known) > 1:
            found.append(f"drivers of several robots: {', '.join(known)}; {known[0]} is replayed")
        contents.robot_type = known[0] if known else ""
        if not known:
            found.append("there are no topics of the arm's driver")
        return found

    def _take(self, stored: Stored) -> None:
        if stored.topic not in self._decoders:
            self.contents.pictures.note(stored)
            return
        message = self._decoders[stored.topic].decode(stored.data)
        self._takers[stored.topic](message, stored)

    def _take_chunk(self, message: Any, stored: Stored) -> None:
        numbers = len(message.actions)
        if numbers == 0 or numbers % ACTION_SIZE:
            raise BagError(f"chunk has {numbers} numbers, a multiple of {ACTION_SIZE} is needed")
        window = int(message.window)
        recorded = RecordedWindow(
            window=window,
            stamp=_ns(message.header.stamp),
            arrival=stored.time,
            actions=np.array(message.actions, dtype=np.float64).reshape(-1, ACTION_SIZE),
            step_period=float(message.step_period),
            convention=ActionConvention(
                message.translation_frame, message.rotation_frame, message.rotation
            ),
            pruned=bool(message.pruned),
            policy=str(message.policy),
            measured=self._measured.get(window, (np.nan, np.nan)),
            turn=self._key(message, stored)[1],
        )
        self.contents.windows.append(recorded)

    def _take_request(self, message: Any, _: Stored) -> None:
        motion = (float(message.measured_path), float(message.measured_net))
        self._measured[int(message.window)] = motion

    def _take_gate(self, message: Any, _: Stored) -> None:
        key = (_ns(message.header.stamp), int(message.window))
        self.contents.gates[key] = read_decision(message)

    def _take_audit(self, message: Any, stored: Stored) -> None:
        self.contents.audits[self._key(message, stored)] = read_audit(message)

    def _take_latency(self, message: Any, stored: Stored) -> None:
        self.contents.frame_ages[self._key(message, stored)] = 1e-3 * float(message.frame_age)

    def _take_state(self, message: Any, stored: Stored) -> None:
        state = np.array(message.position, dtype=np.float64)
        self.contents.states[self._key(message, stored)] = state

    def _key(self, message: Any, stored: Stored) -> WindowKey:
        """Return picture and turn of the window that a message is about.

        A late chunk may be followed by a request before the next picture has come: then two
        windows have the same picture, and everything about them comes in their order.
        """
        stamp = _ns(message.header.stamp)
        turn = self._turns[stored.topic, stamp]
        self._turns[stored.topic, stamp] += 1
        return stamp, turn


def _ns(stamp: Any) -> int:
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


@dataclass(frozen=True, slots=True)
class Bag:
    """A bag.

    Attributes:
        path: Its folder or file.
        contents: Its windows and what belongs to them.
        pictures: Read when they are asked for.
        arm: The same of the arm's samples.
    """

    path: Path
    contents: Contents
    pictures: Pictures
    arm: ArmSamples


def open_bag(path: Path, to_rgb: Callable[[Any], Rgb]) -> Bag:
    """Read a bag through.

    Args:
        path: Its folder or file.
        to_rgb: Unpacks a sensor_msgs/Image.

    Raises:
        BagError: Nothing in it can be replayed.
    """
    reader = BagReader(path)
    contents = read_contents(reader)

    def events() -> list[Event]:
        return read_events(BagReader(path), contents.robot_type, ())

    pictures = Pictures(reader, contents.pictures, to_rgb)
    return Bag(path, contents, pictures, ArmSamples(events, contents.robot_type))
