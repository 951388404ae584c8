"""A run as plain numbers, and the one collector that makes it, from live messages or from a bag.

All times are in [s] since the start of the run, on one clock that never goes back. Messages are
read by attribute, so that no ROS is needed here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ..control.safety_machine import SafetyEvent, Status
from ..policies.window import Window, read_audit, read_decision, read_times, stamp_of

NANO: Final = 1e-9
PATH_PERIOD: Final = 0.1  # [s]; the arm's pose comes far more often than a plot needs it
STARVED: Final = ("chunk_missing", "chunk_refused")  # causes while running that are no limit
_SET: Final = 1_000_000_000  # [ns]; a clock that moves by more against time was set
_SILENCE: Final = 5_000_000_000  # [ns] without any message in a recording


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetyRecord(SafetyEvent):
    """State of the safety machine at one time.

    Attributes:
        residual: Residual torque per joint, in [N m].
        slow: Level per joint above which the arm is slowed, in [N m].
        stop: Level per joint above which it is stopped, in [N m].
    """

    residual: tuple[float, ...] = ()
    slow: tuple[float, ...] = ()
    stop: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class PathPoint:
    """Where the tool was: time, and position in the base frame in [m]."""

    time: float
    x: float
    y: float
    z: float


@dataclass(frozen=True, slots=True)
class Picture:
    """What the policy saw at a decision point: capture time, JPEG with the pruned patches marked.

    The caption says what was decided.
    """

    time: float
    jpeg: bytes
    caption: str


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One line of the table against another run: quantity with unit, both values as text."""

    quantity: str
    here: str
    other: str


