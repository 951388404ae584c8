"""The newest request, handed from the executor to the thread that plans."""

import threading
import time
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Arrived(Generic[T]):
    """A message and the monotonic time of its arrival in [s]."""

    message: T
    at: float


class NewestSlot(Generic[T]):
    """Holds one message; a newer one replaces it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._newest: Arrived[T] | None = None

    def put(self, message: T) -> None:
        """Take a message as it arrives."""
        with self._changed:
            self._newest = Arrived(message, time.monotonic())
            self._changed.notify()

    def take(self, timeout: float) -> Arrived[T] | None:
        """Take the message out, waiting at most ``timeout`` [s] for one."""
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None, timeout)
            newest, self._newest = self._newest, None
            return newest
