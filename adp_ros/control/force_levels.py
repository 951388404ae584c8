"""Stop levels of the joints in newtons: the least force that always stops the arm.

ISO/TS 15066:2016, Table A.2, has biomechanical limits of quasi-static contact: 140 N for hands and
fingers, 160 N for lower arms and wrists, 65 N for the face. They stand here for comparison; a
software stop claims no conformity.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np

from ..errors import SafetyError
from ..robots.kinematics import ArmModel, Chain
from ..types import FloatArray
from .controller_settings import ControllerSettings
from .envelope import Envelope
from .place import Place

HAND: Final = 140.0  # [N] ISO/TS 15066:2016, Table A.2, hands and fingers, quasi-static
FOREARM: Final = 160.0  # [N] the same, lower arms and wrist joints
_POSTURES: Final = 100
_TRIES: Final = 200  # per posture wanted
_DIRECTIONS: Final = 200
_MOTIONS: Final = 10  # per posture
_SPEED: Final = 0.15  # [m/s] of the tool
_MOVES: Final = 0.02  # [m/s] of a link, below which it hits nobody
_LARGEST: Final = 1e4  # [N] where a joint feels next to nothing


@dataclass(frozen=True, slots=True)
class Statistics:
    """Of forces in [N].

    Attributes:
        median: Median.
        p95: 95th percentile.
        worst: Largest.
    """

    median: float
    p95: float
    worst: float

    def __str__(self) -> str:
        return f"median {self.median:.0f}, p95 {self.p95:.0f}, worst {self.worst:.0f} N"


@dataclass(frozen=True, slots=True)
class ForceLevels:
    """Least forces that always reach a stop level, over postures inside the envelope.

    Attributes:
        against_motion: Against the own motion of tool, forearm or elbow, whichever needs most.
        any_direction: At the tool, in the direction that needs most.
        postures: How many postures they rest on.
    """

    against_motion: Statistics
    any_direction: Statistics
    postures: int

    def __str__(self) -> str:
        return (
            f"least force that always stops: {self.against_motion} against the arm's own motion; "
            f"{self.any_direction} at the tool in the worst direction ({self.postures} postures; "
            f"ISO/TS 15066 for comparison: hand {HAND:g} N, forearm {FOREARM:g} N)"
        )

    def require(self, ceiling: float) -> None:
        """Refuse levels that let too much pass.

        Raises:
            SafetyError: The 95th percentile against the own motion is over the ceiling, in [N].
        """
        force = self.against_motion.p95
        if force > ceiling:
            raise SafetyError(
                f"the stop levels let {force:.0f} N against the arm's own motion pass in 5 % of "
                f"its postures, allowed: {ceiling:g} N (torque.force_ceiling)"
            )


@cache
def force_levels(settings: ControllerSettings) -> ForceLevels:
    """Compute the forces from kinematics and levels; the same postures every time, in a second.

    Raises:
        SafetyError: The envelope is too small to find postures in.
    """
    model, levels = settings.arm.model(), settings.safety.torque.stop_levels
    envelope = Envelope(settings.envelope, model, settings.velocity.max_linear_acceleration)
    rng, sphere = np.random.default_rng(0), _sphere()
    own: list[float] = []
    worst: list[float] = []
    for place in _places(model, envelope, rng):
        forces = _least(place.jacobian[:3], sphere, levels)
        worst.append(float(forces.max()))
        for _ in range(_MOTIONS):
            direction = rng.normal(size=3)
            twist = np.concatenate([_SPEED * direction / np.linalg.norm(direction), np.zeros(3)])
            own.append(_against(place, place.joint_speeds(twist), levels))
    return ForceLevels(_statistics(own), _statistics(worst), len(worst))


def _places(model: ArmModel, envelope: Envelope, rng: np.random.Generator) -> Iterator[Place]:
    low = np.where(np.isinf(model.lower), 0.0, model.lower)
    high = np.where(np.isinf(model.upper), 2.0 * np.pi, model.upper)
    found = 0
    for _ in range(_POSTURES * _TRIES):
        joints = rng.uniform(low, high)
        place = Place.at(model, joints, Chain.at(model, joints).tool)
        if envelope.outside(place):
            continue
        yield place
        found += 1
        if found == _POSTURES:
            return
    raise SafetyError(f"only {found} postures inside the envelope were found for force levels")


@cache
def _sphere() -> FloatArray:
    """Return directions that cover the sphere evenly (Fibonacci), shape (n, 3)."""
    number = np.arange(_DIRECTIONS) + 0.5
    polar = np.arccos(1.0 - 2.0 * number / _DIRECTIONS)
    around = np.pi * (1.0 + np.sqrt(5.0)) * number
    parts = (np.cos(around) * np.sin(polar), np.sin(around) * np.sin(polar), np.cos(polar))
    return np.stack(parts, axis=1)


def _least(jacobian: FloatArray, directions: FloatArray, levels: FloatArray) -> FloatArray:
    """Return the force in each direction that brings the first joint to its level, shape (n,).

    A force F at a point loads the joints with J^T F.
    """
    share = np.max(np.abs(directions @ jacobian) / levels, axis=1)  # per newton
    return np.asarray(1.0 / np.maximum(share, 1.0 / _LARGEST))


def _against(place: Place, speeds: FloatArray, levels: FloatArray) -> float:
    """Return the largest of the least forces against the motion of tool, forearm and elbow."""
    chain, largest = place.chain, 0.0
    elbow, wrist = chain.origin[2], chain.origin[3]
    for point, joints in ((chain.origin[6], 6), (0.5 * (elbow + wrist), 3), (elbow, 2)):
        jacobian = np.zeros((3, 6))
        for joint in range(joints):
            jacobian[:, joint] = np.cross(chain.axes[joint], point - chain.origin[joint])
        velocity = jacobian @ speeds
        speed = float(np.linalg.norm(velocity))
        if speed > _MOVES:
            largest = max(largest, float(_least(jacobian, velocity[None] / speed, levels)[0]))
    return largest


def _statistics(forces: list[float]) -> Statistics:
    median, p95 = np.percentile(forces, (50.0, 95.0))
    return Statistics(float(median), float(p95), float(max(forces)))
