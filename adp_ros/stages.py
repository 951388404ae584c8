"""Time spent per stage of one window, and its statistics over the last windows."""

from dataclasses import astuple, dataclass, fields
from typing import Final

from .latency import LatencySummary, RollingPercentiles


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowTimes:
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


STAGES: Final = tuple(item.name for item in fields(WindowTimes))


class StageLog:
    """Remembers the last windows, each stage on its own."""

    def __init__(self) -> None:
        self._stages = tuple(RollingPercentiles() for _ in STAGES)

    def add(self, times: WindowTimes) -> tuple[LatencySummary, ...]:
        """Take one window and return the statistics per stage, in the order of :data:`STAGES`."""
        for stage, value in zip(self._stages, astuple(times), strict=True):
            stage.add(value)
        return self.summaries()

    def summaries(self) -> tuple[LatencySummary, ...]:
        """Return the statistics per stage, in the order of :data:`STAGES`."""
        return tuple(stage.summary() for stage in self._stages)
