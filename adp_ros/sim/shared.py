"""The twin for several threads: physics in one, commands from others."""

import threading
from dataclasses import dataclass

from ..types import FloatArray
from .driver import DriverMode
from .points import VelocityPoint
from .sensors import ArmReading
from .twin import Twin, TwinTruth


@dataclass(frozen=True, slots=True)
class DriverCounts:
    """What happened to commands.

    Attributes:
        mode: Whether commands are taken.
        queued: Points that wait.
        taken: Points that were queued since the start.
        ignored: Points that were not: stopped, on the way home, or not finite.
        lost: Points that a full queue refused.
    """

    mode: DriverMode
    queued: int
    taken: int
    ignored: int
    lost: int


class SharedTwin:
    """A twin behind a lock."""

    def __init__(self, twin: Twin) -> None:
        self._twin = twin
        self._lock = threading.Lock()
        self._taken = 0
        self._ignored = 0

    def step(self, *, read: bool, truth: bool) -> tuple[ArmReading | None, TwinTruth | None]:
        """Let 10 ms pass, then measure and look where asked to."""
        with self._lock:
            self._twin.step()
            reading = self._twin.read() if read else None
            return reading, self._twin.truth() if truth else None

    def send(self, point: VelocityPoint) -> None:
        """Give the driver a point; it may ignore it."""
        with self._lock:
            if self._twin.driver.send(point):
                self._taken += 1
            else:
                self._ignored += 1

    def finger_speeds(self, closure: float) -> FloatArray:
        """Return the finger speeds that follow a closure percentage, shape (3,), in [ticks/s]."""
        with self._lock:
            return self._twin.driver.finger_speeds(closure)

    def counts(self) -> DriverCounts:
        """Return what happened to commands so far."""
        with self._lock:
            driver = self._twin.driver
            return DriverCounts(driver.mode, driver.queued, self._taken, self._ignored, driver.lost)

    def mode(self) -> DriverMode:
        """Return whether commands are taken."""
        with self._lock:
            return self._twin.driver.mode

    def stop(self) -> None:
        """Erase all points and ignore commands until :meth:`start`."""
        with self._lock:
            self._twin.driver.stop()

    def start(self) -> None:
        """Take commands again."""
        with self._lock:
            self._twin.driver.start()

    def clear(self) -> None:
        """Erase all points."""
        with self._lock:
            self._twin.driver.clear()

    def home(self) -> bool:
        """Begin the way home. Returns False when nothing is done: stopped, or there."""
        with self._lock:
            return self._twin.driver.home()

    def next_scene(self) -> int:
        """Start again in the scene of the next seed, which is returned."""
        with self._lock:
            seed = self._twin.scene.seed + 1
            self._twin.reset(seed)
            return seed
