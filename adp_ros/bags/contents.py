"""What a bag holds of a run: the arm's samples, windows, what was decided and pruned for them."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from ..adp.gate_rules import Decision
from ..control.calibration import FreeMotion
from ..errors import BagError, ObservationError
from ..policies.conventions import ArmState
from ..policies.window import (
    MeasuredMotion,
    Window,
    read_audit,
    read_decision,
    read_times,
    stamp_of,
)
from ..robots.jaco2.messages import joints_from_angles, torque_from_angles
from ..robots.robot import ROBOTS, robot_named
from ..types import ACTION_SIZE, ActionConvention, Chunk, FloatArray
from .bag_notes import BagNotes
from .bag_reader import BagReader, Stored, Take, problem_words
from .bag_topics import CHUNK_TOPIC, SAFETY_TOPIC
from .pictures import Pictures, ToRgb

NANO: Final = 1e-9
SAMPLES: Final = ("joint_torques", "joint_angles", "joint_state", "tool_pose", "finger_position")
_DRIVER_TOPIC: Final = re.compile(r"^/(\w+)_driver/out/\w+$")


def is_of_driver(topic: str) -> bool:
    """Tell whether a driver publishes a topic."""
    return _DRIVER_TOPIC.match(topic) is not None


def supported_robot(reader: BagReader) -> tuple[str, list[str]]:
    """Return the type of the arm in a bag, empty without one, and what is to be said about it."""
    drivers = {match[1] for name in reader.topics if (match := _DRIVER_TOPIC.match(name))}
    known = sorted(drivers & set(ROBOTS.names))
    problems = [
        f"driver of {name}: not a robot that is supported ({', '.join(ROBOTS.names)})"
        for name in sorted(drivers - set(ROBOTS.names))
    ]
    if len(known) > 1:
        problems.append(f"drivers of several robots: {', '.join(known)}; {known[0]} is replayed")
    if not known:
        problems.append("there are no topics of the arm's driver")
    return known[0] if known else "", problems


def arm_state(reader: BagReader, robot_type: str, elapsed: int) -> ArmState:
    """Return the newest state that had come at a time of the bag.

    Args:
        reader: The bag.
        robot_type: Kinova's name of the arm.
        elapsed: Time since the bag's first message, in [ns].

    Raises:
        BagError: A message can't be decoded.
        ConfigError: The robot is unknown.
        ObservationError: A part of it was not recorded.
    """
    robot = robot_named(robot_type)

    def newest(kind: str) -> Any:
        stored = reader.newest(robot.topic_out(kind), elapsed)
        if stored is None:
            raise ObservationError(f"nothing was recorded on {robot.topic_out(kind)}")
        return reader.decoder(stored.topic).decode(reader.data(stored))

    pose, joints, fingers = newest("tool_pose"), newest("joint_state"), newest("finger_position")
    return ArmState(*robot.messages.state_from_messages(pose, joints, fingers, robot))


def read_free_motion(path: Path, robot_type: str) -> FreeMotion:
    """Read torques and joints of a bag.

    Args:
        path: Folder of the bag, or one ``.mcap`` file.
        robot_type: Kinova's name of the arm, prefix of the driver's topics.

    Raises:
        BagError: It can't be read.
        SafetyError: Torques or joints are missing, or not finite.
    """
    robot, reader = robot_named(robot_type), BagReader(path)
    torques: list[tuple[float, FloatArray]] = []
    joints: list[tuple[float, FloatArray]] = []

    def taking(into: list[tuple[float, FloatArray]], read: Callable[[Any], FloatArray]) -> Take:
        return lambda message, stored: into.append((NANO * stored.elapsed, read(message)))

    takers = {
        robot.topic_out("joint_torques"): taking(torques, torque_from_angles),
        robot.topic_out("joint_angles"): taking(joints, joints_from_angles),
    }
    if unusable := reader.decode(takers):
        raise BagError("; ".join(problem_words(unusable)))
    return FreeMotion.joined(torques, joints)


OWN_ACTIONS: Final = ("oft", "remote")  # policies whose own actions moved the arm


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedWindow(Window):
    """One window as a bag tells it, by the chunk that the controller got.

    Attributes:
        arrival: When the chunk was received, in [ns].
        elapsed: The same since the bag's first message.
        step_period: In [s].
        policy: Who planned it.
        told_pruned: The chunk says that vision tokens were pruned for it.
        state: The policy's state, as it saw it; None when it was not recorded.
    """

    arrival: int
    elapsed: int
    step_period: float
    policy: str
    told_pruned: bool
    state: FloatArray | None = field(default=None, compare=False)

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
            pruned=self.told_pruned,
        )


@dataclass(frozen=True, slots=True)
class Bag:
    """A bag of a run.

    Attributes:
        reader: Its messages.
        pictures: Read when they are asked for.
        notes: Of its origin.
        robot_type: Of the driver whose topics are in the bag, empty without one.
        windows: One for every chunk, in order.
        gates: Stamp and number of the closed window -> decision.
        problems: What is wrong or missing, in words.
    """

    reader: BagReader
    pictures: Pictures
    notes: BagNotes
    robot_type: str
    windows: Sequence[RecordedWindow]
    gates: Mapping[tuple[int, int], Decision]
    problems: Sequence[str]


_NEEDED: Final = ("/adp/chunk_request", "/adp/gate_state", "/adp/prune_state", SAFETY_TOPIC)


def open_bag(path: Path, to_rgb: ToRgb) -> Bag:
    """Read a bag through and decode what it holds of its windows.

    Raises:
        BagError: It is no bag, or there is no chunk in it: nothing can be replayed.
    """
    reader = BagReader(path)
    pictures = Pictures(reader, to_rgb)
    taken = _Taken()
    unusable = reader.decode(
        {
            CHUNK_TOPIC: taken.chunk,
            "/adp/chunk_request": taken.request,
            "/adp/gate_state": taken.gate,
            "/adp/prune_state": taken.part("audit", read_audit),
            "/adp/latency": taken.part("times", read_times),
            "/adp/policy_state": taken.part("state", lambda m: np.array(m.position, np.float64)),
        }
    )
    robot_type, robots = supported_robot(reader)
    missing = [f"topic {name} is missing" for name in _NEEDED if name not in reader.topics]
    problems = [*reader.problems, *problem_words(unusable), *missing, *robots]
    if not taken.chunks:
        names = ", ".join(sorted(reader.topics)) or "none"
        why = "; ".join(problems)
        raise BagError(
            f"nothing to replay: the bag has no chunk on {CHUNK_TOPIC}; topics: "
            f"{names}" + (f"; {why}" if why else "")
        )
    problems += pictures.problems
    notes = BagNotes(reader.notes)
    return Bag(reader, pictures, notes, robot_type, taken.windows(), taken.gates, problems)


class _Taken:
    """Joins what several messages say of a window.

    A late chunk may be followed by a request before the next picture has come: then two windows
    have the same picture, and everything about them comes in their order.
    """

    def __init__(self) -> None:
        self.chunks: list[tuple[tuple[int, int], RecordedWindow]] = []
        self.gates: dict[tuple[int, int], Decision] = {}
        self._parts: dict[tuple[int, int], dict[str, Any]] = {}  # by stamp, and turn with it
        self._measured: dict[int, MeasuredMotion] = {}
        self._turns: Counter[tuple[str, int]] = Counter()

    def windows(self) -> list[RecordedWindow]:
        """Return the windows with all their parts."""
        return [replace(window, **self._parts.get(key, {})) for key, window in self.chunks]

    def chunk(self, message: Any, stored: Stored) -> None:
        """Take a chunk."""
        numbers = len(message.actions)
        if numbers == 0 or numbers % ACTION_SIZE:
            raise BagError(f"chunk has {numbers} numbers, a multiple of {ACTION_SIZE} is needed")
        recorded = RecordedWindow(
            window=int(message.window),
            stamp=stamp_of(message),
            actions=np.array(message.actions, dtype=np.float64).reshape(-1, ACTION_SIZE),
            convention=ActionConvention(
                message.translation_frame, message.rotation_frame, message.rotation
            ),
            measured=self._measured.get(int(message.window), MeasuredMotion()),
            arrival=stored.time,
            elapsed=stored.elapsed,
            step_period=float(message.step_period),
            policy=str(message.policy),
            told_pruned=bool(message.pruned),
        )
        self.chunks.append((self._key(message, stored), recorded))

    def request(self, message: Any, _: Stored) -> None:
        """Take the motion that the controller measured."""
        motion = MeasuredMotion(float(message.measured_path), float(message.measured_net))
        self._measured[int(message.window)] = motion

    def gate(self, message: Any, _: Stored) -> None:
        """Take a decision."""
        self.gates[stamp_of(message), int(message.window)] = read_decision(message)

    def part(self, name: str, read: Callable[[Any], Any]) -> Take:
        """Return what takes the messages of one part of a window."""

        def take(message: Any, stored: Stored) -> None:
            self._parts.setdefault(self._key(message, stored), {})[name] = read(message)

        return take

    def _key(self, message: Any, stored: Stored) -> tuple[int, int]:
        stamp = stamp_of(message)
        turn = self._turns[stored.topic, stamp]
        self._turns[stored.topic, stamp] += 1
        return stamp, turn
