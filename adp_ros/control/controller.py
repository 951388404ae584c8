"""The controller: what it is told, what it measures, and the one command per tick."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from ..chunk import ChunkBuffer, Outcome
from ..envelope import Envelope, Place
from ..errors import SafetyError
from ..safety import MotionWatch, SafetySnapshot, Status, Supervisor
from ..types import Chunk, FloatArray, Twist
from .motion import Moment, Motion
from .settings import ControllerSettings
from .stopping import StopSequence
from .window import WindowMotion

_LONGEST_TICK: Final = 0.03  # [s] of motion that one tick plans, however late it is


@dataclass(frozen=True, slots=True)
class Command:
    """What is sent to the arm.

    Attributes:
        twist: Tool velocity in the base frame.
        opening: Gripper, 0 closed to 1 open.
        rotation: Orientation of the tool, tool -> base, shape (3, 3).
    """

    twist: Twist
    opening: float
    rotation: FloatArray


@dataclass(frozen=True, slots=True)
class WindowRequest:
    """The policy is to be asked for a chunk.

    Attributes:
        window: Number of the window.
        path: Path length of the tool in the window that ends, in [m]; NaN when unknown.
        net: Net displacement in it, in [m]; NaN when unknown.
    """

    window: int
    path: float
    net: float


@dataclass(frozen=True, slots=True)
class Output:
    """Result of one tick.

    Attributes:
        command: Message for the arm; None: send nothing.
        request: Request to the policy, or None.
        stop_driver: True when the driver's stop service is to be called.
    """

    command: Command | None = None
    request: WindowRequest | None = None
    stop_driver: bool = False


class Controller:
    """Everything between the policy's chunks and the driver's velocities.

    All times are in [s] on one clock that never goes back.

    Raises:
        ConfigError: When the envelope does not contain the home pose.
    """

    def __init__(self, settings: ControllerSettings) -> None:
        self.settings = settings
        self.model = settings.arm.model()
        self.supervisor = Supervisor(settings.safety, self.model)
        self.buffer = ChunkBuffer(settings.chunk)
        envelope = Envelope(
            settings.envelope, self.model, settings.velocity.max_linear_acceleration
        )
        self.motion = Motion(settings.velocity, envelope, settings.chunk.step_period)
        self.stopping = StopSequence(settings.stop)
        self.watch = MotionWatch(settings.safety.watch)
        self.opening = 1.0
        self.measured_opening: float | None = None
        self.driver_moves = False  # the driver is on its own way, such as home
        self._window = WindowMotion()
        self._asked: WindowRequest | None = None
        self._sent: Twist | None = None
        self._last_tick: float | None = None
        self._last_slot = -1
        self._stops = 0
        self.starved = False

    @property
    def status(self) -> Status:
        """State of the machine."""
        return self.supervisor.machine.status

    def offer(self, chunk: Chunk, now: float) -> Outcome:
        """Take a chunk from the policy; its stamp is on the controller's clock."""
        if not self.status.moving:
            return Outcome.UNREQUESTED
        return self.buffer.offer(chunk, now)

    def refuse(self, problem: str) -> None:
        """Take note of a chunk that could not even be read; the arm comes to rest."""
        if self.status.moving:
            self.buffer.refuse(problem)

    def require_ready(self, request: str) -> None:
        """Refuse a request unless the controller is armed and nobody else moves the arm.

        Raises:
            SafetyError: Says why not.
        """
        if self.driver_moves:
            raise SafetyError(f"{request} refused: the driver is moving the arm home")
        self.supervisor.require_armed(request)

    def begin_homing(self, now: float) -> None:
        """Leave the arm to the driver for its way home, watched by the torque monitor.

        Raises:
            SafetyError: Says why not.
        """
        self.require_ready("home")
        if self.settings.arm.dry_run:
            raise SafetyError("home refused: dry_run is true, nothing is sent to the arm")
        self.supervisor.torque.capture_tare(now)
        self.driver_moves = True

    def end_homing(self) -> None:
        """Note that the driver has finished."""
        self.driver_moves = False

    def standstill(self) -> Command:
        """Return the command that keeps the arm still and the fingers where they are."""
        return self._command(Twist.zero())

    def start(self, now: float) -> None:
        """Begin an episode.

        Raises:
            SafetyError: Says why not.
        """
        self.require_ready("start")
        self.supervisor.start(now)
        if self.measured_opening is not None:
            self.opening = self.measured_opening
        self.buffer.begin()
        self.motion.halt()
        self.watch.reset()
        self._window.begin(None)
        self._asked = None
        self._last_slot = -1
        self.starved = False

    def stop(self, now: float, cause: str = "stop_called", message: str = "") -> None:
        """Stop and latch."""
        self.supervisor.stop(now, cause, message or "stop was called")

    def reset(self, now: float) -> None:
        """Clear the latch without moving.

        Raises:
            SafetyError: Says what is not quiet.
        """
        self.supervisor.reset(now)

    def tick(self, now: float) -> Output:
        """Advance to a time and return what is to be sent; call once per period."""
        period = self._period(now)
        self.supervisor.check(now, None if self.settings.arm.dry_run else self._sent)
        self._note_change(now)
        if self.status.moving:
            output = self._move(now, period)
        elif self.stopping.sends_zero(now):
            asks = self.stopping.asks_driver(now)
            output = Output(self.standstill(), stop_driver=asks)
        else:
            output = Output()
        self._sent = output.command.twist if output.command else None
        self._watch_motion(now)
        return output

    def snapshot(self) -> SafetySnapshot:
        """Return the state to publish; while moving, with what limits the motion."""
        state = self.supervisor.snapshot()
        if not self.status.moving or state.cause:
            return state
        if self.buffer.fault:
            return replace(state, cause="chunk_refused", message=self.buffer.fault)
        if self.starved:
            return replace(state, cause="chunk_missing", message="no action is due, at rest")
        if self.motion.reasons:
            text = "motion is limited: " + ", ".join(self.motion.reasons)
            return replace(state, cause=self.motion.reasons[0], message=text)
        return state

    def _period(self, now: float) -> float:
        nominal = self.settings.stream.period
        last, self._last_tick = self._last_tick, now
        return nominal if last is None else min(max(now - last, 1e-4), _LONGEST_TICK)

    def _note_change(self, now: float) -> None:
        stops = self.supervisor.machine.stops
        if stops != self._stops:
            self._stops = stops
            self.motion.halt()
            self.buffer.clear()
            self.stopping.begin(now)
        elif self.status is not Status.STOPPED:
            self.stopping.end()

    def _move(self, now: float, period: float) -> Output:
        supervisor = self.supervisor
        if supervisor.pose is None or supervisor.joints is None:
            raise RuntimeError("moving without pose and joints")
        action = self.buffer.tick(now)
        if self.buffer.slot != self._last_slot:
            self._last_slot = self.buffer.slot
            self._window.step(supervisor.pose.position)
        self.starved = action is None and self.buffer.slot >= 0
        if action is not None:
            self.opening = float(np.clip(action.action[6], 0.0, 1.0))
        place = Place.at(self.model, supervisor.joints, supervisor.pose)
        slowed = self.status is Status.SLOWED
        twist = self.motion.tick(action, Moment(now, period, place, supervisor.pose_at, slowed))
        return Output(self._command(twist), self._request(now))

    def _request(self, now: float) -> WindowRequest | None:
        window = self.buffer.request(now)
        if window is None:
            return None
        if self._asked is None or self._asked.window != window:
            self._asked = WindowRequest(window, *self._window.measured())
            if self.supervisor.pose is not None:
                self._window.begin(self.supervisor.pose.position)
        return self._asked

    def _command(self, twist: Twist) -> Command:
        pose = self.supervisor.pose
        rotation = np.eye(3) if pose is None else pose.rotation
        return Command(twist, self.opening, rotation)

    def _watch_motion(self, now: float) -> None:
        if self.supervisor.pose is None or self.driver_moves or self.settings.arm.dry_run:
            self.watch.reset()
            return
        speed = 0.0 if self._sent is None else float(np.linalg.norm(self._sent.linear))
        self.watch.take(now, speed, self.supervisor.pose.position)