@dataclass(frozen=True, slots=True)
class ClockStep:
    """The clock of the stamps was set, or nothing was recorded for a while.

    Attributes:
        time: When; the run's time goes on from here.
        step: How far the clock went, in [s]; negative when it was set back.
    """

    time: float
    step: float

    def __str__(self) -> str:
        if self.step < 0.0:
            words = f"the clock was set back by {-self.step:.2f} s"
        else:
            words = f"the clock was set ahead, or nothing was recorded, by {self.step:.2f} s"
        return f"at {self.time:.1f} s {words}; time goes on from there"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A run.

    Attributes:
        title: Heading of the page.
        outcome: How it ended, in one line.
        facts: Name -> value of everything that identifies the run: task, checkpoint, settings.
        windows: In the order of time, as all that follows; each with the parts that were heard.
        safety: States of the safety machine, as often as they were noted.
        path: The tool's way.
        pictures: Frames at decision points.
        steps: Steps of the clock that the stamps are from.
        comparison: Lines beside those that the windows themselves give.
    """

    title: str
    outcome: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    windows: tuple[Window, ...] = ()
    safety: tuple[SafetyRecord, ...] = ()
    path: tuple[PathPoint, ...] = ()
    pictures: tuple[Picture, ...] = ()
    steps: tuple[ClockStep, ...] = ()
    comparison: tuple[ComparisonRow, ...] = ()

    @property
    def planned(self) -> tuple[Window, ...]:
        """Windows of which the audit was heard."""
        return audited(self.windows)

    @property
    def events(self) -> list[SafetyEvent]:
        """States at which status or cause changed."""
        return changes(self.safety)

    @property
    def limited(self) -> list[SafetyEvent]:
        """Events at which a limit of workspace, joints, speed or acceleration began to act."""
        known = ("", *STARVED)
        return [e for e in self.events if e.status == "running" and e.cause not in known]


def audited(windows: Iterable[Window]) -> tuple[Window, ...]:
    """Return the windows for which a policy looked."""
    return tuple(window for window in windows if window.audit.tokens_total)


def changes(states: Sequence[SafetyEvent]) -> list[SafetyEvent]:
    """Return the states at which status or cause changed."""
    return [
        state
        for before, state in zip((None, *states), states, strict=False)
        if before is None or (before.status, before.cause) != (state.status, state.cause)
    ]


class RunClock:
    """Time of the run from stamps of a clock that may be set while the run lasts."""

    def __init__(self, origin: int, elapsed: float | None = None, recorded: bool = False) -> None:
        """Begin.

        Args:
            origin: The clock at time 0, in [ns].
            elapsed: Monotonic time then, in [s]; None where only a clock that goes back, or
                silence, tells.
            recorded: Time passes in a recording: silence is left out.
        """
        self._recorded = recorded
        self._shifts = [origin]  # clock minus run time, in [ns], before and after each step
        self._last = origin, elapsed
        self.steps: list[ClockStep] = []

    def time(self, stamp: int, arrival: int, elapsed: float | None = None) -> float:
        """Return the run's time of a stamp.

        Args:
            stamp: Of a message, in [ns].
            arrival: The clock when the message came, in [ns].
            elapsed: Monotonic time then, in [s].
        """
        self._follow(arrival, elapsed)
        now = arrival - self._shifts[-1]
        # a picture may have been taken before a step and used after it
        return NANO * min((stamp - s for s in self._shifts[-2:]), key=lambda t: abs(now - t))

    def _follow(self, arrival: int, elapsed: float | None) -> None:
        (before, then), self._last = self._last, (arrival, elapsed)
        step = arrival - before
        if elapsed is not None and then is not None:
            passed = round((elapsed - then) / NANO)
            step -= 0 if self._recorded and passed > _SILENCE else passed
            was_set = abs(step) > _SET
        else:
            was_set = step < -_SET or step > _SILENCE
        if was_set:
            self.steps.append(ClockStep((before - self._shifts[-1]) * NANO, step * NANO))
            self._shifts.append(self._shifts[-1] + step)


def window_part(topic: str, message: Any, time: float) -> Window:
    """Read what /adp/prune_state, /adp/gate_state or /adp/latency says of a window.

    `time` is the capture time of the window's picture in the run.
    """
    window = Window(window=int(message.window), stamp=stamp_of(message), time=time)
    if topic == "/adp/prune_state":
        return replace(window, audit=read_audit(message))
    if topic == "/adp/gate_state":
        return replace(window, decision=read_decision(message))
    return replace(window, times=read_times(message))


WINDOW_TOPICS: Final = ("/adp/prune_state", "/adp/gate_state", "/adp/latency")
SAFETY: Final = "/adp/safety_state"


class WindowLog:
    """Joins the parts of each window, which come as several messages.

    Args:
        most: Number of windows that are kept, the newest ones; None keeps all.
    """

    def __init__(self, most: int | None = None) -> None:
        self._most = most
        self._windows: dict[tuple[float, int], Window] = {}

    def note(self, part: Window) -> None:
        """Take one part; parts of one window have its number and the stamp of its picture."""
        key = (part.stamp or part.time), part.window
        known = self._windows.get(key, part)
        self._windows[key] = replace(
            known,
            audit=part.audit if part.audit.tokens_total else known.audit,
            decision=part.decision or known.decision,
            times=part.times or known.times,
        )
        if self._most is not None and len(self._windows) > self._most:
            del self._windows[next(iter(self._windows))]

    def windows(self) -> tuple[Window, ...]:
        """Return the windows in the order of their first parts."""
        return tuple(self._windows.values())


def read_safety(message: Any, time: float) -> SafetyRecord:
    """Read adp_ros/SafetyState."""
    return SafetyRecord(
        time=time,
        status=Status(int(message.status)).name.lower(),
        cause=str(message.cause),
        message=str(message.message),
        residual=tuple(map(float, message.residual_torque)),
        slow=tuple(map(float, message.slow_torque)),
        stop=tuple(map(float, message.stop_torque)),
    )


class RunCollector:
    """Sorts the messages of a run into its record."""

    def __init__(self) -> None:
        self.log = WindowLog()
        self.safety: list[SafetyRecord] = []
        self.path: list[PathPoint] = []

    @staticmethod
    def wants(topic: str) -> bool:
        """Tell whether a topic belongs to the record."""
        return topic in (*WINDOW_TOPICS, SAFETY) or topic.endswith("_driver/out/tool_pose")

    def take(self, topic: str, message: Any, time: float) -> None:
        """Take a message of a topic that is wanted, stamped `time` [s] into the run."""
        if topic in WINDOW_TOPICS:
            self.log.note(window_part(topic, message, time))
        elif topic == SAFETY:
            self.safety.append(read_safety(message, time))
        elif not self.path or time >= self.path[-1].time + PATH_PERIOD:
            at = message.pose.position
            self.path.append(PathPoint(time, float(at.x), float(at.y), float(at.z)))

    def record(self, title: str, steps: Sequence[ClockStep] = ()) -> RunRecord:
        """Return what was collected so far."""
        return RunRecord(
            title=title,
            windows=self.log.windows(),
            safety=tuple(self.safety),
            path=tuple(self.path),
            steps=tuple(steps),
        )
