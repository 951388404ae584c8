"""Lifelines: the kernel itself tells the controller that a process has ended, however it ended.

A process that the arm's motion depends on keeps a connection to the controller open, on a local
socket over which nothing is sent but its name. When the process ends, by itself, by an error or by
SIGKILL, the kernel closes the connection and the controller reads its end within a millisecond.
There is no heartbeat and no deadline, so that a busy machine can neither delay the news nor raise
a false alarm; a process that lives but hangs is the business of the monitors of its data.

Reaches processes of one machine and one network namespace. Linux only: the address is abstract, no
file is left behind.
"""

import selectors
import socket
import struct
import threading
from collections.abc import Callable
from typing import Final

from .errors import ConfigError

RETRY: Final = 0.5  # [s] until a process looks again whether a controller is there
_NAME_BYTES: Final = 256
_BACKLOG: Final = 16


def lifeline_address(domain: int, robot_type: str) -> str:
    """Return the address of the controller of one arm in one ROS domain of this machine."""
    return f"adp_ros/lifeline/{domain}/{robot_type}"


class Lifeline:
    """The watched process's end; connects again whenever a controller is there.

    Args:
        address: See :func:`lifeline_address`.
        name: Name under which the controller knows the process.
    """

    def __init__(self, address: str, name: str) -> None:
        self._address = address
        self._name = name
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, name="lifeline", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Let go: the controller takes it as the end of the process."""
        self._ending.set()
        with self._lock:
            if self._socket is not None:
                self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    def _run(self) -> None:
        while not self._ending.is_set():
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
                if self._connect(connection):
                    self._hold(connection)
            self._ending.wait(RETRY)

    def _connect(self, connection: socket.socket) -> bool:
        with self._lock:
            if self._ending.is_set():
                return False
            try:
                connection.connect("\0" + self._address)
                connection.send(self._name.encode()[:_NAME_BYTES])
            except OSError:  # no controller yet, or it has just ended
                return False
            self._socket = connection
            return True

    def _hold(self, connection: socket.socket) -> None:
        """Wait until one of the two ends."""
        try:
            while connection.recv(1):
                pass
        except ConnectionError:
            pass
        with self._lock:
            self._socket = None


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
        """End the watch; nobody is reported as lost."""
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
