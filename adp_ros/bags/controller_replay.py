"""Chunks and samples of a bag through controller and safety once more, in simulated time.

The clock is that of the recording: samples and chunks come when they came, ticks when they are
due, so that nothing depends on the machine. People's requests are read off the recorded safety
states; what the controller decides by itself, it decides once more.

It runs in a process of its own while this one still plans windows. The two wait for each other
only where the recording has a chunk: what comes out is the same as one after the other.
"""

import gc
import hashlib
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Final, NamedTuple

import numpy as np

from ..control.controller import Controller
from ..control.controller_settings import GROUPS, ControllerSettings
from ..control.safety_machine import OUTSIDE_STOPS, SafetyEvent, Status
from ..errors import AdpError, SafetyError
from ..robots.robot import robot_named
from ..settings import configs_from_flat, grouped_names
from ..types import ActionConvention, FloatArray
from .bag_reader import BagReader, Stored, Take
from .bag_topics import CHUNK_TOPIC, SAFETY_TOPIC
from .contents import NANO, SAMPLES, Bag, RecordedWindow

_PATIENCE: Final = 0.5  # [s] for which a start or reset that is refused is tried again


@dataclass(slots=True)
class ControllerLog:
    """What came of the replay.

    Attributes:
        changes: Of the safety state, as replayed; times since the recording began.
        recorded: The same as recorded.
        lines: For the log.
        problems: What could not be taken or was refused -> how often.
        commands: Messages that would have gone to the arm.
    """

    changes: list[SafetyEvent] = field(default_factory=list)
    recorded: list[SafetyEvent] = field(default_factory=list)
    lines: list[dict[str, Any]] = field(default_factory=list)
    problems: dict[str, int] = field(default_factory=dict)
    commands: int = 0

    @property
    def equal(self) -> bool:
        """True when from the first start on the same states followed, for the same causes."""
        return decisions(self.changes) == decisions(self.recorded)

    def note(self, problem: str) -> None:
        """Count a problem."""
        self.problems[problem] = self.problems.get(problem, 0) + 1


def noted(changes: list[SafetyEvent], change: SafetyEvent) -> bool:
    """Append a change whose status or cause differs from the last one's; tell whether it does."""
    if changes and (changes[-1].status, changes[-1].cause) == (change.status, change.cause):
        return False
    changes.append(change)
    return True


def decisions(changes: Sequence[SafetyEvent]) -> list[tuple[str, str]]:
    """Return the states from the first start on, stops with their causes."""
    found: list[tuple[str, str]] = []
    for change in changes:
        status = Status[change.status.upper()]
        state = (status.name, change.cause if status is Status.STOPPED else "")
        if found[-1:] != [state] and (found or status.moving):
            found.append(state)
    return found


class PlannedActions(NamedTuple):
    """What a policy planned for a window: actions of shape (T, 7) and their convention."""

    actions: FloatArray
    convention: ActionConvention


Planned = Callable[[int], PlannedActions | None]
"""Returns the actions of a window by its number in the bag, None when it has none.

Each window is asked for once, in order.
"""


class ControllerReplay:
    """One controller, driven by the windows and messages of a bag and by what was planned."""

    def __init__(
        self,
        settings: ControllerSettings,
        robot_type: str,
        windows: Sequence[RecordedWindow],
        planned: Planned,
    ) -> None:
        self._controller = Controller(settings)
        self._robot = robot_named(robot_type)
        self._windows = windows
        self._planned = planned
        self._window = 0
        self._period = settings.stream.period
        self._log = ControllerLog()
        self._now = 0.0
        self._due = 0.0  # next tick
        self._origin: int | None = None  # of the time, since the bag's first message in [ns]
        self._status: Status | None = None  # recorded last
        self._wish: tuple[Callable[[float], None], float] | None = None
        self._slot = -1
        self._digest = hashlib.sha256()

    def run(self, reader: BagReader) -> ControllerLog:
        """Replay the messages of a bag."""
        takers = {self._robot.topic_out(kind): self._timed(self._take_sample) for kind in SAMPLES}
        takers[SAFETY_TOPIC] = self._timed(self._take_safety)
        takers[CHUNK_TOPIC] = self._timed(self._take_chunk)
        self._log.problems |= reader.decode(takers)
        self._log.lines.append(
            {"kind": "commands", "count": self._log.commands, "sha256": self._digest.hexdigest()}
        )
        return self._log

    def _timed(self, take: Take) -> Take:
        """Bring the controller to the time of a message before it is taken."""

        def taken(message: Any, stored: Stored) -> None:
            if self._origin is None:
                self._origin = stored.elapsed
            time = (stored.elapsed - self._origin) * NANO
            while self._due <= time:
                self._tick(self._due)
                self._due += self._period
            self._now = max(self._now, time)
            take(message, stored)

        return taken

    def _take_sample(self, message: Any, stored: Stored) -> None:
        kind, clock = stored.topic.rpartition("/")[2], stored.time * NANO
        read = self._robot.messages.sample_from_message
        self._controller.take(read(kind, message, self._robot, self._now, clock))

    def _tick(self, now: float) -> None:
        controller, log = self._controller, self._log
        self._now = max(self._now, now)
        self._grant_wish()
        output = controller.tick(self._now)
        if output.stop_driver:
            controller.confirm_stop(output.stop_driver)
        if output.command is not None:
            twist, opening = output.command.twist, output.command.opening
            numbers = np.concatenate([twist.linear, twist.angular])
            self._digest.update(numbers.tobytes() + np.float64(opening).tobytes())
            log.commands += 1
            if controller.slot != self._slot:
                self._slot = controller.slot
                line = {"kind": "step", "time": self._now, "step": self._slot, "opening": opening}
                turn = {"linear": twist.linear.tolist(), "angular": twist.angular.tolist()}
                log.lines.append(line | turn)
        state = controller.snapshot()
        name = state.status.name.lower()
        if noted(log.changes, SafetyEvent(self._now, name, state.cause, state.message)):
            log.lines.append({"kind": "safety"} | asdict(log.changes[-1]))

    def _grant_wish(self) -> None:
        if self._wish is None:
            return
        ask, until = self._wish
        try:
            ask(self._now)
        except SafetyError as error:
            if self._now < until:
                return
            self._log.note(str(error))
        self._wish = None

    def _take_safety(self, message: Any, _: Stored) -> None:
        """Read off a recorded state what a person asked for."""
        status, before = Status(int(message.status)), self._status
        self._status = status
        words = str(message.cause), str(message.message)
        change = SafetyEvent(self._now, status.name.lower(), *words)
        noted(self._log.recorded, change)
        if status.executing and (before is None or not before.executing):
            self._wish = (self._controller.start, self._now + _PATIENCE)
        elif before is Status.STOPPED and status is not Status.STOPPED:
            self._wish = (self._controller.reset, self._now + _PATIENCE)
        elif status is Status.STOPPED and before is not status and change.cause in OUTSIDE_STOPS:
            self._controller.stop(self._now, change.cause, change.message)

    def _take_chunk(self, _: Any, stored: Stored) -> None:
        """Offer what is planned now for the window of a chunk; one without a window is none."""
        number = self._window
        if number == len(self._windows) or self._windows[number].elapsed != stored.elapsed:
            return
        self._window += 1
        planned = self._planned(number)
        if planned is None:
            return
        chunk = self._windows[number].chunk(self._now, *planned)
        outcome = self._controller.offer(chunk, self._now)
        line = {"kind": "chunk", "time": self._now, "window": chunk.window}
        self._log.lines.append(line | {"outcome": str(outcome)})


