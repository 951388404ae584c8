"""Results of a campaign and of motion without faults, as tables, JSON and plot."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure

from .judge import Judgement
from .kinds import Reaction
from .sdk_kinds import EVERY_KIND


def draw_campaign(results: Sequence[tuple[str, Judgement]], path: Path) -> None:
    """Write a PNG.

    Args:
        results: Kind and outcome of each fault.
        path: File.
    """
    names = [
        name
        for name, kind in EVERY_KIND.items()
        if kind.reaction is not Reaction.NONE and any(k == name for k, _ in results)
    ]
    figure = Figure(figsize=(8.0, 1.2 + 0.28 * len(names)), layout="constrained")
    axes = figure.add_subplot()
    for row, name in enumerate(names):
        outcomes = [o for k, o in results if k == name]
        zero = [1e3 * o.reaction for o in outcomes if o.reaction is not None]
        still = [1e3 * o.standstill for o in outcomes if o.standstill is not None]
        axes.plot(still, [row] * len(still), "|", color="tab:gray", label=_once(row, "standstill"))
        axes.plot(zero, [row] * len(zero), ".", color="tab:blue", label=_once(row, "zero velocity"))
        limit = 1e3 * EVERY_KIND[name].limit
        axes.plot([limit] * 2, [row - 0.4, row + 0.4], color="tab:red", label=_once(row, "limit"))
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel("time from the fault in ms")
    axes.grid(axis="x", which="both", alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=120)


def _once(row: int, label: str) -> str:
    return label if row == 0 else "_" + label


TORQUE_P99: Final = 0.02  # [s]
_TORQUE: Final = ("torque_spike", "table_press")


@dataclass(frozen=True, slots=True)
class Row:
    """Results of one kind. Times in [ms], NaN where nothing was measured.

    Attributes:
        kind: Its name.
        reaction: What had to happen.
        count: Faults.
        failed: Faults with a violation, missed and late reactions among them.
        p50: Median time to the first zero velocity.
        p99: 99th percentile of it.
        longest: Largest.
        limit: Allowed.
        standstill: Largest time to standstill.
        force: Largest contact force in [N].
    """

    kind: str
    reaction: str
    count: int
    failed: int
    p50: float
    p99: float
    longest: float
    limit: float
    standstill: float
    force: float


@dataclass(frozen=True, slots=True)
class CampaignSummary:
    """All kinds together.

    Attributes:
        rows: By kind.
        faults: How many there were.
        failed: How many of them with a violation.
        torque_p99: 99th percentile of the reaction to torque, in [ms]; NaN without such faults.
        violations: Number of the fault -> what must not be.
        trips: Causes of stops that no fault had.
    """

    rows: tuple[Row, ...]
    faults: int
    failed: int
    torque_p99: float
    violations: Mapping[int, tuple[str, ...]]
    trips: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """True when nothing was missed, late or against the rules."""
        return self.failed == 0 and not self.trips and not self.torque_p99 > 1e3 * TORQUE_P99

    def to_json(self) -> dict[str, Any]:
        """Return everything by name; what was not measured is null."""
        rows = [{k: _or_none(v) for k, v in asdict(row).items()} for row in self.rows]
        return {
            "passed": self.passed,
            "faults": self.faults,
            "failed": self.failed,
            "false_trips": list(self.trips),
            "torque_p99_ms": _or_none(self.torque_p99),
            "kinds": rows,
            "violations": {str(number): list(v) for number, v in self.violations.items()},
        }

    def to_text(self) -> str:
        """Return the table."""
        head = f"{'kind':<22}{'must':<6}{'n':>5}{'failed':>7}"
        head += f"{'p50':>7}{'p99':>7}{'max':>7}{'limit':>7}{'still':>7}{'N':>6}"
        lines = [head, *(_line(row) for row in self.rows), ""]
        lines.append(
            f"{self.faults} faults, {self.failed} failed; {len(self.trips)} stops without a fault; "
            "times in ms"
        )
        if np.isfinite(self.torque_p99):
            limit = 1e3 * TORQUE_P99
            lines.append(f"torque: p99 {self.torque_p99:.1f} ms, allowed: {limit:.0f} ms")
        if self.trips:
            counts = Counter(self.trips).most_common()
            causes = ", ".join(f"{cause} {count}" for cause, count in counts)
            lines.append(f"stops without a fault: {causes}")
        for number, found in self.violations.items():
            lines.append(f"fault {number}: {'; '.join(found)}")
        return "\n".join(lines) + "\n"


def summarise(
    results: Sequence[tuple[int, str, Judgement]], trips: Sequence[str] = ()
) -> CampaignSummary:
    """Put results together.

    Args:
        results: Number, kind and outcome of each fault.
        trips: Causes of stops that no fault had.
    """
    names = [name for name in EVERY_KIND if any(kind == name for _, kind, _ in results)]
    rows = tuple(_row(name, [o for _, kind, o in results if kind == name]) for name in names)
    torque = [o.reaction for _, kind, o in results if kind in _TORQUE and o.reaction is not None]
    violations = {number: o.violations for number, _, o in results if o.violations}
    p99 = 1e3 * float(np.percentile(torque, 99)) if torque else np.nan
    failed = len(violations)
    return CampaignSummary(rows, len(results), failed, p99, violations, tuple(trips))


def _row(name: str, outcomes: Sequence[Judgement]) -> Row:
    kind = EVERY_KIND[name]
    times = [1e3 * o.reaction for o in outcomes if o.reaction is not None]
    p50, p99 = np.percentile(times, (50, 99)) if times else (np.nan, np.nan)
    return Row(
        kind=name,
        reaction=str(kind.reaction),
        count=len(outcomes),
        failed=sum(bool(o.violations) for o in outcomes),
        p50=float(p50),
        p99=float(p99),
        longest=max(times, default=np.nan),
        limit=np.nan if kind.reaction is Reaction.NONE else 1e3 * kind.limit,
        standstill=1e3 * _largest(o.standstill for o in outcomes),
        force=_largest(o.force for o in outcomes),
    )


def _largest(values: Iterable[float | None]) -> float:
    return max((value for value in values if value is not None), default=np.nan)


def _line(row: Row) -> str:
    numbers = (row.p50, row.p99, row.longest, row.limit, row.standstill)
    cells = "".join(f"{_cell(value):>7}" for value in numbers)
    force = _cell(row.force)
    return f"{row.kind:<22}{row.reaction:<6}{row.count:>5}{row.failed:>7}{cells}{force:>6}"


def _cell(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.0f}"


def _or_none(value: Any) -> Any:
    return None if isinstance(value, float) and not np.isfinite(value) else value


ON_TIME: Final = 0.995  # share of the 100 Hz messages


@dataclass(frozen=True, slots=True)
class NominalEpisode:
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
        stop: Cause of a stop that was not asked for, empty for none.
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

    episodes: tuple[NominalEpisode, ...]

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
            lines.append(_task_line(task, [e for e in self.episodes if e.task == task]))
        lines.append("")
        lines.append(f"motion                   {self.total('duration') / 60.0:.1f} min")
        lines.append(f"false trips              {len(self.trips)} {' '.join(self.trips)}".rstrip())
        steps, missed = self.total("steps"), self.total("missed")
        lines.append(f"10 Hz steps missed       {missed:.0f} of {steps + missed:.0f}")
        lines.append(f"100 Hz messages on time  {100 * self.on_time:.2f}%")
        return "\n".join(lines) + "\n"


def _task_line(task: str, episodes: Sequence[NominalEpisode]) -> str:
    part = NominalSummary(tuple(episodes))
    done = sum(episode.success for episode in episodes)
    minutes = part.total("duration") / 60.0
    counts = f"{part.total('steps'):>8.0f}{part.total('missed'):>8.0f}"
    return (
        f"{task:<16}{len(episodes):>9}{done:>6}{minutes:>7.1f}{counts}"
        f"{len(part.trips):>7}{part.total('slowed'):>8.0f}"
    )
