"""The thread that empties a device's queue and keeps the newest picture."""

import threading
from typing import TYPE_CHECKING

import cv2

from ..errors import CameraError
from .source import Clock

if TYPE_CHECKING:
    from .v4l2 import Capture

_JOIN_SECONDS = 0.5


class Drain:
    """Owns an open capture until :meth:`stop`; the thread alone touches and releases it.

    A grab that never returns cannot be interrupted; :meth:`stop` then leaves the thread behind,
    and it releases the device when the grab comes back.
    """

    def __init__(self, capture: "Capture", clock: Clock, name: str, stall_timeout: float) -> None:
        """Start to drain; ``stall_timeout`` in [s]."""
        self._capture = capture
        self._clock = clock
        self._name = name
        self._stall_timeout = stall_timeout
        self._changed = threading.Condition()
        self._stopped = False
        self._newest: tuple[cv2.typing.MatLike, float] | None = None
        self._failure: str | None = None
        self._last_arrival = clock.monotonic()
        self._thread = threading.Thread(target=self._run, name="camera-drain", daemon=True)
        self._thread.start()

    def newest(self, timeout: float) -> "tuple[cv2.typing.MatLike, float] | None":
        """Wait for a picture newer than the last one returned.

        Args:
            timeout: Longest wait in [s].

        Returns:
            BGR picture and capture time in [s], or None when there was none in time.

        Raises:
            CameraError: The device ended or delivered nothing for the stall timeout.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._newest or self._failure, timeout)
            newest, self._newest = self._newest, None
            if newest is not None:
                return newest
            if self._failure is not None:
                raise CameraError(f"{self._name} {self._failure}")
            silent = self._clock.monotonic() - self._last_arrival
            if silent > self._stall_timeout:
                raise CameraError(f"{self._name} has delivered no frame for {silent:.1f} s")
            return None

    def stop(self) -> None:
        """End the thread."""
        with self._changed:
            self._stopped = True
        self._thread.join(_JOIN_SECONDS)

    def _run(self) -> None:
        try:
            while not self._stopped:
                if not self._capture.grab():
                    self._fail("stopped delivering frames")
                    return
                stamp = self._stamp()
                picture = self._decode()
                if picture is not None:
                    self._put(picture, stamp)
        finally:
            self._capture.release()

    def _decode(self) -> "cv2.typing.MatLike | None":
        try:
            ok, bgr = self._capture.retrieve()
        except cv2.error:  # one broken JPEG; a stream of them ends in the stall timeout
            return None
        return bgr if ok and bgr is not None and bgr.size else None

    def _stamp(self) -> float:
        """Capture time: the driver's monotonic buffer time where it has one, else now."""
        age = self._clock.monotonic() - self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000.0
        return self._clock.now() - (age if 0.0 <= age < 1.0 else 0.0)

    def _put(self, picture: "cv2.typing.MatLike", stamp: float) -> None:
        with self._changed:
            self._newest = (picture, stamp)
            self._last_arrival = self._clock.monotonic()
            self._changed.notify_all()

    def _fail(self, what: str) -> None:
        with self._changed:
            self._failure = what
            self._changed.notify_all()
