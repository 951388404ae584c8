"""What a bag of this package holds of its windows and of its origin."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

import yaml

from ..adp.gate_rules import Decision
from ..errors import BagError, ConfigError
from ..policies.window import TokenAudit
from ..settings import mapping_in
from ..types import ActionConvention, Chunk, FloatArray
from .pictures import PictureIndex

ORIGIN: Final = "adp_ros/origin"
PARAMETERS: Final = "adp_ros/parameters"  # one record per node
CHECKPOINT: Final = "adp_ros/checkpoint"
FILE: Final = "adp_ros/file"  # contents of a settings file that a node read


def settings_text(values: Mapping[str, Any]) -> str:
    """Return settings as YAML."""
    return yaml.safe_dump(dict(values), sort_keys=True)


def settings_in(text: str, where: str) -> dict[str, Any]:
    """Return the lines ``name: value`` of a YAML text.

    Raises:
        BagError: There are none.
    """
    try:
        return mapping_in(text, where)
    except ConfigError as error:
        raise BagError(str(error)) from error


NANO: Final = 1e-9
_BACK: Final = 1_000_000_000  # [ns]; going back by more is a clock that was set


class Kind(Enum):
    """What an event of the arm or of the controller is; the value is the end of its topic."""

    TORQUE = "joint_torques"
    ANGLES = "joint_angles"
    JOINTS = "joint_state"
    POSE = "tool_pose"
    FINGERS = "finger_position"
    SAFETY = "safety_state"
    CHUNK = "action_chunk"


@dataclass(frozen=True, slots=True)
class Event:
    """One message for the controller's replay.

    Attributes:
        kind: What it is.
        arrival: When it was there, in [ns].
        value: :class:`~adp_ros.bags.bag_reader.Packed` message; of a chunk the number of its
            window in the bag.
    """

    kind: Kind
    arrival: int
    value: Any


def in_order(events: Sequence[Event]) -> list[Event]:
    """Sort by time, but not across a clock that was set back."""
    ordered: list[Event] = []
    for part in _parts(events):
        ordered += sorted(part, key=lambda event: event.arrival)
    return ordered


def elapsed(events: Sequence[Event]) -> Iterator[tuple[float, Event]]:
    """Yield events in order with a time in [s] from 0 that never goes back.

    Where the clock was set back, time goes on from there.
    """
    shift = events[0].arrival if events else 0
    last = shift
    for event in events:
        if last - event.arrival > _BACK:
            shift -= last - event.arrival
        last = event.arrival
        yield (event.arrival - shift) * NANO, event


def _parts(events: Sequence[Event]) -> Iterator[list[Event]]:
    part: list[Event] = []
    for event in events:
        if part and part[-1].arrival - event.arrival > _BACK:
            yield part
            part = []
        part.append(event)
    yield part


OFT: Final = "oft"  # policy whose own actions moved the arm
WindowKey = tuple[int, int]  # stamp of a window's picture in [ns], and the window's turn with it


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedWindow:
    """One chunk as the controller got it; times in [ns].

    Attributes:
        window: Number in the episode.
        stamp: Of the picture that it was planned from.
        arrival: When the chunk was received.
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
        windows: Every chunk, in order.
        audits: Picture and turn of a window -> what was pruned.
        gates: Stamp and number of the closed window -> decision.
        states: Picture and turn -> the policy's state, as it saw it.
        frame_ages: Picture and turn -> age of the picture when planning began, in [s].
        pictures: Where the pictures lie.
        robot_type: Of the driver whose topics are in the bag, empty without one.
        notes: Metadata records of the bag.
        problems: What is wrong or missing, in words.
    """

    windows: list[RecordedWindow] = field(default_factory=list)
    audits: dict[WindowKey, TokenAudit] = field(default_factory=dict)
    gates: dict[tuple[int, int], Decision] = field(default_factory=dict)
    states: dict[WindowKey, FloatArray] = field(default_factory=dict)
    frame_ages: dict[WindowKey, float] = field(default_factory=dict)
    pictures: PictureIndex = field(default_factory=PictureIndex)
    robot_type: str = ""
    notes: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def parameters(self, node: str) -> Mapping[str, Any]:
        """Return the parameters of a node, empty when they were not recorded.

        Raises:
            BagError: They are not YAML.
        """
        for values in self._notes(PARAMETERS):
            if values.get("node", "").rpartition("/")[2] == node:
                return settings_in(values.get("yaml", ""), f"parameters of {node} in the bag")
        return {}

    def file_text(self, name: str) -> str | None:
        """Return the contents of a settings file that was recorded, else None."""
        for values in self._notes(FILE):
            if values.get("name") == name:
                return values.get("text", "")
        return None

    @property
    def checkpoint(self) -> tuple[str, str]:
        """Directory and hash of the checkpoint; empty when they were not recorded."""
        for values in self._notes(CHECKPOINT):
            return values.get("directory", ""), values.get("hash", "")
        return "", ""

    @property
    def origin(self) -> Mapping[str, str]:
        """Version, revision of the code and launch arguments; empty when not recorded."""
        for values in self._notes(ORIGIN):
            return values
        return {}

    def _notes(self, name: str) -> list[dict[str, str]]:
        return [values for entry, values in self.notes if entry == name]
