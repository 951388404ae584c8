"""What happens when in a campaign: motion over the table, and a fault at a random moment."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np

from ..geometry import rotation_from_rotvec, rotvec_from_rotation
from ..settings import refuse_unknown
from ..types import ACTION_SIZE, FloatArray, Pose
from .kinds import KINDS
from .sdk_kinds import EVERY_KIND

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
        closing: True to close the hand meanwhile.
    """

    def __init__(self) -> None:
        self.speed = 0.05
        self.pressing = self.closing = False
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
            action[3:6], action[6] = turn, float(not self.closing)
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


_TORQUE_FACTORS = (1.3, 3.0)  # of the stop level, beyond what motion alone may take off
_SPEEDS = (0.04, 0.10)  # [m/s] of the tool when the fault comes
_DELAYS = (0.1, 1.0)  # [s] of motion before the fault
_CLOCK_JUMPS = (0.2, 5.0)  # [s]


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a campaign.

    Attributes:
        number: From 0.
        kind: Name of its kind.
        delay: Motion at full speed before it, in [s].
        speed: Tool speed, in [m/s].
        joint: Joint that a torque acts on, 1 to 6.
        sign: Direction of that torque, 1 or -1.
        factor: Size of that torque, as a multiple of the joint's stop level.
        jump: Jump of a clock, in [s].
        seed: Of what else is random in it.
    """

    number: int
    kind: str
    delay: float
    speed: float
    joint: int
    sign: int
    factor: float
    jump: float
    seed: int

    def to_json(self) -> dict[str, int | float | str]:
        """Return its numbers by name."""
        return asdict(self)


def check_kinds(names: Sequence[str]) -> tuple[str, ...]:
    """Return kinds by name; none given means all.

    Raises:
        ConfigError: Names the unknown kind and the nearest known one.
    """
    refuse_unknown(names, EVERY_KIND, "there is no kind of fault")
    return tuple(dict.fromkeys(names)) or tuple(KINDS)


def make_plan(kinds: Sequence[str], count: int, seed: int) -> tuple[Fault, ...]:
    """Draw a campaign: every kind equally often, in random order; the same for the same seed.

    Args:
        kinds: Names of the kinds.
        count: Number of faults.
        seed: At least 0.
    """
    faults = []
    for number in range(count):
        turn, place = divmod(number, len(kinds))
        order = np.random.default_rng([seed, turn]).permutation(len(kinds))
        faults.append(_draw(number, kinds[order[place]], seed))
    return tuple(faults)


def _draw(number: int, kind: str, seed: int) -> Fault:
    rng = np.random.default_rng([seed, number, 1])
    return Fault(
        number=number,
        kind=kind,
        delay=float(rng.uniform(*_DELAYS)),
        speed=0.05 if kind == "table_press" else float(rng.uniform(*_SPEEDS)),
        joint=int(rng.integers(1, 7)),
        sign=int(rng.choice((-1, 1))),
        factor=float(rng.uniform(*_TORQUE_FACTORS)),
        jump=float(rng.uniform(*_CLOCK_JUMPS)),
        seed=int(rng.integers(2**31)),
    )
