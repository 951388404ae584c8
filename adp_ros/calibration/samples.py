"""Torque and joint samples of free motion."""

from dataclasses import dataclass

import numpy as np

from ..errors import SafetyError
from ..kinematics import ArmModel, gravity_torque
from ..safety import TorqueConfig, TorqueMonitor
from ..types import FloatArray


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
        values = motion.torques - gravity - offset
        gaps = np.maximum(np.diff(motion.times, prepend=motion.times[0] - 1.0), 1e-3)
        moved = np.diff(motion.joints, axis=0, prepend=motion.joints[:1])
        speeds = np.max(np.abs(moved), axis=1) / gaps
        start = float(motion.times[0])
        return Residuals(motion.times - start, values, speeds, offset, float(time) - start)
    raise SafetyError(f"the arm must rest at the beginning of a calibration: {reason}")
