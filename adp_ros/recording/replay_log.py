"""The log of a replay: one JSON object per line, the same bytes for the same decisions."""

import json
import math
from collections.abc import Iterable
from typing import Any

from .window_replay import ReplayedWindow


def window_line(replayed: ReplayedWindow) -> dict[str, Any]:
    """Return what is logged of one window; nothing in it depends on time or machine load."""
    recorded, result = replayed.recorded, replayed.result
    line: dict[str, Any] = {
        "kind": "window",
        "window": recorded.window,
        "stamp_ns": recorded.stamp,
    }
    if replayed.problem:
        line["problem"] = replayed.problem
    if result is None:
        return line
    prediction, report = result.prediction, result.report
    line |= {
        "actions": result.actions.tolist(),
        "policy_actions": prediction.actions.tolist(),
        "pruned": replayed.pruned,
        "pruner": report.pruner,
        "kept": None if prediction.kept is None else prediction.kept.tolist(),
        "sequence_length": list(report.sequence_length),
        "repeated": replayed.repeated,
    }
    if not replayed.repeated:
        line |= {"flops": report.flops, "flops_full": report.flops_full}
    if result.decision is not None:
        decision = result.decision
        line["gate"] = {
            "window": result.closed,
            "state": decision.state,
            "next_state": decision.prune,
            "rule": decision.rule,
            "reason": str(decision.reason),
            "motion": decision.motion,
            "upper": decision.upper,
            "lower": decision.lower,
            "pruned_run": decision.pruned_run,
        }
    return line


def log_text(lines: Iterable[dict[str, Any]]) -> str:
    """Return the lines as text; numbers keep every digit, what is not a number is null."""
    return "".join(
        json.dumps(finite(line), sort_keys=True, allow_nan=False, separators=(",", ":")) + "\n"
        for line in lines
    )


def finite(value: Any) -> Any:
    """Return a value that JSON can say: numbers that are none become null."""
    if isinstance(value, dict):
        return {name: finite(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [finite(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