Replay = Callable[[Planned], ControllerLog]
"""Replays the controller with what was planned."""


def controller_replay(bag: Bag) -> Replay | None:
    """Return what puts chunks through controller and safety, with the settings of the recording.

    A setting that was not recorded has its default. None without an arm in the bag.

    Raises:
        ConfigError: A recorded setting is not allowed.
    """
    robot_type = bag.robot_type
    if not robot_type:
        return None
    given = bag.notes.parameters("controller_node") or {"robot_type": robot_type}
    known = {name: given[name] for name in grouped_names(GROUPS) if name in given}
    groups = configs_from_flat(GROUPS, known, "controller_node of the bag")
    settings = ControllerSettings.from_groups(groups)
    return lambda planned: ControllerReplay(settings, robot_type, bag.windows, planned).run(
        bag.reader
    )


class ControllerProcess:
    """The other process: takes actions as they are planned, returns what the controller did.

    The sender has one thread, which waits for that process in place of the caller.
    """

    def __init__(self, pipe: Connection, sender: Executor) -> None:
        self._pipe = pipe
        self._sender = sender
        self._sent: list[Future[None]] = []

    def give(self, number: int, planned: PlannedActions | None) -> None:
        """Hand over a window's actions, None when it has none; call in the windows' order."""

        def send() -> None:
            with suppress(BrokenPipeError):  # it has ended; why, it says in its answer
                self._pipe.send((number, planned))

        self._sent.append(self._sender.submit(send))

    def log(self) -> ControllerLog:
        """Return the replay, once every window has been given.

        Raises:
            AdpError: The controller can't be replayed.
        """
        for sent in self._sent:
            sent.result()
        try:
            answer = self._pipe.recv()
        except EOFError as error:
            raise RuntimeError("the process that replayed the controller has ended") from error
        if isinstance(answer, ControllerLog):
            return answer
        raise answer


@contextmanager
def controller_process(replay: Replay) -> Iterator[ControllerProcess]:
    """Start the controller's replay.

    Call it before threads are started: the process is a fork of this one, so that it has the bag
    already.
    """
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(replay, theirs, ours), daemon=True)
    gc.freeze()  # what waits to be freed here may need threads that a fork does not have
    try:
        process.start()
    finally:
        gc.unfreeze()
    theirs.close()
    with ours, ThreadPoolExecutor(max_workers=1, thread_name_prefix="planned") as sender:
        try:
            yield ControllerProcess(ours, sender)
        finally:
            process.terminate()  # nothing that it still does is of use
            process.join()
            sender.shutdown(cancel_futures=True)  # what is being sent breaks off


def _work(replay: Replay, pipe: Connection, parents: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    parents.close()  # else the parent's end would never be missed here
    received: dict[int, PlannedActions | None] = {}

    def planned(number: int) -> PlannedActions | None:
        while number not in received:
            given, actions = pipe.recv()
            received[given] = actions
        return received.pop(number)

    try:
        answer: ControllerLog | AdpError = replay(planned)
    except AdpError as error:
        answer = error
    except EOFError:  # the parent has given up
        return
    pipe.send(answer)
