"""Disturbances of an episode, drawn beforehand as functions of time alone.

The executed motion strays from the expert's, so that the expert's answers to strange states can
be learnt (DART, Laskey et al. 2017).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..types import FloatArray

STEP: Final = 0.1  # [s]
_DRIFT: Final = np.array([0.018, 0.018, 0.012, 0.05, 0.05, 0.15])  # [m/s], [rad/s] at level 1
_MEMORY: Final = 0.85  # of the drift from step to step
_KICKS: Final = 0.25  # [1/s] at level 1
_KICK: Final = np.array([0.08, 0.08, 0.06, 0.15, 0.15, 0.5])  # [m/s], [rad/s] at level 1
_KICK_STEPS: Final = (2, 6)
_GRIPS: Final = 0.06  # [1/s] at level 1
_GRIP_STEPS: Final = (2, 6)
_FREE: Final = 0.18  # [m] above the table, from where on nothing is in the way
_LEAST: Final = 0.15  # share of the disturbances that is left at the table


@dataclass(frozen=True, slots=True)
class Perturbation:
    """Disturbances of one episode, per step of 0.1 s.

    Attributes:
        motion: Added to the expert's increments, shape (T, 6): translation and rotation vector
            in the base frame, in [m] and [rad].
        flipped: True where the gripper does the opposite, shape (T,).
    """

    motion: FloatArray
    flipped: NDArray[np.bool_]

    def disturbed(self, actions: FloatArray, start: float, height: float) -> FloatArray:
        """Return a chunk with the disturbances of its time.

        Args:
            actions: The expert's chunk, shape (n, 7), in the default convention.
            start: When its first action is due, in [s] since the episode began.
            height: Of the tool above the table, in [m]: close to it things are touched, and
                disturbances are smaller, none of them downwards.
        """
        at = max(0, round(start / STEP))
        steps = np.minimum(np.arange(at, at + len(actions)), len(self.flipped) - 1)
        moved = actions.copy()
        push = self.motion[steps] * float(np.clip(height / _FREE, _LEAST, 1.0))
        if height < _FREE:
            push[:, 2] = np.maximum(push[:, 2], 0.0)
        moved[:, :6] += push
        moved[:, 6] = np.where(self.flipped[steps], 1.0 - moved[:, 6], moved[:, 6])
        return moved


def draw_perturbation(rng: np.random.Generator, level: float, duration: float) -> Perturbation:
    """Draw the disturbances of an episode.

    Args:
        rng: Source of randomness.
        level: Strength; 0 for none, 1 for drifts of some centimetres and a kick every 4 s.
        duration: Of the episode, in [s].
    """
    count = round(duration / STEP) + 10
    motion = _drift(rng, count) * (level * STEP)
    flipped = np.zeros(count, dtype=bool)
    for begin, end in _events(rng, count, _KICKS * level, _KICK_STEPS):
        motion[begin:end] += _KICK * rng.uniform(-1.0, 1.0, 6) * (min(level, 1.5) * STEP)
    for begin, end in _events(rng, count, _GRIPS * level, _GRIP_STEPS):
        flipped[begin:end] = True
    return Perturbation(motion, flipped)


def _drift(rng: np.random.Generator, count: int) -> FloatArray:
    """Return a smooth random velocity, shape (count, 6), of the drift's size on average."""
    drift = np.empty((count, 6))
    now = rng.normal(0.0, 1.0, 6)
    fresh = float(np.sqrt(1.0 - _MEMORY**2))
    for step in range(count):
        now = _MEMORY * now + fresh * rng.normal(0.0, 1.0, 6)
        drift[step] = now * _DRIFT
    return drift


def _events(
    rng: np.random.Generator, count: int, rate: float, lengths: tuple[int, int]
) -> list[tuple[int, int]]:
    """Return begin and end of events that come with a rate in [1/s]."""
    begins = np.flatnonzero(rng.random(count) < rate * STEP)
    return [(int(b), int(b + rng.integers(*lengths))) for b in begins]
