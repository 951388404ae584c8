"""The controller: samples and chunks in, requests of people, one command per tick out."""

from dataclasses import replace
from typing import Final

import numpy as np

from ..errors import SafetyError
from ..geometry import length
from ..robots.robot import robot_named
from ..types import (
    Chunk,
    EnableSample,
    FingersSample,
    FloatArray,
    JointsSample,
    PoseSample,
    Sample,
    Twist,
)
from .capsules import ArmGeometry
from .chunk_buffer import ChunkCounters, Offered, StepAction
from .controller_settings import ControllerSettings
from .envelope import Envelope
from .episode import Command, Episode, Moment, Motion, Output
from .feeds import MotionWatch
from .guard import Agreement, EnablingDevice
from .homing import Homing, plan_home
from .place import Place
from .safety_machine import Status
from .stopping import AfterStop
from .supervisor import SafetySnapshot, Supervisor
from .torque import TorqueLevel

_REST: Final = 0.002  # [m/s] of feedback that keep a resting arm in its place
_REST_TURN: Final = 0.01  # [rad/s]
_HOLDING: Final = 0.5  # opening of the hand below which it may hold an object
_MOVED: Final = 0.02  # [rad]
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
        robot, table = robot_named(settings.arm.robot_type), settings.envelope.table_height
        geometry = ArmGeometry(self.model, robot.shape(), settings.geometry, table)
        acceleration = velocity.max_linear_acceleration
        self.envelope = Envelope(settings.envelope, self.model, acceleration, geometry)
        motion = Motion(velocity, self.envelope, settings.chunk.step_period)
        self.episode = Episode(settings.chunk, motion)
        self.after_stop = AfterStop(settings.stop, velocity, self.envelope, self.supervisor)
        self.homing = Homing(settings.home, self.envelope, self.model)
        self.watch = MotionWatch(settings.safety.watch)
        self.agreement = Agreement(settings.guard, self.model)
        self.enabling = EnablingDevice(settings.guard)
        self.nodes: dict[str, str] = {}  # name of a process -> how it ended, empty while it runs
        self.obstacles: dict[str, str] = {}  # cause -> why nothing may move, in words
        self._driver_homes = False
        self._sent: Twist | None = None
        self._last_tick: float | None = None
        self._asleep = 0.0
        self.stop_delay = 0.0  # [s] from the sample or call that asked for the last stop to a zero

    @property
    def status(self) -> Status:
        """State of the machine."""
        return self.supervisor.machine.status

    @property
    def stop_confirmed(self) -> bool:
        """True when the driver has answered to the last stop."""
        return self.after_stop.sequence.answered

    @property
    def stop_number(self) -> int:
        """Number of the last stop, see :meth:`confirm_stop`."""
        return self.after_stop.sequence.number

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
        """Take one measurement as it arrives; an overload stops the arm at once."""
        if isinstance(sample, EnableSample):
            self.enabling.take(sample.arrival, held=sample.held)
            return
        self.supervisor.take(sample)
        if isinstance(sample, PoseSample):
            self.agreement.take_pose(sample, self.supervisor.feedback.chain(self.model))
        elif isinstance(sample, JointsSample):
            self.agreement.take_joints(sample)
        elif isinstance(sample, FingersSample):
            self.agreement.take_opening(sample.opening, sample.arrival)

    def offer(self, chunk: Chunk, now: float) -> Offered:
        """Take a chunk from the policy; its stamp is on the controller's clock."""
        if not self.status.executing:
            return Offered.UNREQUESTED
        return self.episode.buffer.offer(chunk, now)

    def refuse(self, problem: str) -> None:
        """Take note of a chunk that could not even be read; the arm comes to rest."""
        if self.status.executing:
            self.episode.buffer.refuse(problem)

    def require_free(self, request: str, now: float) -> float:
        """Refuse motion while something forbids it; return the hand's measured opening.

        Raises:
            SafetyError: Says why, beginning with the name of the request.
        """
        self.supervisor.require_armed(request)
        for obstacle in self.obstacles.values():
            if obstacle:
                raise SafetyError(f"{request} refused: {obstacle}")
        if problem := self.enabling.begin(now):
            raise SafetyError(f"{request} refused: {problem}")
        opening = self.supervisor.feedback.opening
        if opening is None:
            raise SafetyError(f"{request} refused: fingers have not been received")
        return opening

    def start(self, now: float) -> None:
        """Begin an episode.

        Raises:
            SafetyError: Says why not.
        """
        opening = self.require_free("start", now)
        self.supervisor.start(now)
        self.episode.begin(now, opening)
        self._begin_motion()

    def plan_home(self) -> FloatArray:
        """Return a checked way home, shape (n, 6), in [rad]; takes up to a second.

        Raises:
            SafetyError: There is none, or where the arm is, is not known.
        """
        joints = self.supervisor.feedback.joints
        if joints is None:
            raise SafetyError("home refused: joints has not been received")
        return plan_home(self.model, self.envelope, joints, self.supervisor.feedback.opening)

    def home(self, now: float, way: FloatArray | None) -> None:
        """Begin the way home.

        Args:
            now: Time in [s].
            way: See :meth:`plan_home`; None when the driver itself moves the arm.

        Raises:
            SafetyError: Says why not.
        """
        opening = self.require_free("home", now)
        if self.settings.arm.dry_run:
            raise SafetyError("home refused: dry_run is true, nothing is sent to the arm")
        joints = self.supervisor.feedback.joints
        if way is not None and (joints is None or np.abs(way[0] - joints).max() > _MOVED):
            raise SafetyError("home refused: the arm has moved since its way home was looked for")
        self.supervisor.home(now)
        self._driver_homes = way is None
        if way is not None:
            self.homing.begin(way, now)
        self.episode.halt(opening)
        self._begin_motion()

    def end_homing(self, now: float) -> None:
        """Note that the driver has brought the arm home, or has given up."""
        if self._driver_homes:
            self._driver_homes = False
            self.supervisor.arrive(now)

    def stop(self, now: float, cause: str = "stop_called", message: str = "") -> None:
        """Stop and latch; a retreat ends as well."""
        self.after_stop.retreat.cancel()
        self.supervisor.stop(now, cause, message or "stop was called")

    def confirm_stop(self, number: int) -> None:
        """Note that the driver has stopped; ``number`` is the one that :class:`Output` gave."""
        self.after_stop.sequence.confirm(number)

    def motion(self, now: float) -> str:
        """Say what of the arm moves, empty when it stands still."""
        return self.agreement.motion(now)

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

    def obstruct(self, cause: str, message: str, now: float) -> None:
        """Forbid motion for a reason, stop and latch if the arm moves; or allow it again.

        Args:
            cause: Stable short name, such as ``second_publisher``.
            message: Why, in words; empty when the reason is gone.
            now: Time in [s].
        """
        self.obstacles[cause] = message
        if message:
            self.supervisor.trip(now, cause, message)

    def reset(self, now: float) -> None:
        """Clear the latch without moving.

        Raises:
            SafetyError: Says what is not quiet.
        """
        self.supervisor.reset(now)

    def tare(self, now: float) -> FloatArray:
        """Measure the torque sensors' offset, for instance with an object lifted.

        Returns:
            The offset, shape (6,), in [N m].

        Raises:
            SafetyError: Says why not.
        """
        if self.status is Status.HOMING or (self._sent is not None and _moves(self._sent)):
            raise SafetyError("tare refused: the arm moves")
        return self.supervisor.tare(now)

    def tick(self, now: float, asleep: float = 0.0) -> Output:
        """Advance to a time and return what is to be sent; call once per period.

        Args:
            now: Time in [s].
            asleep: Time in [s] for which the machine has slept so far; ``now`` stood still then.
        """
        self._judge_gap(now, asleep)
        period = self._period(now)
        self._judge_motion(now, period)
        reaches = None if self.settings.arm.dry_run else self._sent
        self.supervisor.check(now, reaches, self.agreement.fault())
        if self.after_stop.note(now, homing=self._driver_homes):
            self.episode.halt(self.supervisor.feedback.opening)
            self._driver_homes = False
            self._begin_motion()
            last = self.supervisor.machine.last
            self.stop_delay = now - last.time if last is not None else 0.0
        output = self._act(now, period)
        self._sent = output.command.twist if output.command else None
        return output

    def standstill(self) -> Command:
        """Return the command that keeps the arm still and the fingers where they are."""
        return self._command(Twist.zero())

    def snapshot(self) -> SafetySnapshot:
        """Return the state to publish; while moving, with what limits the motion."""
        state = self.supervisor.snapshot()
        if not self.status.executing or state.cause:
            return state
        cause, message = self.episode.hindrance()
        return replace(state, cause=cause, message=message)

    def _begin_motion(self) -> None:
        """Forget what was commanded before."""
        self.watch.reset()
        self.agreement.reset()

    def _judge_gap(self, now: float, asleep: float) -> None:
        """Latch after a pause: the world went on, and nobody has confirmed that it is as before."""
        slept, self._asleep = asleep - self._asleep, asleep
        gap = slept + (now - self._last_tick if self._last_tick is not None else 0.0)
        limit = self.settings.guard.tick_gap
        if gap > limit:
            text = f"the controller stood still for {gap:.2f} s, allowed: {limit:g} s"
            self.supervisor.trip(now, "time_gap", text)

    def _judge_motion(self, now: float, period: float) -> None:
        """Compare what was sent with what the arm does, and latch when motion may not go on."""
        if self.status.moving and (problem := self.enabling.problem(now)):
            self.supervisor.trip(now, "enable_lost", problem)
        limit = self.settings.chunk.rest_limit
        if self.status.executing and now - self.episode.starved_since > limit:
            text = f"no action was due for {limit:g} s"
            self.supervisor.trip(now, "chunks_missing", f"{text} (chunk.rest_limit)")
        feedback, pose = self.supervisor.feedback, self.supervisor.feedback.pose
        if pose is None or self._driver_homes or self.settings.arm.dry_run:
            self.watch.reset()
            return
        sent = self._sent or Twist.zero()
        self.watch.take(now, length(sent.linear), pose.position)
        if self.status.moving:
            self.agreement.told(now, sent, period, feedback.places)
            if time := self.watch.ignored(now):
                text = f"commanded but not moving for {time:.1f} s"
                self.supervisor.trip(now, "not_moving", text)

    def _act(self, now: float, period: float) -> Output:
        sequence = self.after_stop.sequence
        if self.status is Status.HOMING:
            return Output() if self._driver_homes else self._move_home(now, period)
        if self.status.moving:
            return self._move(now, period)
        if not sequence.sends_zero(now):
            return Output()
        command = self._command(self.after_stop.twist(now, period))
        clears = sequence.clears_driver(now)
        return Output(command, stop_driver=sequence.asks_driver(now), clear_driver=clears)

    def _period(self, now: float) -> float:
        nominal = self.settings.stream.period
        last, self._last_tick = self._last_tick, now
        return nominal if last is None else min(max(now - last, 1e-4), _LONGEST_TICK)

    def _place(self) -> Place:
        feedback = self.supervisor.feedback
        if feedback.pose is None or feedback.joints is None:
            raise RuntimeError("moving without pose and joints")
        return self.envelope.place(feedback.joints, feedback.pose, feedback.opening)

    def _move(self, now: float, period: float) -> Output:
        self.supervisor.holding = self.episode.opening < _HOLDING
        slowed = self.status is Status.SLOWED
        moment = Moment(now, period, self._place(), self.supervisor.feedback.pose_at, slowed)
        command = self._command(self.episode.tick(moment))
        return Output(command, self.episode.request(moment))

    def _move_home(self, now: float, period: float) -> Output:
        place = self._place()
        slow = self.supervisor.torque.level is not TorqueLevel.OK
        share = self.settings.velocity.slow_share if slow else 1.0
        speeds = self.homing.speeds(place.joints, place.jacobian, period, share)
        if problem := self.homing.problem(now, place):
            self.supervisor.trip(now, "home_failed", problem)
        elif self.homing.done:
            self.supervisor.arrive(now)
        if self.status is not Status.HOMING:
            speeds = np.zeros(6)
        twist = place.jacobian @ speeds
        command = self._command(Twist(twist[:3], twist[3:]))
        return Output(replace(command, joint_speeds=speeds))

    def _command(self, twist: Twist) -> Command:
        pose = self.supervisor.feedback.pose
        rotation = np.eye(3) if pose is None else pose.rotation
        return Command(twist, self.episode.opening, rotation)


def _moves(twist: Twist) -> bool:
    return bool(np.linalg.norm(twist.linear) > _REST or np.linalg.norm(twist.angular) > _REST_TURN)
