"""Time spent per stage of one window, and its statistics over the last windows."""

from collections import deque
from dataclasses import astuple, dataclass, fields
from typing import Final

import numpy as np

from .types import FloatArray

HISTORY: Final = 100  # windows that the statistics cover


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTimes:
    """Time of each stage of one window, in [ms].

    Attributes:
        frame_age: Capture of the picture to start of work.
        preprocess: Picture to the towers' input.
        vision: Both towers and the projector.
        scoring: Scores and selection of the vision tokens.
        llm: Language model.
        head: Action head and un-normalisation.
        total: Preprocess to head.
        frame_to_chunk: Capture of the picture to the chunk's publication.
    """

    frame_age: float
    preprocess: float
    vision: float
    scoring: float
    llm: float
    head: float
    total: float
    frame_to_chunk: float


STAGES: Final = tuple(item.name for item in fields(StageTimes))


@dataclass(frozen=True, slots=True)
class LatencyStatistics:
    """Statistics per stage, each of shape (8,) in the order of :data:`STAGES`, in [ms]."""

    mean: FloatArray
    p50: FloatArray
    p95: FloatArray
    p99: FloatArray


class LatencyLog:
    """Remembers the last windows."""

    def __init__(self, history: int = HISTORY) -> None:
        """Set how many windows the statistics cover."""
        self._rows: deque[tuple[float, ...]] = deque(maxlen=history)

    def add(self, times: StageTimes) -> LatencyStatistics:
        """Take one window and return the statistics with it."""
        self._rows.append(astuple(times))
        rows = np.array(self._rows)  # (windows, stages)
        p50, p95, p99 = np.percentile(rows, (50, 95, 99), axis=0)
        return LatencyStatistics(rows.mean(axis=0), p50, p95, p99)
