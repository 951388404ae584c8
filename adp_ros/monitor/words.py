"""The gate's decision and the safety state in words."""

from collections.abc import Mapping
from math import isnan
from types import MappingProxyType
from typing import Final

from ..gate import Reason
from ..report.run_log import GateRecord, WindowRecord
from .model import SILENT_AFTER, Snapshot

REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        Reason.COLD_START.value: "too few windows seen",
        Reason.FAST.value: "motion at or above the upper threshold",
        Reason.SLOW.value: "motion at or below the lower threshold",
        Reason.BETWEEN.value: "motion between the thresholds",
        Reason.REFRESH.value: "too many pruned windows in a row",
        Reason.SCHEDULE.value: "its turn in the schedule",
        Reason.RANDOM.value: "drawn at random",
        Reason.FIXED.value: "fixed by the settings",
    }
)
_MM: Final = 1e3


def gate_words(gate: GateRecord | None) -> str:
    """Say which state comes next and why."""
    if gate is None:
        return "no decision yet"
    state = "PRUNED" if gate.prune else "FULL VISION"
    why = REASONS.get(gate.reason, gate.reason)
    return f"next {state}, {gate.reason}: {why}"


def motion_words(gate: GateRecord | None) -> str:
    """Give motion and thresholds in millimetres."""
    if gate is None:
        return ""
    parts = [f"motion {_MM * gate.motion:.2f} mm"]
    for name, value in (("lower", gate.lower), ("upper", gate.upper)):
        if not isnan(value):
            parts.append(f"{name} {_MM * value:.2f}")
    return ", ".join(parts)


def token_words(window: WindowRecord | None) -> str:
    """Give the tokens of the newest window and what they cost."""
    if window is None:
        return "no window yet"
    share = window.flops / window.flops_full if window.flops_full > 0 else 1.0
    return (
        f"window {window.window}: {window.tokens_kept} of {window.tokens_total} vision tokens, "
        f"{share:.0%} of the FLOPs"
    )


def safety_words(snapshot: Snapshot) -> str:
    """Give the state of the safety machine."""
    if snapshot.safety is None:
        return "no safety state heard: is the controller running?"
    state = snapshot.safety
    words = state.status.upper() + (f": {state.message}" if state.message else "")
    if snapshot.safety_age > SILENT_AFTER:
        words += f" (controller silent for {snapshot.safety_age:.0f} s)"
    return words
