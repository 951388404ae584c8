"""The twin for several threads: physics in real time in one, commands from others."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from .base_controller import Driver
from .twin import ArmReading, Twin, TwinTruth

_SUCCESS_HOLD: Final = 0.2  # [s] for which a task must stay done
MAX_CATCH_UP: Final = 10  # ticks that are made up for at once; more are given up


class TickPacer:
    """Counts ticks of equal length against a clock that is given with each call.

    Deadlines are absolute: a late tick does not delay those after it. After a long stall only
    :data:`MAX_CATCH_UP` ticks are made up for; the rest is lost time, and counted.
    """

    def __init__(self, period: float, now: float) -> None:
        """Start the first tick one period from now.

        Args:
            period: Length of a tick, in [s].
            now: Monotonic time, in [s].
        """
        self._period = period
        self._asked_at, self._asked_ticks = now, 0
        self.deadline = now + period
        self.ticks = 0
        self.late = 0
        self.skipped = 0

    def due(self, now: float) -> int:
        """Return how many ticks to run now, 0 before the deadline.

        Args:
            now: Monotonic time, in [s].
        """
        if now < self.deadline:
            return 0
        count = 1 + int((now - self.deadline) / self._period)
        run = min(count, MAX_CATCH_UP)
        self.late += run - 1
        self.skipped += count - run
        self.ticks += run
        self.deadline += count * self._period
        return run

    def real_time_factor(self, now: float) -> float:
        """Return simulated over real time since the last call, or since the start."""
        elapsed, ticks = now - self._asked_at, self.ticks - self._asked_ticks
        self._asked_at, self._asked_ticks = now, self.ticks
        return ticks * self._period / elapsed if elapsed > 0.0 else 1.0


class SharedTwin:
    """A twin behind a lock."""

    def __init__(self, twin: Twin) -> None:
        self._twin = twin
        self._lock = threading.Lock()

    @contextmanager
    def driver(self) -> Iterator[Driver]:
        """Give the driver; no time passes while the context lasts."""
        with self._lock:
            yield self._twin.driver

    def step(self, *, read: bool, truth: bool) -> tuple[ArmReading | None, TwinTruth | None]:
        """Let 10 ms pass, then measure and look where asked to."""
        with self._lock:
            self._twin.step()
            reading = self._twin.read() if read else None
            return reading, self._twin.truth() if truth else None

    def next_scene(self, seed: int | None = None) -> int:
        """Start again in the scene of a seed, the next one when None; return it."""
        with self._lock:
            seed = self._twin.scene.config.seed + 1 if seed is None else seed
            self._twin.reset(seed)
            return seed


class SuccessNotice:
    """Says once per scene that its task is done."""

    def __init__(self) -> None:
        self._scene: tuple[str, int] | None = None
        self._since: float | None = None
        self._said = False

    def update(self, truth: TwinTruth) -> str | None:
        """Take a state; return the line to show once success has lasted."""
        if self._scene != (truth.task, truth.seed) or truth.time < (self._since or 0.0):
            self._scene, self._since, self._said = (truth.task, truth.seed), None, False
        if not truth.success:
            self._since = None
            return None
        self._since = truth.time if self._since is None else self._since
        if self._said or truth.time - self._since < _SUCCESS_HOLD:
            return None
        self._said = True
        return (
            f"task {truth.task} is done after {self._since:.1f} s (seed {truth.seed}); the service "
            f"/sim/reset begins the next scene: seed {truth.seed + 1}, or parameter next_seed"
        )
