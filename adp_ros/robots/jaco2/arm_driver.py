"""The driver of a real arm: one loop that sends points, reads in turn, and stops at once.

All calls of the SDK but one are made by the thread that calls :meth:`ArmDriver.work`; requests and
points of other threads wait for it. Between two calls it looks for a stop, then for a request,
then for a point; else it reads what is due. Kinova's way home is one call that lasts until the
arm is there: a stop meanwhile is sent beside it.
"""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from enum import Enum
from typing import Final

import numpy as np

from ...errors import AdpError, ArmError
from ...health import Level
from ...types import FloatArray
from .arm_connection import ArmConnection, connect, disconnect, init_fingers
from .arm_pace import PointGate, ReadSchedule
from .arm_reads import ArmReads, Deliver, read_periods
from .driver_settings import ArmDriverSettings
from .sdk import Sdk
from .sdk_errors import SdkError
from .sdk_types import TrajectoryPoint, is_finite, moves

_LATE: Final = 0.02  # [s] after which a point is no longer sent
_WAITING: Final = 2  # points at most
_UNSENT: Final = 3  # points in a row that can't be sent, after which the arm is stopped
_FAILURES: Final = 5  # calls in a row after which the arm is taken for lost
_RESTART: Final = 0.05  # [s] between stop and start, as in kinova-ros
_BEFORE_HOME: Final = 1.0  # [s], as in kinova-ros
_HOME: Final = 60.0  # [s] that the way home may take
_REST: Final = 0.005  # [s] without work at most
_POLL: Final = 0.01  # [s]
_PATIENCE: Final = 0.2  # [s] between two looks for an arm at the start
_CANDLE: Final = 180.0  # [deg]
_CANDLE_OFF: Final = 3.0  # [deg]
_SAME: Final = 1.0  # [s] in which the same failure is said once

Say = Callable[[Level, str], None]


class ArmMode(str, Enum):
    """What the driver does with points."""

    READY = "ready"
    STOPPED = "stopped"
    HOMING = "homing"
    LOST = "lost"

    def __str__(self) -> str:
        return self.value


