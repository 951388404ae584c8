"""Collects the records of a run while they come in."""

from dataclasses import dataclass, field
from typing import Final

from .run_log import GateRecord, LatencyRecord, PathPoint, RunLog, SafetyRecord, WindowRecord

PATH_PERIOD: Final = 0.1  # [s]; the arm's pose comes far more often than a plot needs it


@dataclass(slots=True)
class RunRecords:
    """Records in the order in which they came; see :class:`RunLog` for what each list holds."""

    windows: list[WindowRecord] = field(default_factory=list)
    gates: list[GateRecord] = field(default_factory=list)
    latencies: list[LatencyRecord] = field(default_factory=list)
    safety: list[SafetyRecord] = field(default_factory=list)
    path: list[PathPoint] = field(default_factory=list)

    def note_position(self, point: PathPoint) -> None:
        """Keep a position unless the last one is less than 0.1 s older."""
        if not self.path or point.time >= self.path[-1].time + PATH_PERIOD:
            self.path.append(point)

    def run_log(self, title: str) -> RunLog:
        """Return what was collected so far."""
        return RunLog(
            title=title,
            windows=tuple(self.windows),
            gates=tuple(self.gates),
            latencies=tuple(self.latencies),
            safety=tuple(self.safety),
            path=tuple(self.path),
        )
