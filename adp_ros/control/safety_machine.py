"""The one state machine: every transition is in one table, what is not there does not happen."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import Final

ASKED_STOPS: Final = ("stop_called", "shutdown")  # causes of stops that somebody wanted
# Causes that neither samples nor chunks show: a replay takes them from the recorded states.
OUTSIDE_STOPS: Final = (
    *ASKED_STOPS,
    "node_lost",
    "time_gap",
    "second_publisher",
    "enable_lost",
    "home_failed",
)


class Status(IntEnum):
    """States, numbered as in adp_ros/msg/SafetyState."""

    DISARMED = 0  # feedback incomplete or bad; nothing is sent to the arm
    ARMED = 1  # feedback good, waiting for start
    RUNNING = 2  # the policy moves the arm
    SLOWED = 3  # the same at reduced speed
    STOPPED = 4  # latched until reset
    HOMING = 5  # on a checked way home

    @property
    def moving(self) -> bool:
        """True while anything of ours moves the arm."""
        return self in (Status.RUNNING, Status.SLOWED, Status.HOMING)

    @property
    def executing(self) -> bool:
        """True while the policy moves the arm."""
        return self in (Status.RUNNING, Status.SLOWED)


class Event(str, Enum):
    """What the machine reacts to."""

    FEEDBACK_GOOD = "feedback_good"  # torque, pose and joints are fresh and plausible
    FEEDBACK_BAD = "feedback_bad"  # one of them is missing, stale, NaN, out of order or frozen
    TORQUE_SLOW = "torque_slow"  # residual torque over the slow level
    TORQUE_CLEAR = "torque_clear"  # below it for long enough
    TORQUE_STOP = "torque_stop"  # residual torque over the stop level
    NODE_LOST = "node_lost"  # a process that the motion depends on has ended
    GUARD = "guard"  # motion may not go on: paused, starved, not enabled, not alone on its lines
    START = "start"  # asked for by a person
    HOME = "home"  # asked for by a person
    ARRIVED = "arrived"  # home is reached
    STOP = "stop"  # asked for by a person, or the node ends
    RESET = "reset"  # asked for by a person, after all is quiet

    def __str__(self) -> str:
        return self.value


def _table() -> dict[tuple[Status, Event], Status]:
    s, e = Status, Event
    table = {
        (s.DISARMED, e.FEEDBACK_GOOD): s.ARMED,
        (s.ARMED, e.FEEDBACK_BAD): s.DISARMED,  # nothing moves yet, so nothing is to be stopped
        (s.ARMED, e.TORQUE_STOP): s.STOPPED,
        (s.ARMED, e.START): s.RUNNING,
        (s.ARMED, e.HOME): s.HOMING,
        (s.HOMING, e.ARRIVED): s.ARMED,
        (s.RUNNING, e.TORQUE_SLOW): s.SLOWED,
        (s.SLOWED, e.TORQUE_CLEAR): s.RUNNING,
        (s.STOPPED, e.RESET): s.DISARMED,  # armed again by good feedback, moved by start alone
    }
    for moving in (s.RUNNING, s.SLOWED, s.HOMING):
        table[moving, e.FEEDBACK_BAD] = s.STOPPED
        table[moving, e.TORQUE_STOP] = s.STOPPED
        table[moving, e.NODE_LOST] = s.STOPPED
        table[moving, e.GUARD] = s.STOPPED
    for unlatched in (s.DISARMED, s.ARMED, s.RUNNING, s.SLOWED, s.HOMING):
        table[unlatched, e.STOP] = s.STOPPED
    return table


TRANSITIONS: Final[Mapping[tuple[Status, Event], Status]] = MappingProxyType(_table())


@dataclass(frozen=True, slots=True)
class SafetyEvent:
    """A state of the machine as its watchers note it.

    Attributes:
        time: In [s] since the run began.
        status: Name of the state, such as ``slowed`` or ``stopped``.
        cause: Stable short name, empty when nothing is wrong.
        message: The same in words.
    """

    time: float
    status: str
    cause: str
    message: str


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of state.

    Attributes:
        time: In [s].
        source: State before.
        event: What happened.
        target: State after.
        cause: Stable short name.
        message: The same in words, with numbers.
    """

    time: float
    source: Status
    event: Event
    target: Status
    cause: str
    message: str


class Machine:
    """State of the controller; starts disarmed."""

    def __init__(self) -> None:
        self.status = Status.DISARMED
        self.last: Transition | None = None
        self.stops = 0

    @property
    def latched(self) -> bool:
        """True from a stop to the reset."""
        return self.status is Status.STOPPED

    def fire(self, event: Event, time: float, cause: str = "", message: str = "") -> bool:
        """Let an event happen.

        Args:
            event: What happened.
            time: When, in [s].
            cause: Stable short name for people's scripts.
            message: The same in words, with numbers.

        Returns:
            True when the state changed.
        """
        target = TRANSITIONS.get((self.status, event))
        if target is None:
            return False
        self.last = Transition(time, self.status, event, target, cause, message)
        self.status = target
        self.stops += target is Status.STOPPED
        return True
