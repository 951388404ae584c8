"""Time per stage, without waiting for the device between stages."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from .result import StageTimes

Clock = Callable[[], float]


class Stopwatch:
    """Times the stages of one call on the CPU, where work is done when a call returns."""

    def __init__(self, clock: Clock) -> None:
        """Start.

        Args:
            clock: Monotonic time in [s].
        """
        self._clock = clock
        self._begin = clock()
        self._seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage; a stage entered again adds up."""
        begin = self._clock()
        yield
        self._seconds[name] = self._seconds.get(name, 0.0) + self._clock() - begin

    def stop(self) -> StageTimes:
        """Return all durations; call it when the results are on the host."""
        total = self._clock() - self._begin
        stages = ("preprocess", "vision", "scoring", "llm", "head")
        return StageTimes(**{name: self._seconds.get(name, 0.0) for name in stages}, total=total)


class CudaStopwatch(Stopwatch):
    """Times the stages by events on the CUDA stream, read when all is done."""

    def __init__(self, clock: Clock) -> None:
        """Start.

        Args:
            clock: Monotonic time in [s], used for the whole call.
        """
        super().__init__(clock)
        self._marks: list[tuple[str, torch.cuda.Event, torch.cuda.Event]] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Mark begin and end of a stage on the stream."""
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        yield
        end.record()
        self._marks.append((name, begin, end))

    def stop(self) -> StageTimes:
        """Return all durations; call it when the results are on the host."""
        for name, begin, end in self._marks:
            end.synchronize()
            elapsed = begin.elapsed_time(end) / 1000
            self._seconds[name] = self._seconds.get(name, 0.0) + elapsed
        return super().stop()
