"""The controller: what it is told, what it measures, and the one command per tick."""

from dataclasses import replace
from typing import Final

import numpy as np

from ..chunk import Outcome
from ..envelope import Envelope, Place
from ..errors import SafetyError
from ..kinematics import ArmModel
from ..safety import MotionWatch, SafetySnapshot, Status, Supervisor
from ..types import Chunk, Twist
from .episode import Episode
from .motion import Moment, Motion
from .output import Command, Output
from .settings import ControllerSettings
from .stopping import StopSequence

_LONGEST_TICK: Final = 0.03  # [s] of motion that one tick plans, however late it is


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
        self.episode = Episode(settings.chunk, _make_motion(settings, self.model))
        self.stopping = StopSequence(settings.stop)
        self.watch = MotionWatch(settings.safety.watch)
        self.measured_opening: float | None = None
        self.nodes: dict[str, str] = {}  # name of a process -> how it ended, empty while it runs
        self._homing = False
        self._sent: Twist | None = None
        self._last_tick: float | None = None
        self._stops = 0

    @property
    def status(self) -> Status:
        """State of the machine."""
        return self.supervisor.machine.status

    def offer(self, chunk: Chunk, now: float) -> Outcome:
        """Take a chunk from the policy; its stamp is on the controller's clock."""
        if not self.status.moving:
            return Outcome.UNREQUESTED
        return self.episode.buffer.offer(chunk, now)

    def refuse(self, problem: str) -> None:
        """Take note of a chunk that could not even be read; the arm comes to rest."""
        if self.status.moving:
            self.episode.buffer.refuse(problem)

    def require_ready(self, request: str) -> None:
        """Refuse a request unless the controller is armed and nobody else moves the arm.

        Raises:
            SafetyError: Says why not.
        """
        if self._homing:
            raise SafetyError(f"{request} refused: the driver is moving the arm home")
        self.supervisor.require_armed(request)

    def start(self, now: float) -> None:
        """Begin an episode.

        Raises:
            SafetyError: Says why not.
        """
        self.require_ready("start")
        self.supervisor.start(now)
        self.episode.begin(self.measured_opening)
        self.watch.reset()

    def stop(self, now: float, cause: str = "stop_called", message: str = "") -> None:
        """Stop and latch."""
        self.supervisor.stop(now, cause, message or "stop was called")

    def find_node(self, name: str) -> None:
        """Take note of a process that the motion depends on; its end stops the arm."""
        self.nodes[name] = ""

    def lose_node(self, name: str, message: str, now: float) -> None:
        """Stop and latch if the arm moves: a process that the motion depends on has ended.

        Args:
            name: Its name.
            message: What happened, in words.
            now: Time in [s].
        """
        self.nodes[name] = message
        self.supervisor.lose_node(now, message)

    def reset(self, now: float) -> None:
        """Clear the latch without moving.

        Raises:
            SafetyError: Says what is not quiet.
        """
        self.supervisor.reset(now)

    def begin_homing(self, now: float) -> None:
        """Leave the arm to the driver for its way home, watched by the torque monitor.

        Raises:
            SafetyError: Says why not.
        """
        self.require_ready("home")
        if self.settings.arm.dry_run:
            raise SafetyError("home refused: dry_run is true, nothing is sent to the arm")
        self.supervisor.torque.capture_tare(now)
        self._homing = True

    def end_homing(self) -> None:
        """Note that the driver has finished."""
        self._homing = False

    def tick(self, now: float) -> Output:
        """Advance to a time and return what is to be sent; call once per period."""
        period = self._period(now)
        self.supervisor.check(now, None if self.settings.arm.dry_run else self._sent)
        self._note_stop(now)
        if self.status.moving:
            output = self._move(now, period)
        elif self.stopping.sends_zero(now):
            output = Output(self.standstill(), stop_driver=self.stopping.asks_driver(now))
        else:
            output = Output()
        self._sent = output.command.twist if output.command else None
        self._watch_motion(now)
        return output

    def standstill(self) -> Command:
        """Return the command that keeps the arm still and the fingers where they are."""
        return self._command(Twist.zero())

    def snapshot(self) -> SafetySnapshot:
        """Return the state to publish; while moving, with what limits the motion."""
        state = self.supervisor.snapshot()
        if not self.status.moving or state.cause:
            return state
        cause, message = self.episode.hindrance()
        return replace(state, cause=cause, message=message)

    def _period(self, now: float) -> float:
        nominal = self.settings.stream.period
        last, self._last_tick = self._last_tick, now
        return nominal if last is None else min(max(now - last, 1e-4), _LONGEST_TICK)

    def _note_stop(self, now: float) -> None:
        stops = self.supervisor.machine.stops
        if stops != self._stops:
            self._stops = stops
            self.episode.halt()
            self.stopping.begin(now, at_once=self._homing)
        elif self.status is not Status.STOPPED:
            self.stopping.end()

    def _move(self, now: float, period: float) -> Output:
        feedback = self.supervisor.feedback
        if feedback.pose is None or feedback.joints is None:
            raise RuntimeError("moving without pose and joints")
        place = Place.at(self.model, feedback.joints, feedback.pose)
        slowed = self.status is Status.SLOWED
        moment = Moment(now, period, place, feedback.pose_at, slowed)
        command = self._command(self.episode.tick(moment))
        return Output(command, self.episode.request(moment))

    def _command(self, twist: Twist) -> Command:
        pose = self.supervisor.feedback.pose
        rotation = np.eye(3) if pose is None else pose.rotation
        return Command(twist, self.episode.opening, rotation)

    def _watch_motion(self, now: float) -> None:
        pose = self.supervisor.feedback.pose
        if pose is None or self._homing or self.settings.arm.dry_run:
            self.watch.reset()
            return
        speed = 0.0 if self._sent is None else float(np.linalg.norm(self._sent.linear))
        self.watch.take(now, speed, pose.position)


def _make_motion(settings: ControllerSettings, model: ArmModel) -> Motion:
    velocity = settings.velocity
    envelope = Envelope(settings.envelope, model, velocity.max_linear_acceleration)
    return Motion(velocity, envelope, settings.chunk.step_period)
