"""Lifelines: the kernel itself tells the controller that a process has ended, however it ended.

A process that the arm's motion depends on keeps a connection to the controller open, on a local
socket over which nothing is sent but its name. When the process ends, by itself, by an error or by
SIGKILL, the kernel closes the connection and the controller reads its end within a millisecond.
There is no heartbeat and no deadline, so that a busy machine can neither delay the news nor raise
a false alarm; a process that lives but hangs is the business of the monitors of its data.

Reaches processes of one machine and one network namespace. Linux only: the address is abstract, no
file is left behind.
"""

import ctypes
import os
import select
import selectors
import socket
import struct
import threading
from collections.abc import Callable
from typing import Final

from ..errors import ConfigError
from .arm_name import namespace

RETRY: Final = 0.5  # [s] until a process looks again whether a controller is there
_NAME_BYTES: Final = 256
_BACKLOG: Final = 16
_CLONE_FILES: Final = 0x400


def lifeline_address(domain: int, robot_name: str) -> str:
    """Return the address of the controller of one arm in one ROS domain of this machine.

    Arms with plain names share one, whatever their kind: their services have the same names.
    """
    return f"adp_ros/lifeline/{domain}{namespace(robot_name)}"


class Lifeline:
    """The watched process's end; connects again whenever a controller is there.

    Its thread has a table of descriptors of its own where the kernel allows that: the connection
    then ends with this thread, and does not wait for memory to be freed or for a thread of low
    priority to die. Make the lifeline before anything large all the same: elsewhere the kernel
    closes descriptors in their order, and to close a GPU takes long.
    """

    def __init__(self) -> None:
        self._place = os.open(os.devnull, os.O_RDONLY)  # the connection takes its number
        self._wake, self._woken = socket.socketpair()
        self._thread: threading.Thread | None = None

    def hold(self, address: str, name: str) -> None:
        """Begin to hold on to a controller.

        Args:
            address: See :func:`lifeline_address`.
            name: Name under which the controller knows the process.
        """
        self._thread = threading.Thread(
            target=self._run, args=(address, name), name="lifeline", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Let go: the controller takes it as the end of the process."""
        self._wake.close()
        if self._thread is not None:
            self._thread.join()
        self._woken.close()
        os.close(self._place)

    def _run(self, address: str, name: str) -> None:
        woken = self._woken.fileno()
        _take_own_descriptors((self._place, woken))
        ending = select.poll()
        ending.register(woken, select.POLLIN)
        while not ending.poll(0):
            if self._connect(address, name):
                self._hold(woken)
            ending.poll(1e3 * RETRY)

    def _connect(self, address: str, name: str) -> bool:
        """Connect, and move the connection to the early descriptor."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            try:
                connection.connect("\0" + address)
                connection.send(name.encode()[:_NAME_BYTES])
            except OSError:  # no controller yet, or it has just ended
                return False
            os.dup2(connection.fileno(), self._place, inheritable=False)
        return True

    def _hold(self, woken: int) -> None:
        """Wait until one of the two ends; the controller never sends anything."""
        waiting = select.poll()
        waiting.register(self._place, select.POLLIN)
        waiting.register(woken, select.POLLIN)
        waiting.poll()
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, self._place, inheritable=False)
        os.close(nothing)


def _take_own_descriptors(kept: tuple[int, int]) -> None:
    """Give the calling thread a table of descriptors of its own, with these alone.

    Where that is not permitted, in some containers, the thread goes on with the process's.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_FILES) != 0:
        return
    low, high = sorted(kept)
    os.closerange(0, low)
    os.closerange(low + 1, high)
    os.closerange(high + 1, os.sysconf("SC_OPEN_MAX"))


class LifelineWatch:
    """The controller's end.

    Args:
        address: See :func:`lifeline_address`.
        found: Called with the name of each process that has connected.
        lost: Called with name and words for each that has ended. Both are called in a thread of
            the watch's own.

    Raises:
        ConfigError: When another controller of the arm listens already.
    """

    def __init__(
        self, address: str, found: Callable[[str], None], lost: Callable[[str, str], None]
    ) -> None:
        self._found = found
        self._lost = lost
        self._names: dict[socket.socket, str] = {}
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        try:
            self._listener.bind("\0" + address)
        except OSError as error:
            self._listener.close()
            raise ConfigError(
                f"another controller holds {address!r}: one per arm and ROS domain is allowed; "
                "end it, or set ROS_DOMAIN_ID"
            ) from error
        self._listener.listen(_BACKLOG)
        self._wake, self._woken = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="lifelines", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the watch; no process is reported as lost."""
        self._wake.send(b"\0")
        self._thread.join()
        for each in (self._listener, self._wake, self._woken, *self._names):
            each.close()
        self._selector.close()

    def _run(self) -> None:
        while True:
            ready = [key.fileobj for key, _ in self._selector.select()]
            if self._woken in ready:
                return
            for source in ready:
                if source is self._listener:
                    self._accept()
                elif isinstance(source, socket.socket):
                    self._read(source)

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        self._selector.register(connection, selectors.EVENT_READ)
        self._names[connection] = ""

    def _read(self, connection: socket.socket) -> None:
        try:
            name = connection.recv(_NAME_BYTES).decode(errors="replace")
        except ConnectionError:
            name = ""
        if name:
            self._names[connection] = name
            self._found(name)
            return
        ended, process = self._names.pop(connection), _peer(connection)
        self._selector.unregister(connection)
        connection.close()
        if ended:
            self._lost(ended, f"{ended} (process {process}) has ended")


def _peer(connection: socket.socket) -> int:
    """Return the number of the process at the other end."""
    size = struct.calcsize("3i")
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    return int(struct.unpack("3i", credentials)[0])
