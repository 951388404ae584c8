"""Residual torque: what the arm feels beyond gravity and the offset of its sensors."""

from collections import deque
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np

from ..errors import SafetyError
from ..settings import check_settings, setting
from ..types import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class TorqueConfig:
    """Levels of the residual torque: measured - gravity model - tare, per joint.

    The stop levels are what 9 to 20 N of vertical force at the tool cause, and at least 2.4 times
    what ramped free motion causes in the simulated arm.
    """

    source: str = setting(
        "raw",
        "What the driver publishes: raw torques, of which the gravity model is taken off, or "
        "gravity_free ones, of which the arm has taken its own estimate off (torque_source of the "
        "driver).",
        choices=("raw", "gravity_free"),
    )
    stop: tuple[float, ...] = setting(
        (4.0, 6.0, 4.0, 2.0, 2.0, 1.5),
        "Residual torque per joint that stops the arm.",
        unit="N m",
        low=0.1,
        high=30.0,
        length=6,
    )
    slow_share: float = setting(
        0.6, "Share of the stop level from which the arm is slowed.", low=0.1, high=1.0
    )
    samples: int = setting(
        2, "Samples in a row over a level that count.", unit="samples", low=1, high=10
    )
    instant_factor: float = setting(
        2.0, "One sample over this many times the stop level is enough.", low=1.0, high=10.0
    )
    absolute: tuple[float, ...] = setting(
        (24.0, 24.0, 24.0, 5.4, 5.4, 5.4),
        "Measured torque per joint that stops the arm: 80 % of the actuators' peak.",
        unit="N m",
        low=0.1,
        high=100.0,
        length=6,
    )
    clear_time: float = setting(
        0.5,
        "Time below the slow level after which full speed is allowed again.",
        unit="s",
        low=0.0,
        high=10.0,
    )
    tare_time: float = setting(
        0.5,
        "Time at rest over which the offset of the sensors is averaged.",
        unit="s",
        low=0.1,
        high=5.0,
    )
    tare_share: float = setting(
        0.75,
        "Largest offset that is taken for the sensors', as a share of the stop level; more means "
        "that something pushes the arm or that its masses are wrong.",
        low=0.0,
        high=2.0,
    )
    tare_change: float = setting(
        0.25,
        "Largest change, as a share of the stop level, of the offset that start and home measure "
        "against the last one kept; a person who sees the arm free takes more with /adp/tare.",
        low=0.0,
        high=2.0,
    )
    offset: tuple[float, ...] = setting(
        (0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
        "Offset of the sensors that the last calibration found: the one kept until the first tare.",
        unit="N m",
        low=-30.0,
        high=30.0,
        length=6,
    )
    force_ceiling: float = setting(
        65.0,
        "Force against the arm's own motion that stop levels may let pass in at most 5 % of the "
        "postures: calibration refuses more, the controller warns.",
        unit="N",
        low=10.0,
        high=500.0,
    )
    grasp_mass: float = setting(
        0.3,
        "Largest mass of an object in the closed hand; its weight, as the posture lets the joints "
        "feel it, is no overload. For more, tare with the object lifted, or set payload_mass.",
        unit="kg",
        low=0.0,
        high=2.6,
    )
    still_angle: float = setting(
        0.005,
        "Joint motion during the tare time that still counts as rest.",
        unit="rad",
        low=0.0001,
        high=0.1,
    )

    def __post_init__(self) -> None:
        check_settings(self, "torque.")

    @property
    def gravity_share(self) -> float:
        """Share of gravity that the measured torques hold: all of it or none."""
        return 1.0 if self.source == "raw" else 0.0

    @property
    def stop_levels(self) -> FloatArray:
        """Shape (6,), in [N m]."""
        return np.array(self.stop, dtype=np.float64)

    @property
    def slow_levels(self) -> FloatArray:
        """Shape (6,), in [N m]."""
        return self.slow_share * self.stop_levels


_TARE_SAMPLES: Final = 4
_TARE_SPAN: Final = 0.6  # share of the tare time that the samples must cover


class TorqueLevel(IntEnum):
    """How much the arm feels."""

    OK = 0
    SLOW = 1
    STOP = 2


@dataclass(frozen=True, slots=True)
class _Sample:
    arrival: float
    unexplained: FloatArray  # measured - gravity, (6,)
    joints: FloatArray  # (6,)


class TorqueMonitor:
    """Two levels per joint, judged sample by sample.

    Without a tare nothing is judged but the absolute level: the offset of the sensors is unknown.
    """

    def __init__(self, config: TorqueConfig) -> None:
        self._config = config
        self._recent: deque[_Sample] = deque()
        self._over_slow = 0
        self._over_stop = 0
        self._over_absolute = 0
        self._slow_at = -np.inf
        self.level = TorqueLevel.OK
        self.message = ""
        self.tare: FloatArray | None = None
        self.residual: FloatArray = np.zeros(6)

    def take(
        self,
        measured: FloatArray,
        gravity: FloatArray,
        joints: FloatArray,
        arrival: float,
        allowance: FloatArray | None = None,
    ) -> TorqueLevel:
        """Judge a sample.

        Args:
            measured: Joint torques, shape (6,), in [N m].
            gravity: Gravity torques of the model at the same joints, shape (6,), in [N m].
            joints: Joint angles, shape (6,), in [rad].
            arrival: Time of arrival in [s].
            allowance: What the heaviest object allowed in the hand would add to gravity, shape
                (6,), in [N m]; anything from zero to this is no residual. None for no object.

        Returns:
            The level, also kept in ``level``; ``message`` says which joint and how much.
        """
        unexplained = measured - self._config.gravity_share * gravity
        self._remember(_Sample(arrival, unexplained, np.array(joints)))
        self.residual = unexplained - (0.0 if self.tare is None else self.tare)
        if allowance is not None:
            low, high = np.minimum(allowance, 0.0), np.maximum(allowance, 0.0)
            self.residual = self.residual - np.clip(self.residual, low, high)
        self.level = self._judge(measured, arrival)
        return self.level

    def capture_tare(self, now: float) -> FloatArray:
        """Take the mean of the last samples as the offset of the sensors.

        Returns:
            The offset, shape (6,), in [N m].

        Raises:
            SafetyError: When the arm moves, samples are missing or the offset is too large.
        """
        problem = self.restless(now)
        if problem:
            raise SafetyError(f"torque offset cannot be measured: {problem}")
        offset: FloatArray = np.mean([s.unexplained for s in self._recent], axis=0)
        allowed = self._config.tare_share * self._config.stop_levels
        excess = np.abs(offset) - allowed
        worst = int(np.argmax(excess))
        if excess[worst] > 0.0:
            raise SafetyError(
                f"torque offset of joint {worst + 1} is {offset[worst]:+.2f} N m, allowed: "
                f"{allowed[worst]:.2f}: something pushes the arm, or inertia and payload are wrong"
            )
        self.tare = offset
        self._over_slow = self._over_stop = 0
        self.level = TorqueLevel.OK
        return offset

    def renew_tare(self, now: float) -> FloatArray:
        """Take the offset as :meth:`capture_tare` does, unless it is far from the last one kept.

        Returns:
            The offset, shape (6,), in [N m].

        Raises:
            SafetyError: When it can't be measured, or somebody may lean on the arm.
        """
        kept = np.array(self._config.offset) if self.tare is None else self.tare
        before = self.tare
        offset = self.capture_tare(now)
        change = np.abs(offset - kept)
        allowed = self._config.tare_change * self._config.stop_levels
        worst = int(np.argmax(change - allowed))
        if change[worst] > allowed[worst]:
            self.tare = before
            raise SafetyError(
                f"torque offset of joint {worst + 1} is {offset[worst]:+.2f} N m, the last one "
                f"kept {kept[worst]:+.2f}, allowed: a change of {allowed[worst]:.2f}: something "
                "leans on the arm; if it is free, or carries what it shall, call /adp/tare"
            )
        return offset

    def restless(self, now: float) -> str:
        """Say why the arm is not at rest, empty when it is."""
        config = self._config
        recent = [s for s in self._recent if now - s.arrival <= 1.5 * config.tare_time]
        span = recent[-1].arrival - recent[0].arrival if recent else 0.0
        if len(recent) < _TARE_SAMPLES or span < _TARE_SPAN * config.tare_time:
            return f"{len(recent)} torque samples in {config.tare_time:g} s"
        joints = np.array([s.joints for s in recent])
        moved = np.ptp(joints, axis=0)
        worst = int(np.argmax(moved))
        if moved[worst] > config.still_angle:
            return f"joint {worst + 1} moved by {moved[worst]:.3f} rad"
        return ""

    def loaded(self) -> str:
        """Say which joint is over its slow level, empty when none is."""
        over = np.abs(self.residual) - self._config.slow_levels
        worst = int(np.argmax(over))
        return self._describe(worst, self._config.slow_levels) if over[worst] > 0.0 else ""

    @property
    def load(self) -> float:
        """Largest residual as a share of its stop level."""
        return float(np.max(np.abs(self.residual) / self._config.stop_levels))

    def _judge(self, measured: FloatArray, arrival: float) -> TorqueLevel:
        config, size = self._config, np.abs(self.residual)
        absolute = np.abs(measured) / np.array(config.absolute)
        self._over_absolute = self._over_absolute + 1 if np.any(absolute > 1.0) else 0
        if self._over_absolute >= config.samples:
            joint = int(np.argmax(absolute))
            self.message = (
                f"torque of joint {joint + 1} is {measured[joint]:+.2f} N m, allowed: "
                f"{config.absolute[joint]:.2f}"
            )
            return TorqueLevel.STOP
        if self.tare is None:
            return TorqueLevel.OK
        stop = size / config.stop_levels
        self._over_stop = self._over_stop + 1 if np.any(stop > 1.0) else 0
        if self._over_stop >= config.samples or np.any(stop > config.instant_factor):
            self.message = self._describe(int(np.argmax(stop)), config.stop_levels)
            return TorqueLevel.STOP
        return self._judge_slow(stop / config.slow_share, arrival)

    def _judge_slow(self, share: FloatArray, arrival: float) -> TorqueLevel:
        over = bool(np.any(share > 1.0))
        self._over_slow = self._over_slow + 1 if over else 0
        if self._over_slow >= self._config.samples:
            self._slow_at = arrival
            self.message = self._describe(int(np.argmax(share)), self._config.slow_levels)
        if arrival - self._slow_at <= self._config.clear_time:
            return TorqueLevel.SLOW
        return TorqueLevel.OK

    def _describe(self, joint: int, levels: FloatArray) -> str:
        return (
            f"residual torque of joint {joint + 1} is {self.residual[joint]:+.2f} N m, "
            f"allowed: {levels[joint]:.2f}"
        )

    def _remember(self, sample: _Sample) -> None:
        self._recent.append(sample)
        while sample.arrival - self._recent[0].arrival > self._config.tare_time:
            self._recent.popleft()
