"""Levels of the torque stop from free motion: what the arm feels when nothing touches it."""

from dataclasses import asdict, dataclass
from math import ceil
from typing import Any, Final

import numpy as np

from ..errors import SafetyError
from ..robots.kinematics import ArmModel, gravity_torque
from ..types import FloatArray
from .torque import TorqueConfig, TorqueMonitor


@dataclass(frozen=True, slots=True)
class FreeMotion:
    """Samples in the order of their arrival.

    Attributes:
        times: Arrival of each torque sample, shape (n,), in [s], rising.
        torques: Measured joint torques, shape (n, 6), in [N m].
        joints: Newest joint angles at that time, shape (n, 6), in [rad].
    """

    times: FloatArray
    torques: FloatArray
    joints: FloatArray

    @classmethod
    def joined(
        cls, torques: list[tuple[float, FloatArray]], joints: list[tuple[float, FloatArray]]
    ) -> "FreeMotion":
        """Give each torque sample the joints that were newest when it came.

        Args:
            torques: Arrival in [s] and torques, shape (6,), in [N m].
            joints: Arrival in [s] and angles, shape (6,), in [rad].

        Raises:
            SafetyError: One of them is missing altogether, or a number is not finite.
        """
        for name, samples in (("joint_torques", torques), ("joint_angles", joints)):
            if not samples:
                raise SafetyError(f"there are no samples of {name}")
            if not all(np.isfinite(values).all() for _, values in samples):
                raise SafetyError(f"a sample of {name} has a value that is not a finite number")
        arrivals = np.array([at for at, _ in joints])
        angles = np.array([values for _, values in joints])
        times = np.array([at for at, _ in torques])
        newest = np.searchsorted(arrivals, times, side="right") - 1
        known = newest >= 0
        measured = np.array([values for _, values in torques])
        return cls(times[known], measured[known], angles[newest[known]])


@dataclass(frozen=True, slots=True)
class Residuals:
    """What gravity and the sensors' offset do not explain.

    Attributes:
        times: Shape (n,), in [s] from the first sample that was used for the offset.
        values: Shape (n, 6), in [N m].
        speeds: Largest joint speed at each sample, shape (n,), in [rad/s].
        offset: Of the sensors, shape (6,), in [N m].
        tared_at: When the offset had been measured, in [s]; residuals count from there.
    """

    times: FloatArray
    values: FloatArray
    speeds: FloatArray
    offset: FloatArray
    tared_at: float


def residuals(motion: FreeMotion, model: ArmModel, config: TorqueConfig) -> Residuals:
    """Subtract gravity, and the offset from the first rest, as the controller does.

    Raises:
        SafetyError: The arm never rests, or the offset is too large; says why.
    """
    gravity = np.array([gravity_torque(model, joints) for joints in motion.joints])
    explained = config.gravity_share * gravity
    monitor = TorqueMonitor(config)
    reason = "there are no samples"
    for time, torque, weight, joints in zip(
        motion.times, motion.torques, gravity, motion.joints, strict=True
    ):
        monitor.take(torque, weight, joints, float(time))
        try:
            offset = monitor.capture_tare(float(time))
        except SafetyError as error:
            reason = str(error)
            continue
        values = motion.torques - explained - offset
        gaps = np.maximum(np.diff(motion.times, prepend=motion.times[0] - 1.0), 1e-3)
        moved = np.diff(motion.joints, axis=0, prepend=motion.joints[:1])
        speeds = np.max(np.abs(moved), axis=1) / gaps
        start = float(motion.times[0])
        return Residuals(motion.times - start, values, speeds, offset, float(time) - start)
    raise SafetyError(f"the arm must rest at the beginning of a calibration: {reason}")


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
        offset = ", ".join(f"{joint.offset:.2f}" for joint in self.joints)
        lines = [
            f"# proposed from {self.motion:.0f} s of free motion, {self.samples} samples",
            "controller_node:",
            "  ros__parameters:",
            "    torque:",
            f"      stop: [{levels}]  # [N m]",
            f"      offset: [{offset}]  # [N m]",
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
