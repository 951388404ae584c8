"""Motion without faults: what is counted, and what it must come to."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

ON_TIME: Final = 0.995  # share of the 100 Hz messages


@dataclass(frozen=True, slots=True)
class Episode:
    """One episode.

    Attributes:
        task: Name of the task.
        duration: In [s].
        success: True when the task was done.
        steps: Policy steps that were executed.
        missed: Policy steps that were not.
        delivered: Velocity messages.
        late: Of them those after a wrong gap.
        skipped: Messages that were due and never came.
        slowed: Times that the torque monitor slowed the arm.
        stop: Cause of a stop that nobody asked for, empty for none.
    """

    task: str
    duration: float
    success: bool
    steps: int
    missed: int
    delivered: int
    late: int
    skipped: int
    slowed: int
    stop: str


@dataclass(frozen=True, slots=True)
class NominalSummary:
    """All episodes together."""

    episodes: tuple[Episode, ...]

    def total(self, name: str) -> float:
        """Return the sum of a counter."""
        return float(sum(asdict(episode)[name] for episode in self.episodes))

    @property
    def on_time(self) -> float:
        """Share of the velocity messages due that came after the right gap."""
        due = self.total("delivered") + self.total("skipped")
        return 1.0 - (self.total("late") + self.total("skipped")) / due if due else 1.0

    @property
    def trips(self) -> tuple[str, ...]:
        """Causes of the stops."""
        return tuple(episode.stop for episode in self.episodes if episode.stop)

    @property
    def passed(self) -> bool:
        """True without a false trip and without a missed step, with messages on time."""
        return not self.trips and self.total("missed") == 0.0 and self.on_time >= ON_TIME

    def to_json(self) -> dict[str, Any]:
        """Return everything by name."""
        return {
            "passed": self.passed,
            "motion_s": self.total("duration"),
            "false_trips": list(self.trips),
            "slowed": int(self.total("slowed")),
            "steps": int(self.total("steps")),
            "steps_missed": int(self.total("missed")),
            "messages": int(self.total("delivered")),
            "messages_on_time": self.on_time,
            "episodes": [asdict(episode) for episode in self.episodes],
        }

    def to_text(self) -> str:
        """Return a table by task and the sums."""
        lines = [f"{'task':<16}{'episodes':>9}{'done':>6}{'min':>7}{'steps':>8}{'missed':>8}"
                 f"{'stops':>7}{'slowed':>8}"]  # fmt: skip
        for task in dict.fromkeys(episode.task for episode in self.episodes):
            lines.append(_line(task, [e for e in self.episodes if e.task == task]))
        lines.append("")
        lines.append(f"motion                   {self.total('duration') / 60.0:.1f} min")
        lines.append(f"false trips              {len(self.trips)} {' '.join(self.trips)}".rstrip())
        steps, missed = self.total("steps"), self.total("missed")
        lines.append(f"10 Hz steps missed       {missed:.0f} of {steps + missed:.0f}")
        lines.append(f"100 Hz messages on time  {100 * self.on_time:.2f}%")
        return "\n".join(lines) + "\n"


def _line(task: str, episodes: Sequence[Episode]) -> str:
    part = NominalSummary(tuple(episodes))
    done = sum(episode.success for episode in episodes)
    minutes = part.total("duration") / 60.0
    counts = f"{part.total('steps'):>8.0f}{part.total('missed'):>8.0f}"
    return (
        f"{task:<16}{len(episodes):>9}{done:>6}{minutes:>7.1f}{counts}"
        f"{len(part.trips):>7}{part.total('slowed'):>8.0f}"
    )
