"""What a bag holds of a run: its windows, and what was decided and pruned for them."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from ..adp.gate_rules import Decision
from ..errors import BagError
from ..policies.window import TokenAudit, read_audit, read_decision
from ..types import ACTION_SIZE, ActionConvention, Chunk, FloatArray
from .arm_samples import supported_robot
from .bag_notes import BagNotes
from .bag_reader import BagReader, Stored, problem_words
from .bag_topics import CHUNK_TOPIC, SAFETY_TOPIC
from .pictures import Pictures, ToRgb

NANO: Final = 1e-9
OFT: Final = "oft"  # policy whose own actions moved the arm
WindowKey = tuple[int, int]  # stamp of a window's picture in [ns], and the window's turn with it


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedWindow:
    """One chunk as the controller got it; times in [ns].

    Attributes:
        window: Number in the episode.
        stamp: Of the picture that it was planned from.
        arrival: When the chunk was received.
        elapsed: The same since the bag's first message.
        actions: Shape (T, 7).
        step_period: In [s].
        convention: Frames and rotation order.
        pruned: Vision tokens were pruned for it.
        policy: Who planned it.
        measured: Path and net motion in [m] that the controller sent with its request.
        turn: How many windows were planned from the same picture before.
    """

    window: int
    stamp: int
    arrival: int
    elapsed: int
    actions: FloatArray
    step_period: float
    convention: ActionConvention
    pruned: bool
    policy: str
    measured: tuple[float, float]
    turn: int = 0

    @property
    def key(self) -> WindowKey:
        """What else was recorded of the window is found by: its picture, and its turn with it."""
        return self.stamp, self.turn

    def chunk(self, time: float, actions: FloatArray, convention: ActionConvention) -> Chunk:
        """Return it as the controller takes it.

        Args:
            time: When it arrives, in [s] on the controller's clock.
            actions: In place of the recorded ones, shape (T, 7).
            convention: Theirs.
        """
        return Chunk(
            actions=actions,
            stamp=time - (self.arrival - self.stamp) * NANO,
            window=self.window,
            step_period=self.step_period,
            convention=convention,
            pruned=self.pruned,
        )


@dataclass(slots=True)
class Contents:
    """A bag, decoded.

    Attributes:
        notes: Of its origin.
        robot_type: Of the driver whose topics are in the bag, empty without one.
        windows: Every chunk, in order.
        audits: Picture and turn of a window -> what was pruned.
        gates: Stamp and number of the closed window -> decision.
        states: Picture and turn -> the policy's state, as it saw it.
        frame_ages: Picture and turn -> age of the picture when planning began, in [s].
        problems: What is wrong or missing, in words.
    """

    notes: BagNotes
    robot_type: str = ""
    windows: list[RecordedWindow] = field(default_factory=list)
    audits: dict[WindowKey, TokenAudit] = field(default_factory=dict)
    gates: dict[tuple[int, int], Decision] = field(default_factory=dict)
    states: dict[WindowKey, FloatArray] = field(default_factory=dict)
    frame_ages: dict[WindowKey, float] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Bag:
    """A bag of a run.

    Attributes:
        reader: Its messages.
        contents: Its windows and what belongs to them.
        pictures: Read when they are asked for.
    """

    reader: BagReader
    contents: Contents
    pictures: Pictures


def open_bag(path: Path, to_rgb: ToRgb) -> Bag:
    """Read a bag through.

    Args:
        path: Its folder or file.
        to_rgb: Unpacks a sensor_msgs/Image.

    Raises:
        BagError: Nothing in it can be replayed.
    """
    reader = BagReader(path)
    pictures = Pictures(reader, to_rgb)
    contents = read_contents(reader)
    contents.problems += pictures.problems
    return Bag(reader, contents, pictures)


_NEEDED: Final = ("/adp/chunk_request", "/adp/gate_state", "/adp/prune_state", SAFETY_TOPIC)


def read_contents(reader: BagReader) -> Contents:
    """Decode what a bag holds of its windows.

    Raises:
        BagError: There is no chunk in it: nothing can be replayed.
    """
    taken = _Taken(Contents(BagNotes(reader.notes)))
    contents = taken.contents
    unusable = reader.decode(
        {
            CHUNK_TOPIC: taken.chunk,
            "/adp/chunk_request": taken.request,
            "/adp/gate_state": taken.gate,
            "/adp/prune_state": taken.audit,
            "/adp/latency": taken.latency,
            "/adp/policy_state": taken.state,
        }
    )
    contents.robot_type, robots = supported_robot(reader)
    missing = [f"topic {name} is missing" for name in _NEEDED if name not in reader.topics]
    contents.problems = [*reader.problems, *problem_words(unusable), *missing, *robots]
    if not contents.windows:
        names = ", ".join(sorted(reader.topics)) or "none"
        why = "; ".join(contents.problems)
        raise BagError(
            f"nothing to replay: the bag has no chunk on {CHUNK_TOPIC}; topics: "
            f"{names}" + (f"; {why}" if why else "")
        )
    return contents


class _Taken:
    """Sorts messages into the contents."""

    def __init__(self, contents: Contents) -> None:
        self.contents = contents
        self._measured: dict[int, tuple[float, float]] = {}
        self._turns: Counter[tuple[str, int]] = Counter()

    def chunk(self, message: Any, stored: Stored) -> None:
        """Take a chunk."""
        numbers = len(message.actions)
        if numbers == 0 or numbers % ACTION_SIZE:
            raise BagError(f"chunk has {numbers} numbers, a multiple of {ACTION_SIZE} is needed")
        window = int(message.window)
        recorded = RecordedWindow(
            window=window,
            stamp=_ns(message.header.stamp),
            arrival=stored.time,
            elapsed=stored.elapsed,
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

    def request(self, message: Any, _: Stored) -> None:
        """Take the motion that the controller measured."""
        motion = (float(message.measured_path), float(message.measured_net))
        self._measured[int(message.window)] = motion

    def gate(self, message: Any, _: Stored) -> None:
        """Take a decision."""
        key = (_ns(message.header.stamp), int(message.window))
        self.contents.gates[key] = read_decision(message)

    def audit(self, message: Any, stored: Stored) -> None:
        """Take what was pruned."""
        self.contents.audits[self._key(message, stored)] = read_audit(message)

    def latency(self, message: Any, stored: Stored) -> None:
        """Take the age of a picture."""
        self.contents.frame_ages[self._key(message, stored)] = 1e-3 * float(message.frame_age)

    def state(self, message: Any, stored: Stored) -> None:
        """Take the policy's state."""
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
