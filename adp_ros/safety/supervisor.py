"""Feeds the monitors, and turns what they find into events of the state machine."""

from dataclasses import dataclass, field

import numpy as np

from ..errors import SafetyError
from ..kinematics import ArmModel, gravity_torque
from ..types import FloatArray, Pose, Twist
from .config import FeedConfig, TorqueConfig, WatchConfig
from .feed import Fault, FeedMonitor
from .machine import Event, Machine, Status
from .torque import TorqueLevel, TorqueMonitor

_TURNING = 0.1  # [rad/s] of commanded turning from which motion is expected


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetyConfig:
    """Settings of all monitors."""

    torque: TorqueConfig = field(default_factory=TorqueConfig)
    feed: FeedConfig = field(default_factory=FeedConfig)
    watch: WatchConfig = field(default_factory=WatchConfig)
    quiet_time: float = 0.5  # [s] of quiet before a reset (DESIGN: 0.5 s)


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
        self.machine = Machine()
        self.torque = TorqueMonitor(config.torque)
        self.torque_feed = FeedMonitor("torque", config.feed)
        self.pose_feed = FeedMonitor("pose", config.feed)
        self.joint_feeds: dict[str, FeedMonitor] = {}
        self.pose: Pose | None = None
        self.pose_at = 0.0
        self.joints: FloatArray | None = None
        self._commanded_since: float | None = None
        self._unquiet_at = -np.inf
        self._fault: Fault | None = None

    def take_torque(self, measured: FloatArray, arrival: float) -> None:
        """Take joint torques, shape (6,), in [N m]; an overload stops the arm at once."""
        if not self.torque_feed.take(measured, arrival) or self.joints is None:
            return
        gravity = gravity_torque(self._model, self.joints)
        level = self.torque.take(measured, gravity, self.joints, arrival)
        if level is TorqueLevel.STOP:
            self.machine.fire(Event.TORQUE_STOP, arrival, "torque", self.torque.message)
        if level is not TorqueLevel.OK:
            self._unquiet_at = arrival

    def take_pose(self, pose: Pose, arrival: float, stamp: float | None, delay: float) -> None:
        """Take the tool pose, its stamp and the stamp's age on arrival, in [s]."""
        values = np.concatenate([pose.position, pose.rotation.ravel()])
        if self.pose_feed.take(values, arrival, stamp, delay):
            self.pose, self.pose_at = pose, arrival

    def take_joints(
        self,
        source: str,
        joints: FloatArray,
        arrival: float,
        stamp: float | None = None,
        delay: float = 0.0,
    ) -> None:
        """Take joint angles, shape (6,), in [rad].

        Args:
            source: Topic; the driver sends them on two, and each is watched once it was seen.
            joints: The angles.
            arrival: Time of arrival in [s].
            stamp: Time of measurement in [s], None without stamp.
            delay: Age of the stamp on arrival in [s].
        """
        feed = self.joint_feeds.setdefault(source, FeedMonitor("joints", self._config.feed))
        if feed.take(joints, arrival, stamp, delay):
            self.joints = np.array(joints)

    def check(self, now: float, commanded: Twist | None) -> None:
        """Judge everything once per tick.

        Args:
            now: Time in [s].
            commanded: Velocity that the arm was last told, None when nothing reaches it.
        """
        self._fault = self._feed_fault(now) or self._frozen(now, commanded)
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
        """Begin to move.

        Raises:
            SafetyError: Says why not.
        """
        self.require_armed("start")
        self.torque.capture_tare(now)
        self._commanded_since = None
        self.machine.fire(Event.START, now)

    def stop(self, now: float, cause: str, message: str) -> None:
        """Stop and latch."""
        self.machine.fire(Event.STOP, now, cause, message)

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
        if status.moving:
            raise SafetyError(f"{request} refused: running, stop first")
        text = self._fault.message if self._fault else "no feedback from the arm yet"
        raise SafetyError(f"{request} refused: not armed, {text}")

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

    def _feeds(self) -> list[FeedMonitor]:
        return [self.torque_feed, self.pose_feed, *self.joint_feeds.values()]

    def _feed_fault(self, now: float) -> Fault | None:
        faults = [fault for feed in self._feeds() if (fault := feed.poll(now)) is not None]
        if not self.joint_feeds:
            faults.append(Fault("joints_missing", "joints has not been received"))
        return faults[0] if faults else None

    def _frozen(self, now: float, commanded: Twist | None) -> Fault | None:
        """Find a dead sensor: torque is never constant, the others not while the arm moves.

        Pose and joints that stand still together while the torque lives belong to an arm that
        does not move; that is reported, not stopped.
        """
        limits, torque = self._config.feed, self.torque_feed.unchanged(now)
        if not self._expects_motion(now, commanded):
            resting = self.machine.status.moving and limits.frozen_rest > 0.0
            dead = resting and commanded is not None and torque >= limits.frozen_rest
            return self.torque_feed.frozen(torque) if dead else None
        if torque >= limits.frozen:
            return self.torque_feed.frozen(torque)
        still = [f for f in self._feeds()[1:] if f.unchanged(now) >= limits.frozen]
        if still and len(still) < len(self._feeds()) - 1:
            return still[0].frozen(still[0].unchanged(now))
        return None

    def _expects_motion(self, now: float, commanded: Twist | None) -> bool:
        fast = commanded is not None and (
            float(np.linalg.norm(commanded.linear)) > self._config.watch.commanded_speed
            or float(np.linalg.norm(commanded.angular)) > _TURNING
        )
        if not fast:
            self._commanded_since = None
            return False
        if self._commanded_since is None:
            self._commanded_since = now
        return now - self._commanded_since >= self._config.feed.frozen

    def _unquiet(self, now: float) -> str:
        """Say why a reset is not allowed yet, empty when it is."""
        needed = self._config.quiet_time
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
