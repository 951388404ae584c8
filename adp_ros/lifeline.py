"""Lifelines: the kernel itself tells the controller that a process has ended, however it ended.

A process that the arm's motion depends on keeps a connection to the controller open, on a local
socket over which nothing is sent but its name. When the process ends, by itself, by an error or by
SIGKILL, the kernel closes the connection and the controller reads its end within a millisecond.
There is no heartbeat and no deadline, so that a busy machine can neither delay the news nor raise
a false alarm; a process that lives but hangs is the business of the monitors of its data.

Reaches processes of one machine and one network namespace. Linux only: the address is abstract, no
file is left behind.
"""

import os
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

    Make it before anything large: the kernel closes descriptors in their order, and to close a GPU
    takes long.
    """

    def __init__(self) -> None:
        self._place = os.open(os.devnull, os.O_RDONLY)  # the connection takes its number
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
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
        self._ending.set()
        with self._lock:
            if self._socket is not None:
                self._socket.shutdown(socket.SHUT_RDWR)
        if self._thread is not None:
            self._thread.join()
        os.close(self._place)

    def _run(self, address: str, name: str) -> None:
        while not self._ending.is_set():
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
                if self._connect(connection, address, name):
                    self._hold()
            self._ending.wait(RETRY)

    def _connect(self, connection: socket.socket, address: str, name: str) -> bool:
        with self._lock:
            if self._ending.is_set():
                return False
            try:
                connection.connect("\0" + address)
                connection.send(name.encode()[:_NAME_BYTES])
            except OSError:  # no controller yet, or it has just ended
                return False
            self._keep(connection)
            return True

    def _keep(self, connection: socket.socket) -> None:
        """Move a connection to the early descriptor."""
        os.dup2(connection.fileno(), self._place, inheritable=False)
        connection.close()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, fileno=self._place)

    def _hold(self) -> None:
        """Wait until one of the two ends."""
        held = self._socket
        try:
            while held is not None and held.recv(1):
                pass
        except ConnectionError:
            pass
        with self._lock:
            self._socket = None
            if held is not None:
                held.detach()
            with open(os.devnull, "rb") as nothing:
                os.dup2(nothing.fileno(), self._place, inheritable=False)


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
