"""Replayed windows beside what was recorded of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan

import numpy as np

from ..gate import Decision
from .contents import OFT, Contents, RecordedGate
from .window_replay import ReplayedWindow


@dataclass(frozen=True, slots=True)
class WindowCheck:
    """Equality of one window; None where the bag has nothing to compare with.

    Attributes:
        window: Its number.
        stamp: Of its picture in [ns].
        actions: The policy's actions, bit for bit; None when another moved the arm.
        largest: Largest difference of an action's number.
        kept: The vision tokens that were kept, in their order.
        gate: Every number and word of the decision.
        problem: What was missing, empty when nothing was.
    """

    window: int
    stamp: int
    actions: bool | None
    largest: float
    kept: bool | None
    gate: bool | None
    problem: str

    @property
    def equal(self) -> bool | None:
        """All that could be compared is equal; None when nothing could be."""
        parts = [part for part in (self.actions, self.kept, self.gate) if part is not None]
        return all(parts) if parts else None


@dataclass(frozen=True, slots=True)
class Equality:
    """Counts over a bag.

    Attributes:
        windows: In the bag.
        replayed: Of them, replayed at all.
        equal: Windows in which all that could be compared is equal.
        different: Windows in which something differs.
        largest: Largest difference of an action's number.
        first: Number of the first window that differs, None when none does.
    """

    windows: int
    replayed: int
    equal: int
    different: int
    largest: float
    first: int | None


def check_windows(contents: Contents, replayed: Sequence[ReplayedWindow]) -> list[WindowCheck]:
    """Compare every window with its recording."""
    checks, before = [], None
    for window in replayed:
        checks.append(_check(contents, window, before))
        if window.result is not None:
            before = window.recorded.stamp
    return checks


def count(checks: Sequence[WindowCheck], replayed: Sequence[ReplayedWindow]) -> Equality:
    """Summarise the checks."""
    different = [check for check in checks if check.equal is False]
    return Equality(
        windows=len(checks),
        replayed=sum(window.result is not None for window in replayed),
        equal=sum(check.equal is True for check in checks),
        different=len(different),
        largest=max((check.largest for check in checks), default=0.0),
        first=different[0].window if different else None,
    )


def _check(contents: Contents, replayed: ReplayedWindow, before: int | None) -> WindowCheck:
    recorded, result = replayed.recorded, replayed.result
    if result is None:
        return WindowCheck(recorded.window, recorded.stamp, None, 0.0, None, None, replayed.problem)
    actions, largest, kept, gate = None, 0.0, None, None
    if recorded.policy == OFT and not replayed.repeated:
        own = result.prediction.actions
        actions = np.array_equal(own, recorded.actions)
        same_shape = own.shape == recorded.actions.shape
        largest = float(np.abs(own - recorded.actions).max()) if same_shape else float("inf")
    audit = contents.audits.get(recorded.key)
    if audit is not None and not replayed.repeated:
        now = result.prediction.kept
        kept = audit.kept == (() if now is None else tuple(now.tolist()))
    if result.decision is not None:
        stamp = recorded.stamp if result.closed == result.window else before
        noted = contents.gates.get((stamp or 0, result.closed or 0))
        gate = None if noted is None else _same_decision(result.decision, noted)
    return WindowCheck(
        recorded.window, recorded.stamp, actions, largest, kept, gate, replayed.problem
    )


def _same_decision(now: Decision, noted: RecordedGate) -> bool:
    words = (now.state, now.prune, now.rule, str(now.reason), now.pruned_run)
    recorded = (noted.state, noted.next_state, noted.rule, noted.reason, noted.pruned_run)
    numbers = zip(
        (now.motion, now.upper, now.lower), (noted.motion, noted.upper, noted.lower), strict=True
    )
    return words == recorded and all(a == b or (isnan(a) and isnan(b)) for a, b in numbers)
