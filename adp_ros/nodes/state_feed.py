"""Hands the twin's newest state from the executor to another thread."""

import threading

from ..camera.twin import TwinSnapshot
from ..msg import TwinState
from .convert import seconds, twin_snapshot


class StateFeed:
    """Keeps the newest state; a reader waits until one is due."""

    def __init__(self) -> None:
        """Start without a state."""
        self._changed = threading.Condition()
        self._newest: TwinState | None = None

    def put(self, message: TwinState) -> None:
        """Take a state as it arrives."""
        with self._changed:
            self._newest = message
            self._changed.notify_all()

    def newest(self) -> TwinState | None:
        """Return the newest state, None when none has come."""
        with self._changed:
            return self._newest

    def wait(self, due: float, timeout: float) -> TwinSnapshot | None:
        """Wait for a state stamped at or after ``due`` [s], at most ``timeout`` [s]."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._is_due(due), timeout):
                return None
            message = self._newest
        return None if message is None else twin_snapshot(message)

    def _is_due(self, due: float) -> bool:
        return self._newest is not None and seconds(self._newest.header.stamp) >= due
