"""Units of the driver: finger ticks, closure percentage, frame of the angular velocity.

Source: kinova-ros driver source. 0 ticks is open; 6800 ticks is closed and 80 degrees of the
finger's first joint. The policy's gripper number runs the other way: 1 is open.
"""

from math import radians
from typing import Final

from ..types import FloatArray, Twist

CLOSED_TICKS: Final = 6800.0
RADIANS_PER_TICK: Final = radians(80.0) / CLOSED_TICKS


def closure_from_opening(opening: float) -> float:
    """Turn the policy's gripper number into the driver's closure percentage.

    Args:
        opening: 0 closed to 1 open; values outside are clipped.

    Returns:
        0 (open) to 100 (closed).
    """
    return 100.0 * (1.0 - min(max(opening, 0.0), 1.0))


def opening_from_ticks(ticks: float) -> float:
    """Turn a finger position in ticks into 0 closed to 1 open; values outside are clipped."""
    return 1.0 - min(max(ticks / CLOSED_TICKS, 0.0), 1.0)


def radians_from_ticks(ticks: float) -> float:
    """Turn a finger position in ticks into the angle of its first joint in [rad]."""
    return ticks * RADIANS_PER_TICK


def angular_for_driver(twist: Twist, rotation: FloatArray, angular_frame: str) -> FloatArray:
    """Express an angular velocity in the frame that the driver reads it in.

    Args:
        twist: Tool velocity in the base frame.
        rotation: Orientation of the tool, tool -> base, shape (3, 3).
        angular_frame: ``tool`` (what Kinova's staff answers) or ``base`` (what its README says).

    Returns:
        Shape (3,), in [rad/s].
    """
    return rotation.T @ twist.angular if angular_frame == "tool" else twist.angular
