"""The controller: samples and chunks in, requests of people, one command per tick out."""

from dataclasses import replace
from typing import Final

import numpy as np

from ..errors import SafetyError
from ..geometry import length
from ..types import Chunk, FloatArray, Sample, Twist
from .chunk_buffer import ChunkCounters, Offered, StepAction
from .controller_settings import ControllerSettings
from .envelope import Envelope, Place
from .episode import Command, Episode, Moment, Motion, Output
from .feeds import MotionWatch
from .safety_machine import Status
from .stopping import AfterStop
from .supervisor import SafetySnapshot, Supervisor

_REST: Final = 0.002  # [m/s] of feedback that keep a resting arm in its place
_REST_TURN: Final = 0.01  # [rad/s]
_HOLDING: Final = 0.5  # opening of the hand below which it may hold an object
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
        velocity = settings.velocity
        envelope = Envelope(settings.envelope, self.model, velocity.max_linear_acceleration)
        motion = Motion(velocity, envelope, settings.chunk.step_period)
        self.episode = Episode(settings.chunk, motion)
        self.after_stop = AfterStop(settings.stop, velocity, envelope, self.model, self.supervisor)
        self.watch = MotionWatch(settings.safety.watch)
        self.nodes: dict[str, str] = {}  # name of a process -> how it ended, empty while it runs
        self._homing = False
        self._sent: Twist | None = None
        self._last_tick: float | None = None

    @property
    def status(self) -> Status:
        """State of the machine."""
        return self.supervisor.machine.status

    @property
    def stop_confirmed(self) -> bool:
        """True when the driver has answered to the last stop."""
        return self.after_stop.sequence.answered

    @property
    def counters(self) -> ChunkCounters:
        """Steps and chunks since the episode began."""
        return self.episode.buffer.counters

    @property
    def slot(self) -> int:
        """Number of the policy step in the episode, -1 before the first."""
        return self.episode.buffer.slot

    @property
    def action(self) -> StepAction | None:
        """Action of the present step, None when the arm is to rest."""
        return self.episode.action

    @property
    def opening(self) -> float:
        """Gripper that is commanded, 0 closed to 1 open."""
        return self.episode.opening

    def take(self, sample: Sample) -> None:
        """Take one measurement of the arm as it arrives; an overload stops the arm at once."""
        self.supervisor.take(sample)

    def confirm_stop(self) -> None:
        """Note that the driver has stopped."""
        self.after_stop.sequence.confirm()

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
        self.episode.begin(self.supervisor.feedback.opening)
        self.watch.reset()

    def stop(self, now: float, cause: str = "stop_called", message: str = "") -> None:
        """Stop and latch; a retreat ends as well."""
        self.after_stop.retreat.cancel()
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

    def tare(self, now: float) -> FloatArray:
        """Measure the torque sensors' offset anew, for instance with an object lifted.

        Returns:
            The offset, shape (6,), in [N m].

        Raises:
            SafetyError: Says why not.
        """
        if self._homing or (self._sent is not None and _moves(self._sent)):
            raise SafetyError("tare refused: the arm moves")
        return self.supervisor.tare(now)

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

    def offer(self, chunk: Chunk, now: float) -> Offered:
        """Take a chunk from the policy; its stamp is on the controller's clock."""
        if not self.status.moving:
            return Offered.UNREQUESTED
        return self.episode.buffer.offer(chunk, now)

    def refuse(self, problem: str) -> None:
        """Take note of a chunk that could not even be read; the arm comes to rest."""
        if self.status.moving:
            self.episode.buffer.refuse(problem)

    def tick(self, now: float) -> Output:
        """Advance to a time and return what is to be sent; call once per period."""
        period = self._period(now)
        self.supervisor.check(now, None if self.settings.arm.dry_run else self._sent)
        if self.after_stop.note(now, homing=self._homing):
            self.episode.halt()
        if self.status.moving:
            output = self._move(now, period)
        elif self.after_stop.sequence.sends_zero(now):
            command = self._command(self.after_stop.twist(now, period))
            output = Output(command, stop_driver=self.after_stop.sequence.asks_driver(now))
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

    def _move(self, now: float, period: float) -> Output:
        feedback = self.supervisor.feedback
        if feedback.pose is None or feedback.joints is None:
            raise RuntimeError("moving without pose and joints")
        place = Place.at(self.model, feedback.joints, feedback.pose)
        self.supervisor.holding = self.episode.opening < _HOLDING
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
        speed = 0.0 if self._sent is None else length(self._sent.linear)
        self.watch.take(now, speed, pose.position)


def _moves(twist: Twist) -> bool:
    return bool(np.linalg.norm(twist.linear) > _REST or np.linalg.norm(twist.angular) > _REST_TURN)
