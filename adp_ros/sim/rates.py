"""Joint speeds for a tool velocity: damped least squares, as the arm's base does it inside."""

from typing import Final

import numpy as np

from ..geometry import length
from ..types import FloatArray

_DAMPING: Final = 0.01
_SINGULAR: Final = 0.04  # smallest singular value below which the damping grows
_MAX_DAMPING: Final = 0.06


def joint_rates(jacobian: FloatArray, twist: FloatArray) -> FloatArray:
    """Return the joint speeds of a tool velocity.

    Args:
        jacobian: Tool velocity per joint speed, linear over angular, base frame, shape (6, 6).
        twist: Linear and angular velocity in the base frame, shape (6,), in [m/s] and [rad/s].

    Returns:
        Shape (6,), in [rad/s]. Exact to about 1 % in the workspace; close to a singularity the
        damping grows, and the tool falls behind in place of the joints running away.
    """
    u, s, vt = np.linalg.svd(jacobian)
    near = max(0.0, 1.0 - (float(s[-1]) / _SINGULAR) ** 2)
    damping = _DAMPING**2 + near * _MAX_DAMPING**2
    return np.asarray(vt.T @ (s / (s * s + damping) * (u.T @ twist)))


def within_limits(
    rates: FloatArray, joints: FloatArray, lower: FloatArray, upper: FloatArray, cap: FloatArray
) -> FloatArray:
    """Stop joints at their limits, then slow all alike until none is faster than its cap.

    Args:
        rates: Joint speeds, shape (6,), in [rad/s].
        joints: Joint angles, shape (6,), in [rad].
        lower: Lower limits, -inf for continuous joints, shape (6,), in [rad].
        upper: Upper limits, shape (6,), in [rad].
        cap: Largest speeds, shape (6,), in [rad/s].
    """
    outward = ((joints <= lower) & (rates < 0.0)) | ((joints >= upper) & (rates > 0.0))
    free = np.where(outward, 0.0, rates)
    return np.asarray(free / max(1.0, float(np.max(np.abs(free) / cap))))


def approach(now: FloatArray, target: FloatArray, step: float) -> FloatArray:
    """Move a vector towards another by at most a step, in a straight line."""
    gap = target - now
    distance = length(gap)
    return target.copy() if distance <= step else now + gap * (step / distance)


def clip_norm(vector: FloatArray, largest: float) -> FloatArray:
    """Shorten a vector to a largest length, its direction kept."""
    size = length(vector)
    return vector if size <= largest else vector * (largest / size)
