"""From residual torques of free motion to levels that free motion does not reach."""

from dataclasses import asdict, dataclass
from math import ceil
from typing import Any, Final

import numpy as np

from ..errors import SafetyError
from ..safety import TorqueConfig
from .samples import Residuals

PERCENTILE: Final = 99.9
FACTOR: Final = 2.0  # of that percentile
_SHORTEST: Final = 30.0  # [s] of motion that a proposal should rest on
_MOVING: Final = 0.02  # [rad/s] of the fastest joint
_ROUND: Final = 10.0  # levels in tenths of a newton metre


@dataclass(frozen=True, slots=True)
class JointProposal:
    """One joint; all in [N m].

    Attributes:
        joint: 1 to 6.
        offset: Of its sensor.
        median: Of the residual's size.
        extreme: 99.9th percentile of it.
        largest: Largest.
        stop: Proposed stop level.
        default: Stop level before.
    """

    joint: int
    offset: float
    median: float
    extreme: float
    largest: float
    stop: float
    default: float


@dataclass(frozen=True, slots=True)
class Proposal:
    """Levels of all joints.

    Attributes:
        joints: One entry per joint.
        motion: Time in motion that it rests on, in [s].
        samples: Torque samples that it rests on.
        warnings: What makes it doubtful.
    """

    joints: tuple[JointProposal, ...]
    motion: float
    samples: int
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return everything by name."""
        return asdict(self)

    def to_yaml(self) -> str:
        """Return the lines for config/controller.yaml."""
        levels = ", ".join(f"{joint.stop:.1f}" for joint in self.joints)
        lines = [
            f"# proposed from {self.motion:.0f} s of free motion, {self.samples} samples",
            "controller_node:",
            "  ros__parameters:",
            "    torque:",
            f"      stop: [{levels}]  # [N m]",
        ]
        return "\n".join(lines) + "\n"

    def to_text(self) -> str:
        """Return a table."""
        head = f"{'joint':>5}{'offset':>9}{'median':>9}{'99.9 %':>9}{'largest':>9}"
        lines = [head + f"{'before':>9}{'stop':>7}   [N m]"]
        for j in self.joints:
            numbers = f"{j.offset:>+9.2f}{j.median:>9.2f}{j.extreme:>9.2f}{j.largest:>9.2f}"
            lines.append(f"{j.joint:>5}{numbers}{j.default:>9.1f}{j.stop:>7.1f}")
        lines += [f"warning: {text}" for text in self.warnings]
        return "\n".join(lines) + "\n"


def propose(residuals: Residuals, config: TorqueConfig, margin: float = 0.5) -> Proposal:
    """Propose stop levels: the present ones, or twice the 99.9th percentile and a margin.

    Args:
        residuals: Of free motion.
        config: Present levels; no proposal is below.
        margin: In [N m].

    Raises:
        SafetyError: There is nothing after the offset was measured.
    """
    after = residuals.times >= residuals.tared_at
    sizes = np.abs(residuals.values[after])
    if len(sizes) < 2:
        raise SafetyError("there are no samples after the rest at the beginning")
    median, extreme = np.percentile(sizes, (50.0, PERCENTILE), axis=0)
    largest = sizes.max(axis=0)
    joints = []
    for i, present in enumerate(config.stop):
        wanted = ceil(_ROUND * (FACTOR * extreme[i] + margin)) / _ROUND
        joints.append(
            JointProposal(
                joint=i + 1,
                offset=float(residuals.offset[i]),
                median=float(median[i]),
                extreme=float(extreme[i]),
                largest=float(largest[i]),
                stop=max(present, wanted),
                default=present,
            )
        )
    moving = _time_in_motion(residuals)
    warnings = _warnings(joints, moving)
    return Proposal(tuple(joints), moving, len(sizes), warnings)


def _time_in_motion(residuals: Residuals) -> float:
    after = residuals.times >= residuals.tared_at
    gaps = np.diff(residuals.times, prepend=residuals.times[0])
    return float(gaps[after & (residuals.speeds > _MOVING)].sum())


def _warnings(joints: list[JointProposal], moving: float) -> tuple[str, ...]:
    found = [
        f"joint {j.joint} felt {j.largest:.2f} N m, more than its stop level: was the arm touched, "
        "or is the payload unknown?"
        for j in joints
        if j.largest > j.default
    ]
    if moving < _SHORTEST:
        found.append(f"only {moving:.0f} s of motion, {_SHORTEST:.0f} s or more are advised")
    return tuple(found)
