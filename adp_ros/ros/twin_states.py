"""The twin's true state as it arrives, for its camera and for the scripted expert."""

import threading
from collections import deque
from typing import Final

import numpy as np

from ..cameras.camera import TwinSnapshot
from ..msg import TwinState
from .stamps import seconds

_HISTORY: Final = 100  # states: 2 s at 50 Hz, more than a picture may be old
_SAME: Final = 1e-6  # [s]; stamps pass through floating-point seconds on their way


class StateFeed:
    """Keeps the last states; a reader waits until one is due, or asks for an earlier one."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._states: deque[TwinState] = deque(maxlen=_HISTORY)

    def put(self, message: TwinState) -> None:
        """Take a state as it arrives."""
        with self._changed:
            self._states.append(message)
            self._changed.notify_all()

    def wait(self, due: float, timeout: float) -> TwinSnapshot | None:
        """Wait for a state stamped at or after ``due`` [s], at most ``timeout`` [s]."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._is_due(due), timeout):
                return None
            message = self._states[-1]
        return twin_snapshot(message)

    def at(self, stamp: float) -> TwinSnapshot | None:
        """Return the newest state stamped at or before ``stamp`` [s], else the oldest known.

        None while no state has come.
        """
        with self._changed:
            if not self._states:
                return None
            latest = stamp + _SAME
            before = (s for s in reversed(self._states) if seconds(s.header.stamp) <= latest)
            message = next(before, self._states[0])
        return twin_snapshot(message)

    def _is_due(self, due: float) -> bool:
        return bool(self._states) and seconds(self._states[-1].header.stamp) >= due


def twin_snapshot(message: TwinState) -> TwinSnapshot:
    """Unpack the twin's state."""
    return TwinSnapshot(
        task=message.task,
        seed=int(message.seed),
        qpos=np.array(message.qpos, dtype=np.float64),
        cleaned=np.array(message.cleaned, dtype=np.bool_),
        stamp=seconds(message.header.stamp),
    )
