"""How the fingers follow the gripper number: the driver's own control, step by step."""

from typing import Final

from ...arm.units import CLOSED_TICKS, RADIANS_PER_TICK, closure_from_opening
from .motion import STEP

_GAIN: Final = 2.0  # [1/s], of the driver's finger control
_TOP_SPEED: Final = 5000.0  # [ticks/s]
_PARTS: Final = 10  # of a step
SHUT: Final = CLOSED_TICKS * RADIANS_PER_TICK  # [rad], where the fingers stop without an item


def finger_after(angle: float, opening: float, stall: float = SHUT) -> float:
    """Return the fingers' angle after one step.

    Args:
        angle: Present angle of the fingers' first joints in [rad]; 0 is open.
        opening: Gripper number, 0 closed to 1 open.
        stall: Angle in [rad] at which something between the fingers stops them.
    """
    ticks = angle / RADIANS_PER_TICK
    goal = closure_from_opening(opening) / 100.0 * CLOSED_TICKS
    for _ in range(_PARTS):
        speed = min(max(_GAIN * (goal - ticks), -_TOP_SPEED), _TOP_SPEED)
        ticks += speed * STEP / _PARTS
    after = ticks * RADIANS_PER_TICK
    return min(after, max(stall, angle)) if after > angle else after
