"""Motion for a campaign: the tool goes from place to place over the table, never pausing long."""

from typing import Final

import numpy as np

from ..geometry import rotation_from_rotvec, rotvec_from_rotation
from ..types import ACTION_SIZE, FloatArray, Pose

STEP: Final = 0.1  # [s]
STEPS: Final = 8
MIDDLE: Final = np.array([0.0, -0.42, 0.22])  # [m], base frame
_HALF: Final = np.array([0.12, 0.09, 0.05])  # [m] of the box that the places lie in
_NEAREST: Final = 0.08  # [m] from one place to the next
_REACHED: Final = 0.015  # [m]
_TURN_SPEED: Final = 0.25  # [rad/s]
_ALIGNED: Final = 0.15  # [rad]
DOWN: Final = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])


class Patrol:
    """Plans chunks in base-frame increments with rotation vectors.

    Attributes:
        speed: Tool speed, in [m/s].
        pressing: True to go straight down instead.
    """

    def __init__(self) -> None:
        self.speed = 0.05
        self.pressing = False
        self.seed(0)

    def seed(self, seed: int) -> None:
        """Draw the places to come from a seed."""
        self._rng = np.random.default_rng(seed)
        self._place: FloatArray = MIDDLE

    def ready(self, pose: Pose) -> bool:
        """Tell whether the tool points down and is over the table."""
        away = np.abs(pose.position - MIDDLE)
        return bool(self._angle(pose.rotation) < _ALIGNED and (away < _HALF + 0.03).all())

    def plan(self, pose: Pose) -> FloatArray:
        """Return increments of the tool, shape (8, 7), from a measured pose."""
        position, rotation = pose.position, pose.rotation
        actions = np.zeros((STEPS, ACTION_SIZE))
        for action in actions:
            action[:3] = STEP * self._velocity(position, rotation)
            turn = _turn(rotation)
            action[3:6], action[6] = turn, 1.0
            position, rotation = position + action[:3], rotation_from_rotvec(turn) @ rotation
        return actions

    def _velocity(self, position: FloatArray, rotation: FloatArray) -> FloatArray:
        if self.pressing:
            return np.array([0.0, 0.0, -self.speed])
        if self._angle(rotation) > _ALIGNED:
            self._place = MIDDLE
        elif np.linalg.norm(self._place - position) < max(_REACHED, 1.5 * STEP * self.speed):
            self._place = self._next(position)
        way = self._place - position
        return np.asarray(way * (self.speed / max(float(np.linalg.norm(way)), self.speed * STEP)))

    def _next(self, position: FloatArray) -> FloatArray:
        while True:
            place = MIDDLE + self._rng.uniform(-_HALF, _HALF)
            if np.linalg.norm(place - position) > _NEAREST:
                return np.asarray(place)

    @staticmethod
    def _angle(rotation: FloatArray) -> float:
        return float(np.linalg.norm(rotvec_from_rotation(DOWN @ rotation.T)))


def _turn(rotation: FloatArray) -> FloatArray:
    way = rotvec_from_rotation(DOWN @ rotation.T)
    angle = float(np.linalg.norm(way))
    return np.asarray(way * min(1.0, _TURN_SPEED * STEP / max(angle, 1e-9)))
