"""Chunks and samples of a bag through controller and safety once more, in simulated time.

The clock is that of the recording: samples and chunks come when they came, ticks when they are
due, so that nothing depends on the machine. People's requests are read off the recorded safety
states; what the controller decides by itself, it decides anew.

The two take turns on nothing: the controller waits for a chunk only where the recording has one.
What comes out is the same as one after the other.
"""

import gc
import hashlib
import multiprocessing
import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Final, Protocol

import numpy as np

from ..control.controller import Controller
from ..control.controller_settings import ControllerSettings
from ..control.safety_machine import ASKED_STOPS, Status
from ..errors import AdpError, SafetyError
from ..robots.jaco2.interface import robot_named
from ..types import ActionConvention, FloatArray
from .contents import Event, Kind, RecordedWindow, elapsed
from .events import SampleFeed

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


@dataclass(frozen=True, slots=True)
class Offer:
    """A chunk to offer.

    Attributes:
        recorded: When and for which window.
        actions: What it plans, shape (T, 7).
        convention: Of the actions.
    """

    recorded: RecordedWindow
    actions: FloatArray
    convention: ActionConvention


class Offers(Protocol):
    """Chunks by the number of their window in the bag; each is asked for once, in order."""

    def get(self, number: int, /) -> Offer | None:
        """Return a chunk, None when the window has none."""


class ControllerReplay:
    """One controller, driven by the events of a bag.

    Args:
        settings: The controller's.
        robot_type: Of the recorded arm.
        offers: What the policy planned.
    """

    def __init__(self, settings: ControllerSettings, robot_type: str, offers: Offers) -> None:
        self._controller = Controller(settings)
        self._samples = SampleFeed(self._controller, robot_named(robot_type))
        self._offers = offers
        self._period = settings.stream.period
        self._log = ControllerLog()
        self._now = 0.0
        self._status: Status | None = None  # recorded last
        self._wish: tuple[Callable[[float], None], float] | None = None
        self._slot = -1
        self._digest = hashlib.sha256()

    def run(self, events: Sequence[Event]) -> ControllerLog:
        """Replay events that are in order."""
        due = 0.0
        for time, event in elapsed(events):
            while due <= time:
                self._tick(due)
                due += self._period
            self._now = max(self._now, time)
            try:
                self._take(event)
            except AdpError as error:
                self._log.note(f"{event.kind.value}: {error}")
        self._log.lines.append(
            {"kind": "commands", "count": self._log.commands, "sha256": self._digest.hexdigest()}
        )
        return self._log

    def _take(self, event: Event) -> None:
        if event.kind is Kind.SAFETY:
            self._take_safety(event.value.unpack())
        elif event.kind is Kind.CHUNK:
            self._take_chunk(event.value)
        else:
            self._samples.take(event, self._now)

    def _tick(self, now: float) -> None:
        controller = self._controller
        self._now = max(self._now, now)
        self._grant_wish()
        output = controller.tick(self._now)
        if output.stop_driver:
            controller.confirm_stop()
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

    def _take_safety(self, message: Any) -> None:
        """Read off a recorded state what a person asked for."""
        status, before = Status(int(message.status)), self._status
        self._status = status
        recorded = self._log.recorded
        change = Change(self._now, status, str(message.cause), str(message.message))
        if not recorded or (recorded[-1].status, recorded[-1].cause) != (status, change.cause):
            recorded.append(change)
        if status.moving and (before is None or not before.moving):
            self._wish = (self._controller.start, self._now + _PATIENCE)
        elif before is Status.STOPPED and status is not Status.STOPPED:
            self._wish = (self._controller.reset, self._now + _PATIENCE)
        elif status is Status.STOPPED and before is not status and change.cause in ASKED_STOPS:
            self._controller.stop(self._now, change.cause, change.message)

    def _take_chunk(self, index: int) -> None:
        offer = self._offers.get(index)
        if offer is None:
            return
        chunk = offer.recorded.chunk(self._now, offer.actions, offer.convention)
        outcome = self._controller.offer(chunk, self._now)
        line = {"kind": "chunk", "time": self._now, "window": chunk.window}
        self._log.lines.append(line | {"outcome": str(outcome)})


Replay = Callable[[Offers], ControllerLog]
"""Replays the controller with the offers given."""


class Beside(ABC):
    """Takes chunks as they are planned; returns in the end what the controller made of them."""

    @abstractmethod
    def give(self, number: int, offer: Offer | None) -> None:
        """Take the chunk of a window, None when there is none; call in the windows' order."""

    @abstractmethod
    def log(self) -> ControllerLog:
        """Return the replay, once every window has been given.

        Raises:
            AdpError: The controller can't be replayed.
        """


class Afterwards(Beside):
    """Replays the controller when everything is there."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self._offers: dict[int, Offer] = {}

    def give(self, number: int, offer: Offer | None) -> None:
        """Keep it."""
        if offer is not None:
            self._offers[number] = offer

    def log(self) -> ControllerLog:
        """Replay now."""
        return self._replay(self._offers)


class Meanwhile(Beside):
    """Hands chunks over to the other process.

    Args:
        pipe: To that process.
        sender: Its one thread sends, so that nobody waits while the other process is behind.
    """

    def __init__(self, pipe: Connection, sender: Executor) -> None:
        self._pipe = pipe
        self._sender = sender
        self._sent: list[Future[None]] = []

    def give(self, number: int, offer: Offer | None) -> None:
        """Have it sent."""
        self._sent.append(self._sender.submit(self._send, number, offer))

    def _send(self, number: int, offer: Offer | None) -> None:
        try:
            self._pipe.send((number, offer))
        except BrokenPipeError:  # it has ended; why, it says in its answer
            return

    def log(self) -> ControllerLog:
        """Wait for the other process."""
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
def controller_beside(replay: Replay) -> Iterator[Beside]:
    """Start the controller's replay in another process, on one core only afterwards in this one.

    Call it before threads are started: the process is a fork of this one, so that it has the bag
    already.
    """
    if len(os.sched_getaffinity(0)) < 2:
        yield Afterwards(replay)
        return
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(replay, theirs, ours), daemon=True)
    gc.freeze()  # what waits to be freed here may need threads that a fork does not have
    try:
        process.start()
    finally:
        gc.unfreeze()
    theirs.close()
    with ours, ThreadPoolExecutor(max_workers=1, thread_name_prefix="offers") as sender:
        try:
            yield Meanwhile(ours, sender)
        finally:
            process.terminate()  # nothing that it still does is of use
            process.join()
            sender.shutdown(cancel_futures=True)  # what is being sent breaks off


class _Coming:
    """Offers that are still being made."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._offers: dict[int, Offer | None] = {}

    def get(self, number: int) -> Offer | None:
        """Wait for the chunk of a window; None when it has none."""
        while number not in self._offers:
            given, offer = self._pipe.recv()
            self._offers[given] = offer
        return self._offers.pop(number)


def _work(replay: Replay, pipe: Connection, parents: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    parents.close()  # else the parent's end would never be missed here
    try:
        answer: ControllerLog | AdpError = replay(_Coming(pipe))
    except AdpError as error:
        answer = error
    except EOFError:  # the parent has given up
        return
    pipe.send(answer)
