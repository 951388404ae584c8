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
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Final, NamedTuple

import numpy as np

from ..control.controller import Controller
from ..control.controller_settings import GROUPS, ControllerSettings
from ..control.safety_machine import OUTSIDE_STOPS, Status
from ..errors import AdpError, SafetyError
from ..robots.robot import robot_named
from ..settings import configs_from_flat, grouped_names
from ..types import ActionConvention, FloatArray
from .bag_reader import BagReader, Stored, Take
from .bag_topics import CHUNK_TOPIC, SAFETY_TOPIC
from .contents import NANO, SAMPLES, RecordedWindow

_PATIENCE: Final = 0.5  # [s] for which a start or reset that is refused is tried again


@dataclass(frozen=True, slots=True)
class Change:
    """One change of the safety state.

    Attributes:
        time: In [s] since the recording began.
        status: The new state.
        cause: Why, empty when nothing is wrong.
        message: The same in words.
    """

    time: float
    status: Status
    cause: str
    message: str


@dataclass(slots=True)
class ControllerLog:
    """What came of the replay.

    Attributes:
        changes: Of the safety state, as replayed.
        recorded: The same as recorded.
        lines: For the log.
        problems: What could not be taken or was refused -> how often.
        commands: Messages that would have gone to the arm.
    """

    changes: list[Change] = field(default_factory=list)
    recorded: list[Change] = field(default_factory=list)
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


def decisions(changes: Sequence[Change]) -> list[tuple[str, str]]:
    """Return the states from the first start on, stops with their causes."""
    found: list[tuple[str, str]] = []
    for change in changes:
        if not found and not change.status.moving:
            continue
        state = (change.status.name, change.cause if change.status is Status.STOPPED else "")
        if not found or found[-1] != state:
            found.append(state)
    return found


class PlannedActions(NamedTuple):
    """What a policy planned for a window.

    Attributes:
        actions: Shape (T, 7).
        convention: Of the actions.
    """

    actions: FloatArray
    convention: ActionConvention


Planned = Callable[[int], PlannedActions | None]
"""Returns the actions of a window by its number in the bag, None when it has none.

Each window is asked for once, in order.
"""


class ControllerReplay:
    """One controller, driven by what a bag holds.

    Args:
        settings: The controller's.
        robot_type: Of the recorded arm.
        windows: Of the bag.
        planned: What the policy planned for them.
    """

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
        controller = self._controller
        self._now = max(self._now, now)
        self._grant_wish()
        output = controller.tick(self._now)
        if output.stop_driver:
            controller.confirm_stop(output.stop_driver)
        if output.command is not None:
            twist = np.concatenate([output.command.twist.linear, output.command.twist.angular])
            self._digest.update(twist.tobytes() + np.float64(output.command.opening).tobytes())
            self._log.commands += 1
            self._note_step(twist.tolist(), output.command.opening)
        self._note_change()

    def _note_step(self, twist: list[float], opening: float) -> None:
        slot = self._controller.slot
        if slot != self._slot:
            self._slot = slot
            line = {"kind": "step", "time": self._now, "step": slot, "opening": opening}
            self._log.lines.append(line | {"linear": twist[:3], "angular": twist[3:]})

    def _note_change(self) -> None:
        state = self._controller.snapshot()
        last = self._log.changes[-1] if self._log.changes else None
        if last is not None and (last.status, last.cause) == (state.status, state.cause):
            return
        change = Change(self._now, state.status, state.cause, state.message)
        self._log.changes.append(change)
        self._log.lines.append(
            {
                "kind": "safety",
                "time": change.time,
                "status": change.status.name.lower(),
                "cause": change.cause,
                "message": change.message,
            }
        )

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
        recorded = self._log.recorded
        change = Change(self._now, status, str(message.cause), str(message.message))
        if not recorded or (recorded[-1].status, recorded[-1].cause) != (status, change.cause):
            recorded.append(change)
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


def controller_settings(parameters: Mapping[str, Any], robot_type: str) -> ControllerSettings:
    """Return the settings that a controller node had.

    Args:
        parameters: Of the node, names with dots; what is missing keeps its default.
        robot_type: Of the recorded arm, for bags without parameters.

    Raises:
        ConfigError: A value is not allowed.
    """
    given = parameters or {"robot_type": robot_type}
    known = {name: given[name] for name in grouped_names(GROUPS) if name in given}
    return ControllerSettings.from_groups(
        configs_from_flat(GROUPS, known, "controller_node of the bag")
    )


Replay = Callable[[Planned], ControllerLog]
"""Replays the controller with what was planned."""


class ControllerProcess:
    """The other process: takes actions as they are planned, returns what the controller did.

    Args:
        pipe: To that process.
        sender: Its one thread sends, so that the caller never waits for the other process.
    """

    def __init__(self, pipe: Connection, sender: Executor) -> None:
        self._pipe = pipe
        self._sender = sender
        self._sent: list[Future[None]] = []

    def give(self, number: int, planned: PlannedActions | None) -> None:
        """Hand over a window's actions, None when it has none; call in the windows' order."""
        self._sent.append(self._sender.submit(self._send, number, planned))

    def _send(self, number: int, planned: PlannedActions | None) -> None:
        try:
            self._pipe.send((number, planned))
        except BrokenPipeError:  # it has ended; why, it says in its answer
            return

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
