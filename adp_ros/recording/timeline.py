"""What happened between arm and controller, in time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

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
        value: :class:`~adp_ros.recording.decode.Packed` message; of a chunk the number of its
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
