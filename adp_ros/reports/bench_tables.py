"""A benchmark as JSON and as tables."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Final

import numpy as np
from rich.table import Table

from ..evaluation.bench import (
    FULL,
    STAGES,
    ArmResult,
    BenchConfig,
    BenchResult,
    Environment,
)
from ..evaluation.intervals import Interval
from ..health import LatencySummary

PERCENTILES: Final = (50, 95, 99)
CONVENTION: Final = "2 FLOPs a multiply-accumulate; a layer costs 8SD^2 + 6SDM + 2S^2D"


def to_json(
    result: BenchResult, config: BenchConfig, environment: Environment, model: dict[str, Any]
) -> dict[str, Any]:
    """Return all that was measured, ready for ``json.dumps``; `model` is taken as it is."""
    return {
        "environment": asdict(environment),
        "model": model,
        "settings": asdict(config),
        "flop_convention": CONVENTION,
        "gate_decision_milliseconds": _statistics(result.gate),
        "audit_passed": not result.failures,
        "audit_failures": list(result.failures),
        "arms": {name: _arm(name, result) for name in result.arms},
    }


def _arm(name: str, result: BenchResult) -> dict[str, Any]:
    arm, full = result.arms[name], result.arms[FULL]
    seconds = {stage: arm.times.seconds[stage] for stage in STAGES}
    seconds["scoring_and_llm"] = arm.times.language
    return {
        "milliseconds": {stage: _statistics(values) for stage, values in seconds.items()},
        "sequence_lengths": list(arm.times.last.sequence_lengths),
        "kept_per_view": list(arm.times.last.kept_per_view),
        "llm_flops": arm.flops,
        "flop_ratio": full.flops / arm.flops,
        "llm_speedup": _ratio(arm.faster),
        "total_speedup": _ratio(arm.faster_total),
        "audit": None if arm.audit is None else asdict(arm.audit) | {"passed": arm.audit.passed},
    }


def _statistics(seconds: Any) -> dict[str, float]:
    found = LatencySummary.of(1e3 * np.asarray(seconds))
    return {"mean": found.mean, "p50": found.p50, "p95": found.p95, "p99": found.p99}


def _ratio(ratio: Interval | None) -> dict[str, float] | None:
    if ratio is None:
        return None
    return {"median": ratio.value, "low": ratio.low, "high": ratio.high}


def tables(result: BenchResult) -> Iterator[Table]:
    """Return the tables that a terminal shows."""
    yield _times_table(result)
    yield _audit_table(result)
    if not result.failures:
        yield _speed_table(result)


def _table(title: str, *heads: str) -> Table:
    table = Table(title=title, title_justify="left")
    for number, head in enumerate(heads):
        table.add_column(head, justify="right" if number else "left")
    return table


def _times_table(result: BenchResult) -> Table:
    table = _table("Milliseconds, p50 / p95 / p99", "arm", *STAGES)
    for name, arm in result.arms.items():
        table.add_row(name, *(_cell(arm.times.seconds[stage]) for stage in STAGES))
    return table


def _cell(seconds: Any) -> str:
    values = 1e3 * np.percentile(seconds, PERCENTILES)
    digits = 2 if values[0] < 10 else 0  # noqa: PLR2004 - three significant digits
    return " / ".join(f"{value:.{digits}f}" for value in values)


def _audit_table(result: BenchResult) -> Table:
    heads = ("arm", "tokens kept", "into first / last layer", "difference", "result")
    table = _table("Audit of the last round", *heads)
    for name, arm in result.arms.items():
        if arm.audit is not None:
            a = arm.audit
            table.add_row(
                name,
                f"{a.kept} of {a.kept_expected}",
                f"{a.lengths[0]} / {a.lengths[1]}",
                f"{a.difference:.1e} (limit {a.tolerance:g})",
                "passed" if a.passed else "FAILED",
            )
    return table


def _speed_table(result: BenchResult) -> Table:
    heads = ("arm", "scoring + llm", "whole call", "FLOP ratio", "share of it", "scoring / llm")
    table = _table("Full vision over arm, median [95 % interval]", *heads)
    for name, arm in result.arms.items():
        if arm.faster is not None and arm.faster_total is not None:
            table.add_row(name, *_speed_cells(arm, arm.faster, arm.faster_total, result))
    return table


def _speed_cells(
    arm: ArmResult, llm: Interval, total: Interval, result: BenchResult
) -> Iterator[str]:
    flops = result.arms[FULL].flops / arm.flops
    scoring = np.median(arm.times.seconds["scoring"] / arm.times.seconds["llm"])
    yield f"{llm.value:.3f} [{llm.low:.3f}, {llm.high:.3f}]"
    yield f"{total.value:.3f} [{total.low:.3f}, {total.high:.3f}]"
    yield f"{flops:.3f}"
    yield f"{llm.value / flops:.1%}"
    yield f"{scoring:.2%}"
