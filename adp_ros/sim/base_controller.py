"""Kinova's driver and the controller in the arm's base, as far as commands can tell.

The base takes one point every 10 ms and stands still when there is none; points that come faster
pile up, and the arm goes on after the sender has stopped (kinova-ros README; facts of its users).

Commands come in as the driver's callbacks, :meth:`Driver.tick` is called every 10 ms. What it
emulates, and from which source: points of 10 ms in a queue of 2000, acceleration limits,
silence while stopped, erasing on stop (kinova-ros README and source); angular velocity in the
tool's frame (Kinova's staff); low-speed dead zone and shortfall (reports of users, off unless
asked for).
"""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar, Final

import numpy as np

from ..geometry import length
from ..robots.jaco2.arm_pace import finger_speeds
from ..robots.jaco2.interface import CLOSED_TICKS
from ..robots.kinematics import ArmModel, way_home
from ..types import FloatArray
from .sim_settings import DriverConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class VelocityPoint:
    """One command of the trajectory queue, good for 10 ms.

    Attributes:
        linear: Tool velocity in the base frame, shape (3,), in [m/s].
        angular: Tool velocity, shape (3,), in [rad/s], in the driver's angular frame.
        joints: Joint speeds on top of it, shape (6,), in [rad/s].
        fingers: Finger speeds in [ticks/s], positive closes, shape (3,); None leaves them alone.
    """

    linear: FloatArray = field(default_factory=lambda: np.zeros(3))
    angular: FloatArray = field(default_factory=lambda: np.zeros(3))
    joints: FloatArray = field(default_factory=lambda: np.zeros(6))
    fingers: FloatArray | None = None


_DAMPING: Final = 0.01
_SINGULAR: Final = 0.04  # smallest singular value below which the damping grows
_MAX_DAMPING: Final = 0.06


def joint_rates(jacobian: FloatArray, twist: FloatArray) -> FloatArray:
    """Return the joint speeds of a tool velocity.

    Args:
        jacobian: Tool velocity per joint speed, linear over angular, base frame, shape (6, 6).
        twist: Linear and angular velocity in the base frame, shape (6,), in [m/s] and [rad/s].

    Returns:
        Shape (6,), in [rad/s]. Exact to about 1 % in the workspace; close to a singularity the
        damping grows, and the tool falls behind in place of the joints running away.
    """
    u, s, vt = np.linalg.svd(jacobian)
    near = max(0.0, 1.0 - (float(s[-1]) / _SINGULAR) ** 2)
    damping = _DAMPING**2 + near * _MAX_DAMPING**2
    return np.asarray(vt.T @ (s / (s * s + damping) * (u.T @ twist)))


def within_limits(
    rates: FloatArray, joints: FloatArray, lower: FloatArray, upper: FloatArray, cap: FloatArray
) -> FloatArray:
    """Stop joints at their limits, then slow all alike until none is faster than its cap.

    Args:
        rates: Joint speeds, shape (6,), in [rad/s].
        joints: Joint angles, shape (6,), in [rad].
        lower: Lower limits, -inf for continuous joints, shape (6,), in [rad].
        upper: Upper limits, shape (6,), in [rad].
        cap: Largest speeds, shape (6,), in [rad/s].
    """
    outward = ((joints <= lower) & (rates < 0.0)) | ((joints >= upper) & (rates > 0.0))
    free = np.where(outward, 0.0, rates)
    return np.asarray(free / max(1.0, float(np.max(np.abs(free) / cap))))


def approach(now: FloatArray, target: FloatArray, step: float) -> FloatArray:
    """Move a vector towards another by at most a step, in a straight line."""
    gap = target - now
    distance = length(gap)
    return target.copy() if distance <= step else now + gap * (step / distance)


def clip_norm(vector: FloatArray, largest: float) -> FloatArray:
    """Shorten a vector to a largest length, its direction kept."""
    size = length(vector)
    return vector if size <= largest else vector * (largest / size)


_PAUSE_TICKS: Final = 100  # the driver stops, waits 1 s and starts again before it moves
_GAIN: Final = 2.0  # [1/s]
_OPENING_SPEED: Final = -5000.0  # [ticks/s]
_OPEN: Final = 60.0  # [ticks]