class ArmDriver:
    """One arm over Kinova's SDK.

    Args:
        sdk: The library.
        settings: Which arm, and how often it is read.
        deliver: Gets each value that was read, with the time of its own read.
        say: Gets level and text for the log; OK is for the curious.
        clock: Returns the time in [s], monotonic.
    """

    def __init__(
        self,
        sdk: Sdk,
        settings: ArmDriverSettings,
        deliver: Deliver,
        say: Say,
        clock: Callable[[], float],
    ) -> None:
        self._sdk = sdk
        self._settings = settings
        self._say = say
        self._clock = clock
        self._wake = threading.Condition()
        self._points: deque[tuple[float, TrajectoryPoint]] = deque(maxlen=_WAITING)
        self._stops: list[Future[str]] = []
        self._requests: deque[tuple[Callable[[], str], Future[str]]] = deque()
        self._gate = PointGate(settings.most_points)
        self._schedule = ReadSchedule(read_periods(settings, sdk))
        self.reads = ArmReads(sdk, settings, deliver, self._gate, clock)
        self.connection: ArmConnection | None = None
        self.mode = ArmMode.LOST
        self.trouble = ""
        self.sent = self.dropped = self.failed = 0
        self._failures = 0
        self._failed_at = 0.0
        self._unsent = 0  # points in a row that the arm did not take
        self._unfinished = ""  # reason of a stop that the arm has not confirmed
        self._stream_end = 0.0  # [s] when the stream counts as ended; 0 without one
        self._delay = settings.reconnect_delay
        self._due = 0.0

    @property
    def fullest(self) -> int:
        """Most points that the arm has said its queue held."""
        return self._gate.largest

    @property
    def fingers(self) -> FloatArray:
        """Newest finger positions, shape (3,), in [ticks]."""
        return self.reads.fingers

    def start(self) -> None:
        """Connect for the first time; wait for the arm as the settings say.

        Raises:
            AdpError: There is no such arm, or it can't be used.
        """
        until = self._clock() + self._settings.patience
        while self.connection is None:
            try:
                self.connection = connect(self._sdk, self._settings)
            except SdkError as error:
                if not error.gone or self._clock() > until:
                    raise
                self._pause(_PATIENCE)
        self.mode = ArmMode.READY

    def submit(self, point: TrajectoryPoint) -> None:
        """Take a point for the arm; from any thread."""
        now = self._clock()
        with self._wake:
            if len(self._points) == _WAITING:
                self.dropped += 1
            self._points.append((now, point))
            self._wake.notify()

    def ask_stop(self) -> "Future[str]":
        """Ask for a stop; its future is done when the arm has confirmed. From any thread."""
        done: Future[str] = Future()
        with self._wake:
            self._stops.append(done)
            self._points.clear()
            self._wake.notify()
        if self.mode is ArmMode.HOMING:
            try:
                self._sdk.call_beside("StopControlAPI")
            except SdkError as error:
                self._say(Level.ERROR, f"beside the way home {error}")
        return done

    def ask_start(self) -> "Future[str]":
        """Ask the arm to take points again."""
        return self._ask(self._start)

    def ask_clear(self) -> "Future[str]":
        """Ask for the arm's queue to be erased."""
        return self._ask(self._erase)

    def ask_home(self) -> "Future[str]":
        """Ask for Kinova's own way home, then for open fingers; nothing is read meanwhile."""
        return self._ask(self._home)

    def ask_fingers(self) -> "Future[str]":
        """Ask for the fingers to be initialised, which opens the hand."""
        return self._ask(self._init_fingers)

    def ask_zero_torques(self) -> "Future[str]":
        """Ask to take the present torques for zero; the arm must be in its candle pose."""
        return self._ask(self._zero_torques)

    def work(self) -> None:
        """Do one thing, or wait a little when there is nothing to do."""
        now = self._clock()
        if self.mode is ArmMode.LOST:
            self._reconnect(now)
            return
        try:
            self._work(now)
        except SdkError as error:
            self._fail(error)
        else:
            self._failures = 0

    def close(self) -> None:
        """Stop the arm and let go of it."""
        if self.mode is not ArmMode.LOST:
            disconnect(self._sdk, lambda words: self._say(Level.ERROR, words))
        self.mode = ArmMode.LOST
        for done in [*self._stops, *(asked for _, asked in self._requests)]:
            done.cancel()

    def _work(self, now: float) -> None:
        if self._stops or self._unfinished:
            self._stop(self._unfinished)
        elif self._requests:
            self._serve()
        elif self._stream_end and now > self._stream_end:
            self._stop("the stream of velocities has ended")
        elif (point := self._next_point(now)) is not None:
            self._send(point)
        elif (name := self._schedule.next(now)) is not None:
            trouble = self.reads.perform(name, self.connection)
            if trouble and self.mode is ArmMode.READY:
                self.trouble = trouble
                self._stop(f"{trouble}; call start to go on")
        else:
            self._wait(min(_REST, self._schedule.wait(now)))

    def _wait(self, seconds: float) -> None:
        with self._wake:
            if not (self._points or self._stops or self._requests):
                self._wake.wait(seconds)

    def _next_point(self, now: float) -> TrajectoryPoint | None:
        """Return a point to send now; what is late, too much or not wanted is dropped."""
        with self._wake:
            if not self._points:
                return None
            arrival, point = self._points.popleft()
        wanted = self.mode is ArmMode.READY and is_finite(point)
        if not wanted or now - arrival > _LATE or not self._gate.admits(now):
            self.dropped += 1
            return None
        return point

    def _send(self, point: TrajectoryPoint) -> None:
        try:
            self._sdk.send(point)
        except SdkError as error:
            self._unsent += 1
            if self._unsent == _UNSENT:
                self.trouble = self._unfinished = f"points can't be sent: {error}"
            raise
        self._unsent = 0
        now = self._clock()
        self._gate.sent(now)
        self.sent += 1
        self._stream_end = now + self._settings.stream_timeout if moves(point) else 0.0

    def _stop(self, reason: str) -> None:
        """Stop, and confirm it to those who asked; `reason` is empty when it was only they."""
        with self._wake:
            asked, self._stops = self._stops, []
            self._points.clear()
        self.mode, self._stream_end = ArmMode.STOPPED, 0.0
        try:
            self._sdk.stop()
        except SdkError:
            self._stops, self._unfinished = asked + self._stops, reason  # tried again
            raise
        self._gate.clear()
        self._unfinished = ""
        if reason:
            self._say(Level.WARN, f"arm stopped: {reason}")
        self._confirm(asked)

    @staticmethod
    def _confirm(asked: "list[Future[str]]") -> None:
        for done in asked:
            if not done.cancelled():
                done.set_result("stopped, trajectory queue erased")

    def _ask(self, request: Callable[[], str]) -> "Future[str]":
        done: Future[str] = Future()
        with self._wake:
            if self.mode is ArmMode.LOST:
                done.set_exception(ArmError(f"the arm is lost: {self.trouble}"))
            else:
                self._requests.append((request, done))
            self._wake.notify()
        return done

    def _serve(self) -> None:
        with self._wake:
            request, done = self._requests.popleft()
        try:
            result = request()
        except AdpError as error:
            done.set_exception(ArmError(str(error)))
            if isinstance(error, SdkError):
                raise
        else:
            done.set_result(result)

    def _start(self) -> str:
        self._sdk.call("StopControlAPI")
        if not self._pause(_RESTART):
            return "not started: stopped meanwhile"
        self._sdk.call("StartControlAPI")
        if self._stops:
            return "not started: stopped meanwhile"
        self._gate.clear()
        self.trouble, self.mode = "", ArmMode.READY
        return "started"

    def _erase(self) -> str:
        self._sdk.call("EraseAllTrajectories")
        self._gate.clear()
        return ""

    def _home(self) -> str:
        if self.mode is not ArmMode.READY:
            return "nothing done: stopped, call start first"
        self._sdk.stop()
        self._gate.clear()
        self.mode = ArmMode.HOMING
        try:
            if self._pause(_BEFORE_HOME):
                self._sdk.call("StartControlAPI")
                self._sdk.call("MoveHome", limit=_HOME)
                if not self._stops:
                    init_fingers(self._sdk)
        finally:
            self.mode = ArmMode.STOPPED if self._stops else ArmMode.READY
        return "stopped on the way home" if self._stops else "arm is home"

    def _init_fingers(self) -> str:
        if self.mode is not ArmMode.READY:
            raise ArmError(f"fingers are not initialised: the arm is {self.mode}, call start first")
        init_fingers(self._sdk)
        return "fingers initialised, the hand is open"

    def _zero_torques(self) -> str:
        off = np.abs((np.degrees(self.reads.joints) - _CANDLE + 180.0) % 360.0 - 180.0)
        if not (off <= _CANDLE_OFF).all():
            joint = int(np.nanargmax(off))
            raise ArmError(
                f"torques are not zeroed: joint {joint + 1} is {off[joint]:.0f} deg away from "
                f"{_CANDLE:.0f}, allowed: {_CANDLE_OFF:.0f}; the candle pose is needed, all joints "
                "at 180 deg, in which gravity loads none of them"
            )
        for joint in range(1, 7):
            self._sdk.zero_torque(joint)
        return "present torques are zero now"

    def _pause(self, seconds: float) -> bool:
        """Wait; False when a stop was asked for meanwhile."""
        end = self._clock() + seconds
        with self._wake:
            return not self._wake.wait_for(lambda: bool(self._stops), end - self._clock())

    def _fail(self, error: SdkError) -> None:
        """Say it, and take the arm for lost when it has gone or fails again and again."""
        self.failed += 1
        self._failures += 1
        now = self._clock()
        if error.gone or self._failures >= _FAILURES:
            self._lose(error)
        elif now - self._failed_at > _SAME:
            self._failed_at = now
            self._say(Level.WARN, str(error))

    def _lose(self, error: SdkError) -> None:
        with self._wake:
            self.mode, self.trouble, self._stream_end = ArmMode.LOST, str(error), 0.0
            refused = [done for _, done in self._requests]
            self._requests.clear()
        for done in refused:
            done.set_exception(ArmError(f"the arm is lost: {error}"))
        self._failures = 0
        self._say(Level.ERROR, f"arm lost: {error}")
        disconnect(self._sdk, lambda words: self._say(Level.OK, words))
        self._delay = self._settings.reconnect_delay
        self._due = self._clock() + self._delay

    def _reconnect(self, now: float) -> None:
        if now < self._due:
            with self._wake:
                self._points.clear()
                self._wake.wait(min(_POLL, self._due - now))
            return
        try:
            self.connection = connect(self._sdk, self._settings)
            self._sdk.stop()
        except AdpError as error:
            self._delay = min(2.0 * self._delay, self._settings.reconnect_delay_max)
            self._due = self._clock() + self._delay
            self._say(Level.WARN, f"{error}; next look in {self._delay:g} s")
            return
        self._gate.clear()
        with self._wake:
            asked, self._stops, self._unfinished = self._stops, [], ""
            self._points.clear()
        self.mode = ArmMode.STOPPED
        self._say(Level.WARN, "arm found again; nothing moves until start is called")
        self._confirm(asked)
