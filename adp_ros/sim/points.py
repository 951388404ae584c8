"""Velocity points and the queue in which the arm's base keeps them.

The base takes one point every 10 ms and stands still when there is none; points that come faster
pile up, and the arm goes on after the sender has stopped (kinova-ros README; facts of its users).
"""

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from ..types import FloatArray


def _zeros(size: int) -> FloatArray:
    return np.zeros(size)


@dataclass(frozen=True, slots=True, kw_only=True)
class VelocityPoint:
    """One command of the trajectory queue, good for 10 ms.

    Attributes:
        linear: Tool velocity in the base frame, shape (3,), in [m/s].
        angular: Tool velocity, shape (3,), in [rad/s], in the driver's angular frame.
        joints: Joint speeds on top of it, shape (6,), in [rad/s].
        fingers: Finger speeds in [ticks/s], positive closes, shape (3,); None leaves them alone.
    """

    linear: FloatArray = field(default_factory=lambda: _zeros(3))
    angular: FloatArray = field(default_factory=lambda: _zeros(3))
    joints: FloatArray = field(default_factory=lambda: _zeros(6))
    fingers: FloatArray | None = None


class PointQueue:
    """First in, first out; full, it loses the newest."""

    def __init__(self, size: int) -> None:
        self._points: deque[VelocityPoint] = deque()
        self._size = size
        self.lost = 0

    def __len__(self) -> int:
        return len(self._points)

    def put(self, point: VelocityPoint) -> None:
        """Append a point, or count it as lost when the queue is full."""
        if len(self._points) >= self._size:
            self.lost += 1
        else:
            self._points.append(point)

    def take(self) -> VelocityPoint | None:
        """Return the oldest point, None when there is none."""
        return self._points.popleft() if self._points else None

    def clear(self) -> None:
        """Erase all points."""
        self._points.clear()
