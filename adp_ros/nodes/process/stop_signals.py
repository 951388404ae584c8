"""Ctrl-C and SIGTERM as an event, never as an exception in the middle of somebody's code.

An exception that a signal handler raises can come out anywhere, also half-way through the
construction of an object of rclpy. Here the handler does nothing; the interpreter writes each
signal to a socket, whichever thread the kernel gave it to, and a thread reads them there.
"""

import os
import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Final

STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_END: Final = b"\0"  # no signal has this number


class StopSignals:
    """Watches for a stop signal while the context lasts; use it from the main thread.

    Until :meth:`stops` has been called there is nothing to clean up, and a signal ends the
    process at once with status 0.
    """

    def __init__(self) -> None:
        self._stop: Callable[[], None] = _end_process
        self._signals, self._written = socket.socketpair()
        self._thread = threading.Thread(target=self._watch, name="stop_signals", daemon=True)

    def stops(self, stop: Callable[[], None]) -> None:
        """From now on a signal calls `stop`, in the thread of the watch."""
        self._stop = stop

    def __enter__(self) -> "StopSignals":
        self._written.setblocking(False)
        self._wakeup_before = signal.set_wakeup_fd(self._written.fileno())
        self._before = {number: signal.signal(number, _do_nothing) for number in STOP_SIGNALS}
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        self._written.send(_END)
        self._thread.join()
        self._signals.close()
        self._written.close()

    def _watch(self) -> None:
        while (received := self._signals.recv(1)) != _END:
            if received[0] in STOP_SIGNALS:
                self._stop()


def _do_nothing(_number: int, _frame: FrameType | None) -> None:
    """Let the socket tell."""


def _end_process() -> None:
    os._exit(0)
