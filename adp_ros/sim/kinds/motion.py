"""Steps towards a target pose, limited in speed: what every expert is made of."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from ...geometry import rotation_from_rotvec, rotvec_from_rotation
from ...robots.jaco2.interface import CLOSED_TICKS, RADIANS_PER_TICK, closure_from_opening
from ...types import ACTION_SIZE, FloatArray, Pose

STEP: Final = 0.1  # [s] from one action to the next
STEPS: Final = 8  # actions of a chunk


@dataclass(frozen=True, slots=True)
class Step:
    """One action before it is written as seven numbers.

    Attributes:
        translation: Base frame, shape (3,), in [m].
        turn: Rotation vector in the base frame, shape (3,), in [rad].
        opening: Gripper, 0 closed to 1 open.
    """

    translation: FloatArray
    turn: FloatArray
    opening: float

    def as_action(self) -> FloatArray:
        """Return the seven numbers, shape (7,)."""
        action = np.empty(ACTION_SIZE)
        action[:3], action[3:6], action[6] = self.translation, self.turn, self.opening
        return action

    def after(self, pose: Pose) -> Pose:
        """Return the pose after this step."""
        rotation = rotation_from_rotvec(self.turn) @ pose.rotation
        return Pose(pose.position + self.translation, rotation)


def towards(here: FloatArray, there: FloatArray, speed: float, gain: float = 4.0) -> FloatArray:
    """Return the translation of one step.

    Args:
        here: Present position, shape (3,), in [m].
        there: Target, shape (3,), in [m].
        speed: Largest speed, in [m/s].
        gain: Speed per distance, in [1/s]: slows before the target.
    """
    return _step_of(there - here, speed, gain)


def turning(here: FloatArray, there: FloatArray, speed: float, gain: float = 3.0) -> FloatArray:
    """Return the rotation vector of one step in the base frame.

    Args:
        here: Present orientation, tool -> base, shape (3, 3).
        there: Target orientation, shape (3, 3).
        speed: Largest angular speed, in [rad/s].
        gain: Angular speed per angle, in [1/s].
    """
    return _step_of(rotvec_from_rotation(there @ here.T), speed, gain)


def _step_of(way: FloatArray, speed: float, gain: float) -> FloatArray:
    length = float(np.linalg.norm(way))
    if length == 0.0:
        return np.zeros_like(way)
    return np.asarray(way * (min(speed, gain * length) * STEP / length))


def angle_between(first: FloatArray, second: FloatArray) -> float:
    """Return the angle from one orientation to another, in [rad]."""
    return float(np.linalg.norm(rotvec_from_rotation(second @ first.T)))


_GAIN: Final = 2.0  # [1/s], of the driver's finger control
_TOP_SPEED: Final = 5000.0  # [ticks/s]
_PARTS: Final = 10  # of a step
SHUT: Final = CLOSED_TICKS * RADIANS_PER_TICK  # [rad], where the fingers stop without an item


def finger_after(angle: float, opening: float, stall: float = SHUT) -> float:
    """Return the fingers' angle after one step.

    Args:
        angle: Present angle of the fingers' first joints in [rad]; 0 is open.
        opening: Gripper number, 0 closed to 1 open.
        stall: Angle in [rad] at which something between the fingers stops them.
    """
    ticks = angle / RADIANS_PER_TICK
    goal = closure_from_opening(opening) / 100.0 * CLOSED_TICKS
    for _ in range(_PARTS):
        speed = min(max(_GAIN * (goal - ticks), -_TOP_SPEED), _TOP_SPEED)
        ticks += speed * STEP / _PARTS
    after = ticks * RADIANS_PER_TICK
    return min(after, max(stall, angle)) if after > angle else after