class Homing:
    """One run home; ask :meth:`speeds` every 10 ms until ``done``."""

    TOLERANCE: ClassVar[float] = 0.005  # [rad] ends the way
    NEAR: ClassVar[float] = 0.02  # [rad] an arm this close is home already

    def __init__(self, arm: ArmModel, speed: float) -> None:
        self._arm = arm
        self._speed = speed
        self._pause = _PAUSE_TICKS
        self._arrived = False
        self.done = False

    def speeds(self, joints: FloatArray, fingers: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the speeds of this tick.

        Args:
            joints: Joint angles, shape (6,), in [rad].
            fingers: Finger positions, shape (n,), in [ticks].

        Returns:
            Joint speeds, shape (6,), in [rad/s]; finger speeds, shape (3,), in [ticks/s].
        """
        if self._pause > 0:
            self._pause -= 1
            return np.zeros(6), np.zeros(3)
        way = way_home(self._arm, joints)
        farthest = float(np.max(np.abs(way)))
        self._arrived = self._arrived or farthest < self.TOLERANCE
        if not self._arrived:
            return way * min(_GAIN, self._speed / farthest), np.zeros(3)
        self.done = bool(np.all(fingers < _OPEN))
        return np.zeros(6), np.full(3, _OPENING_SPEED)


TICK: Final = 0.01  # [s] for which one point is good
_MAX_LEAD: Final = 0.02  # [rad] of the reference before a joint that something blocks
_MAX_FINGER_LEAD: Final = 600.0  # [ticks]


class DriverMode(str, Enum):
    """What the driver does with commands."""

    READY = "ready"
    STOPPED = "stopped"
    HOMING = "homing"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class ArmState:
    """What the base knows of the arm when it takes a point.

    Attributes:
        joints: Shape (6,), in [rad].
        jacobian: Shape (6, 6), linear over angular, base frame.
        rotation: Tool -> base, shape (3, 3).
        fingers: Shape (n,), in [ticks].
    """

    joints: FloatArray
    jacobian: FloatArray
    rotation: FloatArray
    fingers: FloatArray


@dataclass(frozen=True, slots=True)
class Reference:
    """Where the servos should be at the end of the tick.

    Attributes:
        joints: Shape (6,), in [rad].
        speeds: Shape (6,), in [rad/s].
        fingers: Shape (n,), in [ticks].
    """

    joints: FloatArray
    speeds: FloatArray
    fingers: FloatArray


class Driver:
    """One arm's driver. Commands are refused silently while stopped, as the real one does.

    Attributes:
        taken: Points that were queued since the start, or lost.
        ignored: Points that were not: stopped, on the way home, or not finite.
        lost: Points that came when the queue was full.
    """

    def __init__(self, arm: ArmModel, config: DriverConfig | None = None) -> None:
        self._arm = arm
        self._config = config or DriverConfig()
        self._queue: deque[VelocityPoint] = deque()
        self.taken = self.ignored = self.lost = 0
        self._linear = np.zeros(3)
        self._angular = np.zeros(3)
        self._joint_rates = np.zeros(6)
        self._stopped = False
        self._homing: Homing | None = None
        self._joints = arm.home.copy()
        self._fingers = np.zeros(arm.fingers)
        self._measured_finger = 0.0

    @property
    def mode(self) -> DriverMode:
        """Whether commands are taken."""
        if self._stopped:
            return DriverMode.STOPPED
        return DriverMode.HOMING if self._homing else DriverMode.READY

    @property
    def queued(self) -> int:
        """Points that wait."""
        return len(self._queue)

    def settle(self, joints: FloatArray, fingers: FloatArray) -> None:
        """Take the arm's present state as the reference, at standstill; forget all else."""
        self._queue.clear()
        self._linear, self._angular = np.zeros(3), np.zeros(3)
        self._joint_rates = np.zeros(6)
        self._stopped, self._homing = False, None
        self._joints, self._fingers = joints.copy(), fingers.copy()
        self._measured_finger = float(fingers[0])

    def send(self, point: VelocityPoint) -> bool:
        """Queue a point. Returns False when it was ignored: not finite, stopped or homing."""
        parts = (point.linear, point.angular, point.joints, point.fingers)
        finite = all(part is None or bool(np.isfinite(part).all()) for part in parts)
        if self.mode is not DriverMode.READY or not finite:
            self.ignored += 1
            return False
        self.taken += 1
        if len(self._queue) < self._config.fifo_length:
            self._queue.append(point)
        else:
            self.lost += 1
        return True

    def finger_speeds(self, closure: float) -> FloatArray:
        """Return the finger speeds with which the driver follows a closure percentage.

        Proportional control on finger 1, the same command to all fingers.

        Args:
            closure: 0 (open) to 100 (closed).

        Returns:
            Shape (3,), in [ticks/s].
        """
        first = np.array([self._measured_finger])
        return np.array(finger_speeds(closure, first, CLOSED_TICKS))

    def stop(self) -> None:
        """Erase all points, stand still and ignore commands until :meth:`start`.

        The fingers stay where they are.
        """
        self._stopped, self._homing = True, None
        self._queue.clear()

    def start(self) -> None:
        """Take commands again."""
        self._stopped = False

    def clear(self) -> None:
        """Erase all points."""
        self._queue.clear()

    def home(self) -> bool:
        """Go home and open the fingers. Returns False when nothing is done: stopped, or there."""
        at_home = bool(np.max(np.abs(way_home(self._arm, self._joints))) < Homing.NEAR)
        if self._stopped or at_home:
            return False
        self._queue.clear()
        self._homing = Homing(self._arm, self._config.home_speed)
        return True

    def tick(self, state: ArmState) -> Reference:
        """Take one point and move the servos' reference by 10 ms."""
        self._measured_finger = float(state.fingers[0])
        point = self._next_point(state)
        self._ramp(point)
        turn = self._angular
        if self._config.angular_frame == "tool":
            turn = state.rotation @ turn
        rates = joint_rates(state.jacobian, np.concatenate([self._linear, turn]))
        arm = self._arm
        rates = within_limits(
            rates + self._joint_rates, state.joints, arm.lower, arm.upper, arm.max_joint_speed
        )
        ahead = self._joints + rates * TICK - state.joints
        self._joints = state.joints + np.clip(ahead, -_MAX_LEAD, _MAX_LEAD)
        if self._stopped:
            self._fingers = state.fingers.copy()
        elif point.fingers is not None:
            self._move_fingers(point.fingers, state.fingers)
        return Reference(self._joints.copy(), rates, self._fingers.copy())

    def _next_point(self, state: ArmState) -> VelocityPoint:
        if self._homing is not None:
            joints, fingers = self._homing.speeds(state.joints, state.fingers)
            if self._homing.done:
                self._homing = None
            return VelocityPoint(joints=joints, fingers=fingers)
        return self._queue.popleft() if self._queue else VelocityPoint()

    def _ramp(self, point: VelocityPoint) -> None:
        c = self._config
        linear = clip_norm(point.linear * c.speed_share, c.linear_speed_cap)
        angular = clip_norm(point.angular * c.speed_share, c.angular_speed_cap)
        if np.linalg.norm(point.linear) < c.linear_dead_zone:
            linear = np.zeros(3)
        if np.linalg.norm(point.angular) < c.angular_dead_zone:
            angular = np.zeros(3)
        self._linear = approach(self._linear, linear, c.linear_acceleration * TICK)
        self._angular = approach(self._angular, angular, c.angular_acceleration * TICK)
        step = c.joint_acceleration * TICK
        self._joint_rates += np.clip(point.joints - self._joint_rates, -step, step)

    def _move_fingers(self, speeds: FloatArray, measured: FloatArray) -> None:
        cap = self._config.finger_speed_cap
        moved = self._fingers + np.clip(speeds[: len(measured)], -cap, cap) * TICK
        near = np.clip(moved, measured - _MAX_FINGER_LEAD, measured + _MAX_FINGER_LEAD)
        self._fingers = np.clip(near, 0.0, CLOSED_TICKS)
