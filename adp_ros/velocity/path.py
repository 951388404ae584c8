"""The planned path and the feedback that keeps the tool on it."""

from collections import deque
from typing import Final

import numpy as np

from ..geometry import increment_in_base, rotation_from_rotvec, rotvec_from_rotation
from ..types import ActionConvention, FloatArray, Pose, Twist
from .config import VelocityConfig
from .ramp import scaled_to

_HISTORY: Final = 100  # ticks of the plan that are kept, 1 s
_ROUNDING: Final = 1e-6  # [s]


def limited_increment(
    action: FloatArray,
    rotation: FloatArray,
    convention: ActionConvention,
    period: float,
    config: VelocityConfig,
) -> tuple[Twist, bool]:
    """Turn an action into the velocity that executes it within one step.

    Translation and rotation are scaled by one factor when either is too fast, so that the tool
    keeps to the planned direction.

    Args:
        action: Shape (7,), see :class:`adp_ros.types.Chunk`.
        rotation: Orientation that the increment starts from, shape (3, 3).
        convention: Frames and rotation order of the increment.
        period: Duration of the step, in [s].
        config: Speed limits.

    Returns:
        Velocity in the base frame, and whether it had to be scaled.
    """
    translation, turn = increment_in_base(action, rotation, convention)
    linear, angular = translation / period, turn / period
    share = min(
        1.0,
        config.linear_speed_cap / max(float(np.linalg.norm(linear)), 1e-12),
        config.max_angular_speed / max(float(np.linalg.norm(angular)), 1e-12),
    )
    return Twist(linear * share, angular * share), share < 1.0


class PathFollower:
    """Pose that the tool should have now, and the velocity that brings it there.

    The path starts at the measured pose when motion starts, and is then moved by the velocities
    that were planned, whether the arm kept up or not: what the driver falls short of is made up.
    """

    def __init__(self, config: VelocityConfig) -> None:
        self._config = config
        self._pose: Pose | None = None
        self._past: deque[tuple[float, Pose]] = deque(maxlen=_HISTORY)

    @property
    def pose(self) -> Pose | None:
        """Planned pose, None while nothing is planned."""
        return self._pose

    def forget(self) -> None:
        """Drop the path; the next one starts at the measured pose."""
        self._pose = None
        self._past.clear()

    def start(self, measured: Pose, now: float) -> Pose:
        """Begin a path at the measured pose unless there is one; return the planned pose."""
        if self._pose is None:
            self._pose = measured
            self._past.append((now, measured))
        return self._pose

    def advance(self, planned: Twist, period: float, now: float) -> None:
        """Move the planned pose by a velocity.

        Args:
            planned: In the base frame, within all limits.
            period: Time that it lasted, in [s].
            now: End of that time, in [s].
        """
        if self._pose is None:
            raise RuntimeError("the path has not been started")
        turn = rotation_from_rotvec(planned.angular * period)
        self._pose = Pose(self._pose.position + planned.linear * period, turn @ self._pose.rotation)
        self._past.append((now, self._pose))

    def feedback(self, measured: Pose, measured_at: float) -> Twist:
        """Return the velocity that leads the tool back to the path.

        The measurement is compared with the plan of the same time. A plan that has run ahead by
        more than the lead allowed is pulled back first.

        Args:
            measured: Measured tool pose.
            measured_at: When it was measured, in [s].
        """
        if self._pose is None:
            return Twist.zero()
        self._pull_back(measured)
        planned = self._planned_at(measured_at)
        position = scaled_to(planned.position - measured.position, self._config.max_lead)
        turn = scaled_to(
            rotvec_from_rotation(planned.rotation @ measured.rotation.T),
            self._config.max_lead_angle,
        )
        gain = self._config.feedback_gain
        return Twist(gain * position, gain * turn)

    def _planned_at(self, time: float) -> Pose:
        for at, pose in reversed(self._past):
            if at <= time + _ROUNDING:
                return pose
        return self._past[0][1]

    def _pull_back(self, measured: Pose) -> None:
        """Keep the plan within reach, for instance while the arm does not move at all."""
        if self._pose is None:
            return
        ahead = self._pose.position - measured.position
        turned = rotvec_from_rotation(self._pose.rotation @ measured.rotation.T)
        near = scaled_to(ahead, self._config.max_lead)
        near_turn = scaled_to(turned, self._config.max_lead_angle)
        if near is ahead and near_turn is turned:
            return
        rotation = rotation_from_rotvec(near_turn) @ measured.rotation
        self._pose = Pose(measured.position + near, rotation)
        self._past.append((self._past[-1][0], self._pose))
