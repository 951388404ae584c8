"""Results of a campaign as a table and as JSON."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from .judge import Outcome
from .kinds import KINDS, Reaction

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
        head = f"{'kind':<17}{'must':<6}{'n':>5}{'failed':>7}"
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
    results: Sequence[tuple[int, str, Outcome]], trips: Sequence[str] = ()
) -> CampaignSummary:
    """Put results together.

    Args:
        results: Number, kind and outcome of each fault.
        trips: Causes of stops that no fault had.
    """
    names = [name for name in KINDS if any(kind == name for _, kind, _ in results)]
    rows = tuple(_row(name, [o for _, kind, o in results if kind == name]) for name in names)
    torque = [o.reaction for _, kind, o in results if kind in _TORQUE and o.reaction is not None]
    violations = {number: o.violations for number, _, o in results if o.violations}
    p99 = 1e3 * float(np.percentile(torque, 99)) if torque else np.nan
    failed = len(violations)
    return CampaignSummary(rows, len(results), failed, p99, violations, tuple(trips))


def _row(name: str, outcomes: Sequence[Outcome]) -> Row:
    kind = KINDS[name]
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
    return f"{row.kind:<17}{row.reaction:<6}{row.count:>5}{row.failed:>7}{cells}{force:>6}"


def _cell(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.0f}"


def _or_none(value: Any) -> Any:
    return None if isinstance(value, float) and not np.isfinite(value) else value
