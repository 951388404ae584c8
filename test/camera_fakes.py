"""A clock without waiting and a V4L2 device without hardware."""

import threading

import cv2
import numpy as np

from adp_ros.errors import CameraError
from adp_ros.types import Frame


class FakeClock:
    """Sleeping moves the time on."""

    def __init__(self) -> None:
        self.time = 100.0
        self.slept: list[float] = []

    def now(self) -> float:
        """Return the ROS time, 1000 s ahead of the monotonic one."""
        return 1000.0 + self.time

    def monotonic(self) -> float:
        """Return the time."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """Move on."""
        self.slept.append(seconds)
        self.time += seconds


class FakeCapture:
    """Stands for ``cv2.VideoCapture``: frames are handed in with :meth:`deliver`."""

    def __init__(self, opened: bool = True, grants: dict[int, float] | None = None) -> None:
        self.opened = opened
        self.asked: list[tuple[int, float]] = []
        self.values: dict[int, float] = {}
        self.grants = grants or {}
        self.released = threading.Event()
        self.buffer_msec = 0.0
        self._frames: list[np.ndarray | None] = []
        self._ready = threading.Condition()
        self._current: np.ndarray | None = None

    def deliver(self, bgr: np.ndarray | None) -> None:
        """Queue a frame; None makes grab fail, as when a device is pulled out."""
        with self._ready:
            self._frames.append(bgr)
            self._ready.notify()

    def isOpened(self) -> bool:  # noqa: N802
        return self.opened

    def set(self, prop: int, value: float) -> bool:
        self.asked.append((prop, value))
        self.values[prop] = self.grants.get(prop, value)
        return True

    def get(self, prop: int) -> float:
        return self.buffer_msec if prop == cv2.CAP_PROP_POS_MSEC else self.values.get(prop, 0.0)

    def grab(self) -> bool:
        with self._ready:
            if not self._ready.wait_for(lambda: bool(self._frames), 5.0):
                return False
            self._current = self._frames.pop(0)
        return self._current is not None

    def retrieve(self) -> tuple[bool, np.ndarray | None]:
        return self._current is not None and self._current.size > 0, self._current

    def release(self) -> None:
        self.released.set()


class ScriptedSource:
    """Plays a list: a float is a frame's stamp, a text an error, None no frame in time."""

    name = "scripted camera"

    def __init__(self, opens: list[str | None], reads: list[float | str | None]) -> None:
        self.opens = opens
        self.reads = reads
        self.closed = 0

    def open(self) -> tuple[str, ...]:
        error = self.opens.pop(0) if self.opens else None
        if error is not None:
            raise CameraError(error)
        return ()

    def read(self, timeout: float) -> Frame | None:
        item = self.reads.pop(0)
        if isinstance(item, str):
            raise CameraError(item)
        return None if item is None else Frame(np.zeros((4, 4, 3), np.uint8), item)

    def close(self) -> None:
        self.closed += 1
