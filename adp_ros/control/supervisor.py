"""Feeds the monitors, and turns what they find into events of the state machine."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from ..errors import SafetyError
from ..robots.kinematics import ArmModel
from ..types import FingersSample, FloatArray, JointsSample, PoseSample, Sample, TorqueSample, Twist
from .feeds import Fault, Feedback, FeedConfig, WatchConfig
from .safety_machine import Event, Machine, Status
from .torque import TorqueConfig, TorqueLevel, TorqueMonitor

_HAND: Final = (0.0, 0.0, 0.03)  # [m] centre of what the hand holds, tool frame
_QUIET_TIME: Final = 0.5  # [s] without overload and with good feedback before a reset


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetyConfig:
    """Settings of all monitors."""

    torque: TorqueConfig = field(default_factory=TorqueConfig)
    feed: FeedConfig = field(default_factory=FeedConfig)
    watch: WatchConfig = field(default_factory=WatchConfig)


@dataclass(frozen=True, slots=True)
class SafetySnapshot:
    """What is published of the state, see adp_ros/msg/SafetyState."""

    status: Status
    cause: str
    message: str
    residual: FloatArray
    slow: FloatArray
    stop: FloatArray


class Supervisor:
    """Monitors and state machine of one arm. All times are in [s] on one clock."""

    def __init__(self, config: SafetyConfig, model: ArmModel) -> None:
        self._config = config
        self._model = model
        self._loaded = model.with_payload(config.torque.grasp_mass, _HAND)
        self.machine = Machine()
        self.feedback = Feedback(config.feed, config.watch)
        self.torque = TorqueMonitor(config.torque)
        self.holding = False  # the hand is closed and may hold an object
        self._unquiet_at = -np.inf
        self._fault: Fault | None = None

    def take(self, sample: Sample) -> None:
        """Take one measurement of the arm; an overload stops the arm at once."""
        feedback = self.feedback
        if isinstance(sample, TorqueSample):
            self.take_torque(sample.torques, sample.arrival)
        elif isinstance(sample, PoseSample):
            feedback.take_pose(sample.pose, sample.arrival, sample.stamp, sample.delay)
        elif isinstance(sample, JointsSample):
            feedback.take_joints(
                sample.source, sample.joints, sample.arrival, sample.stamp, sample.delay
            )
        elif isinstance(sample, FingersSample):
            feedback.take_opening(sample.opening, sample.arrival)

    def take_torque(self, measured: FloatArray, arrival: float) -> None:
        """Take joint torques, shape (6,), in [N m]; an overload stops the arm at once."""
        joints, chain = self.feedback.joints, self.feedback.chain(self._model)
        if not self.feedback.torque.take(measured, arrival) or joints is None or chain is None:
            return
        gravity = chain.gravity_torque(self._model)
        allowance = chain.gravity_torque(self._loaded) - gravity if self.holding else None
        level = self.torque.take(measured, gravity, joints, arrival, allowance)
        if level is TorqueLevel.STOP:
            self.machine.fire(Event.TORQUE_STOP, arrival, "torque", self.torque.message)
        if level is not TorqueLevel.OK:
            self._unquiet_at = arrival

    def check(self, now: float, commanded: Twist | None, apart: Fault | None = None) -> None:
        """Judge everything once per tick.

        Args:
            now: Time in [s].
            commanded: Velocity that the arm was last told, None when nothing reaches it.
            apart: What samples and commands do not agree on, None when they do.
        """
        moving = self.machine.status.moving
        self._fault = self.feedback.fault(now, commanded, moving=moving) or apart
        fire = self.machine.fire
        if self._fault is not None:
            self._unquiet_at = now
            fire(Event.FEEDBACK_BAD, now, self._fault.cause, self._fault.message)
            return
        fire(Event.FEEDBACK_GOOD, now)
        if self.torque.level is TorqueLevel.SLOW:
            fire(Event.TORQUE_SLOW, now, "torque_slow", self.torque.message)
        elif self.torque.level is TorqueLevel.OK:
            fire(Event.TORQUE_CLEAR, now)

    def start(self, now: float) -> None:
        """Let the policy move the arm.

        Raises:
            SafetyError: Says why not.
        """
        self._begin(Event.START, now)

    def home(self, now: float) -> None:
        """Begin the way home.

        Raises:
            SafetyError: Says why not.
        """
        self._begin(Event.HOME, now)

    def arrive(self, now: float) -> None:
        """End the way home, or do nothing when it has ended otherwise."""
        self.machine.fire(Event.ARRIVED, now)

    def trip(self, now: float, cause: str, message: str) -> None:
        """Stop and latch if the arm moves."""
        self.machine.fire(Event.GUARD, now, cause, message)

    def _begin(self, event: Event, now: float) -> None:
        self.require_armed(str(event))
        self.torque.renew_tare(now)
        self.machine.fire(event, now)

    def tare(self, now: float) -> FloatArray:
        """Take what the resting arm feels now for the offset of its sensors.

        Returns:
            The offset, shape (6,), in [N m].

        Raises:
            SafetyError: Says why not: disarmed, stopped, moving, pushed.
        """
        if self.machine.status not in (Status.ARMED, Status.RUNNING, Status.SLOWED):
            raise SafetyError(f"tare refused: {_name(self.machine)}")
        return self.torque.capture_tare(now)

    def stop(self, now: float, cause: str, message: str) -> None:
        """Stop and latch."""
        self.machine.fire(Event.STOP, now, cause, message)

    def lose_node(self, now: float, message: str) -> None:
        """Stop and latch if the arm moves: a process that the motion depends on has ended."""
        self.machine.fire(Event.NODE_LOST, now, "node_lost", message)

    def reset(self, now: float) -> None:
        """Clear the latch. Never moves the arm.

        Raises:
            SafetyError: Says what is not quiet.
        """
        if not self.machine.latched:
            raise SafetyError(f"reset is not needed, the controller is {_name(self.machine)}")
        problem = self._unquiet(now)
        if problem:
            raise SafetyError(f"reset refused: {problem}")
        self.machine.fire(Event.RESET, now)

    def require_armed(self, request: str) -> None:
        """Refuse a request in any state but armed.

        Raises:
            SafetyError: Says what to do first.
        """
        status = self.machine.status
        if status is Status.ARMED:
            return
        if status is Status.STOPPED:
            raise SafetyError(f"{request} refused: stopped ({self._reason()}), reset first")
        if status is Status.HOMING:
            raise SafetyError(f"{request} refused: the arm is on its way home")
        if status.moving:
            raise SafetyError(f"{request} refused: running, stop first")
        text = self._fault.message if self._fault else "no feedback from the arm yet"
        raise SafetyError(f"{request} refused: not armed, {text}")

    @property
    def stopped_by_torque(self) -> bool:
        """True from a stop by overload to the reset."""
        last = self.machine.last
        return self.machine.latched and last is not None and last.event is Event.TORQUE_STOP

    @property
    def untrusted(self) -> bool:
        """True while a source of samples is faulty."""
        return self._fault is not None

    def snapshot(self) -> SafetySnapshot:
        """Return what is to be published."""
        levels = self._config.torque
        status, cause, message = self.machine.status, "", ""
        last = self.machine.last
        if status in (Status.STOPPED, Status.SLOWED) and last is not None:
            cause, message = last.cause, last.message
        elif self._fault is not None:
            cause, message = self._fault.cause, self._fault.message
        residual = self.torque.residual.copy()
        return SafetySnapshot(
            status, cause, message, residual, levels.slow_levels, levels.stop_levels
        )

    def _reason(self) -> str:
        last = self.machine.last
        return (last.message or last.cause) if last is not None else ""

    def _unquiet(self, now: float) -> str:
        """Say why a reset is not allowed yet, empty when it is."""
        needed = _QUIET_TIME
        stopped_for = now - self.machine.last.time if self.machine.last else 0.0
        if stopped_for < needed:
            return f"stopped for {stopped_for:.1f} s, {needed:g} s are needed"
        if self._fault is not None:
            return self._fault.message
        if self.torque.tare is not None and (load := self.torque.loaded()):
            return load
        if now - self._unquiet_at < needed:
            return f"quiet for {now - self._unquiet_at:.1f} s, {needed:g} s are needed"
        return self.torque.restless(now)


def _name(machine: Machine) -> str:
    return machine.status.name.lower()
