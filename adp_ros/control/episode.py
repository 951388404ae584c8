"""One episode: chunks asked for, steps executed, motion made and measured."""

from dataclasses import dataclass
from math import nan
from typing import Final

import numpy as np

from ..geometry import length
from ..types import FloatArray, Twist
from .chunk_buffer import ChunkBuffer, StepAction
from .chunk_steps import ChunkConfig
from .envelope import Envelope
from .place import Place
from .velocity import PathFollower, TwistRamp, VelocityConfig, limited_increment, scaled_to


@dataclass(frozen=True, slots=True)
class Command:
    """What is sent to the arm.

    Attributes:
        twist: Tool velocity in the base frame.
        opening: Gripper, 0 closed to 1 open.
        rotation: Orientation of the tool, tool -> base, shape (3, 3).
        joint_speeds: Speeds to send in place of the twist, which they lead to, shape (6,), in
            [rad/s]; None for the twist.
    """

    twist: Twist
    opening: float
    rotation: FloatArray
    joint_speeds: FloatArray | None = None


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
        stop_driver: Number of the stop for which the driver's stop service is to be called, 0 for
            none; to be given back to :meth:`Controller.confirm_stop` with the answer.
        clear_driver: True when the driver's queue is to be erased.
    """

    command: Command | None = None
    request: WindowRequest | None = None
    stop_driver: int = 0
    clear_driver: bool = False


class WindowMotion:
    """Path length and net displacement since the last window began."""

    def __init__(self) -> None:
        self.begin(None)

    def begin(self, position: FloatArray | None) -> None:
        """Start a window.

        Args:
            position: Tool position, shape (3,), in [m]; None when unknown.
        """
        self._start = self._last = None if position is None else np.array(position)
        self._path = 0.0

    def step(self, position: FloatArray) -> None:
        """Take the tool position at the start of a step, shape (3,), in [m]."""
        if self._last is None:
            self.begin(position)
            return
        self._path += float(np.linalg.norm(position - self._last))
        self._last = np.array(position)

    def measured(self) -> tuple[float, float]:
        """Return path length and net displacement in [m]; NaN when the window never began."""
        if self._start is None or self._last is None:
            return nan, nan
        return self._path, float(np.linalg.norm(self._last - self._start))


_TINY: Final = 1e-9
_PLANNED_SHARE: Final = 0.8  # of acceleration and jerk; the rest is left for the feedback


@dataclass(frozen=True, slots=True)
class Moment:
    """Circumstances of one tick.

    Attributes:
        now: Time in [s].
        period: Time since the last tick in [s].
        place: Measured posture.
        pose_at: When its pose was measured, in [s].
        slowed: True to move at the reduced speed.
    """

    now: float
    period: float
    place: Place
    pose_at: float
    slowed: bool = False


class Motion:
    """Turns the action of the step into the velocity of the tick.

    The planned velocity is ramped and moves the path; feedback leads the tool to the path; their
    sum is ramped once more, so that a jump of the measurement is none of the command.

    Args:
        config: Speeds and accelerations.
        envelope: Limits on where the arm may go.
        step_period: Duration of a policy step in [s].
    """

    def __init__(self, config: VelocityConfig, envelope: Envelope, step_period: float) -> None:
        self._config = config
        self._envelope = envelope
        self._step_period = step_period
        self._path = PathFollower(config)
        self._planned_ramp = TwistRamp(config, _PLANNED_SHARE)
        self._sent_ramp = TwistRamp(config, 1.0)
        self._action: StepAction | None = None
        self._planned = Twist.zero()
        self._too_fast = False
        self.reasons: tuple[str, ...] = ()
        self.rate = 1.0  # of the chunks' clock
        self.near = ""  # what the arm is about to touch, in words

    def halt(self) -> None:
        """Stand still from this instant; the path is forgotten."""
        self._path.forget()
        self._planned_ramp.reset()
        self._sent_ramp.reset()
        self._action, self.rate = None, 1.0
        self.reasons, self.near = (), ""

    def tick(self, action: StepAction | None, moment: Moment) -> Twist:
        """Return the velocity to send.

        Args:
            action: Action of the step, None to come to rest.
            moment: Circumstances.

        Returns:
            Tool velocity in the base frame, within all limits.
        """
        reasons: list[str] = []
        self.near = ""
        self._take(action, moment, reasons)
        target = Twist.zero()
        if self._path.pose is not None:
            target = self._follow(moment, reasons)
        if action is None and not self._planned_ramp.moving:
            self._path.forget()
        ramped = self._capped(self._sent_ramp.follow(target, moment.period))  # turning overshoots
        limited = self._envelope.limit(ramped, moment.place, self.rate)
        self._sent_ramp.cut(limited.twist)
        self.reasons = tuple(dict.fromkeys([*reasons, *limited.reasons]))
        self.near = limited.near or self.near
        return limited.twist

    def _take(self, action: StepAction | None, moment: Moment, reasons: list[str]) -> None:
        """Plan the velocity of the step that begins; without action plan to stand still."""
        if action is None:
            self._planned, self._too_fast = Twist.zero(), False
        elif action is not self._action:
            start = self._path.start(moment.place.pose, moment.now)
            self._planned, self._too_fast = limited_increment(
                action.action, start.rotation, action.convention, self._step_period, self._config
            )
        self._action = action
        if self._too_fast:
            reasons.append("speed")
        self.rate = self._clock_rate(moment, reasons) if action is not None else 1.0

    def _clock_rate(self, moment: Moment, reasons: list[str]) -> float:
        """Return the rate of the chunks' clock; it changes no faster than the plan's ramp."""
        config = self._config
        if config.slowdown == "clamp":
            return 1.0
        rate, reason, self.near = self._envelope.clock_rate(
            self._planned, moment.place, config.slowest_clock
        )
        if reason:
            reasons.append(reason)
        if moment.slowed:
            rate = min(rate, config.slow_share)
        fastest = max(
            length(self._planned.linear) / config.max_linear_acceleration,
            length(self._planned.angular) / config.max_angular_acceleration,
            _TINY,
        )
        change = _PLANNED_SHARE * moment.period / fastest
        return min(max(rate, self.rate - change), self.rate + change)

    def _follow(self, moment: Moment, reasons: list[str]) -> Twist:
        """Move the path by the ramped plan; return the velocity that keeps the tool on it."""
        share = self._config.slow_share if moment.slowed else 1.0
        pace = self.rate if self._config.slowdown == "clock" else share
        ramped = self._planned_ramp.follow(_scaled(self._planned, pace), moment.period)
        limited = self._envelope.limit(ramped, moment.place, self.rate)
        self._planned_ramp.cut(limited.twist)
        reasons += limited.reasons
        self.near = limited.near or self.near
        back = self._path.feedback(moment.place.pose, moment.pose_at)
        self._path.advance(limited.twist, moment.period, moment.now + moment.period)
        planned = limited.twist
        wanted = Twist(planned.linear + back.linear, planned.angular + back.angular)
        return self._capped(wanted, share)

    def _capped(self, twist: Twist, share: float = 1.0) -> Twist:
        return Twist(
            scaled_to(twist.linear, share * self._config.linear_speed_cap),
            scaled_to(twist.angular, share * self._config.max_angular_speed),
        )


def _scaled(twist: Twist, share: float) -> Twist:
    return Twist(np.asarray(twist.linear * share), np.asarray(twist.angular * share))


class Episode:
    """Executes the policy's actions step by step and asks for the next ones in time.

    Args:
        config: How chunks are timed.
        motion: What turns actions into velocities.
    """

    def __init__(self, config: ChunkConfig, motion: Motion) -> None:
        self.buffer = ChunkBuffer(config)
        self.motion = motion
        self.opening = 1.0
        self.starved = False
        self.starved_since = 0.0
        self.action: StepAction | None = None  # of the present step
        self._window = WindowMotion()
        self._asked: WindowRequest | None = None
        self._slot = -1

    def begin(self, now: float, opening: float) -> None:
        """Start an episode.

        Args:
            now: Time in [s].
            opening: Measured gripper, 0 closed to 1 open.
        """
        self.opening, self.starved_since = opening, now
        self.buffer.begin()
        self.motion.halt()
        self._window.begin(None)
        self.starved = False
        self._asked = None
        self._slot = -1

    def halt(self, opening: float | None = None) -> None:
        """Stand still at once and drop what is planned; the hand stays at its measured opening."""
        if opening is not None:
            self.opening = opening
        self.motion.halt()
        self.buffer.clear()

    def tick(self, moment: Moment) -> Twist:
        """Return the velocity of this tick; ``opening`` follows the action."""
        buffer = self.buffer
        self.action = action = buffer.tick(moment.now)
        if buffer.slot != self._slot:
            self._slot = buffer.slot
            self._window.step(moment.place.pose.position)
        self.starved = action is None and buffer.slot >= 0
        if action is not None:
            self.starved_since = moment.now
            self.opening = float(np.clip(action.action[6], 0.0, 1.0))
        twist = self.motion.tick(action, moment)
        buffer.clock.pace(moment.now, self.motion.rate)
        return twist

    def request(self, moment: Moment) -> WindowRequest | None:
        """Return the request to send now, or None.

        A request that is repeated tells the same motion again.
        """
        window = self.buffer.request(moment.now)
        if window is None:
            return None
        if self._asked is None or self._asked.window != window:
            self._asked = WindowRequest(window, *self._window.measured())
            self._window.begin(moment.place.pose.position)
        return self._asked

    def hindrance(self) -> tuple[str, str]:
        """Return cause and message of what limits the motion now; both empty when nothing does."""
        if self.buffer.fault:
            return "chunk_refused", self.buffer.fault
        if self.starved:
            return "chunk_missing", "no action is due, at rest"
        if reasons := self.motion.reasons:
            text = "motion is limited: " + ", ".join(reasons)
            return reasons[0], f"{text} ({self.motion.near})" if self.motion.near else text
        return "", ""
