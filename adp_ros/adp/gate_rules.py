"""Decision rules of the gate, and what it decided and why.

A rule sees the motion of the window that closed and the state that was used for it, and says
which state it wants for the next window. Cold start and forced refresh are the gate's business.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

import numpy as np

from .gate_settings import GateConfig

NO_THRESHOLD: Final = float("nan")


class Reason(str, Enum):
    """Why a state was chosen; the value is published."""

    COLD_START = "cold_start"  # too few windows seen
    FAST = "fast"  # motion at or above the upper threshold: prune
    SLOW = "slow"  # motion at or below the lower threshold: full vision
    BETWEEN = "between"  # motion between the thresholds
    STEADY = "steady"  # motions nearly equal: as before
    REFRESH = "refresh"  # too many pruned windows in a row: full vision
    SCHEDULE = "schedule"  # periodic switching
    RANDOM = "random"  # drawn
    FIXED = "fixed"  # always or never

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rule alone says, before the forced refresh.

    Attributes:
        prune: State for the next window.
        reason: Why.
        upper: Threshold at or above which the rule prunes, in [m]; NaN without one.
        lower: Threshold at or below which it wants full vision, in [m]; NaN without one.
        compared: Motions that the thresholds come from, oldest first, in [m]; empty where the
            rule keeps a summary only.
    """

    prune: bool
    reason: Reason
    upper: float = NO_THRESHOLD
    lower: float = NO_THRESHOLD
    compared: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """State of the next window and everything that led to it.

    Attributes:
        prune: True: the next window is pruned. False: it sees every token.
        reason: Why, a :class:`Reason` or the same word in a message.
        rule: Name of the rule, such as ``adjacent/extrema``.
        window: Number of the window that closed, from 0.
        state: State that was used for the window that closed; True is pruned.
        motion: Motion of the window that closed, in [m].
        upper: See :class:`Verdict`.
        lower: See :class:`Verdict`.
        compared: See :class:`Verdict`.
        rule_prune: What the rule alone said; differs from ``prune`` when a refresh was forced.
        pruned_run: Pruned windows in a row, the next one included.
    """

    prune: bool
    reason: str
    rule: str
    window: int
    state: bool
    motion: float
    upper: float
    lower: float
    compared: tuple[float, ...]
    rule_prune: bool
    pruned_run: int


class Rule(Protocol):
    """Judge of one window after the other.

    Attributes:
        first: State of the first window of the episode; True is pruned.
    """

    first: bool

    def judge(self, motion: float, state: bool) -> Verdict:
        """Take the motion of the window that closed, in [m], and its state."""


class ExtremaRule:
    """Extrema of the last windows, the closed one included (ADP paper Eq. 17 and 18).

    The released code's variant leaves the closed one out, and its lower test is strict.
    """

    def __init__(self, config: GateConfig, episode: int) -> None:
        self.first = bool(config.initial_state)
        self._inherit = config.adjacent_last_state
        self._previous = config.adjacent_variant == "extrema_previous"
        span = config.adjacent_extrema_window - self._previous
        self._recent: deque[float] = deque(maxlen=span)

    def judge(self, motion: float, state: bool) -> Verdict:
        """Prune at the maximum, full vision at the minimum (or below it); at both, prune."""
        before = tuple(self._recent)
        self._recent.append(motion)
        compared = before if self._previous else tuple(self._recent)
        if not compared:
            return Verdict(self.first, Reason.COLD_START)
        upper, lower = max(compared), min(compared)
        if motion >= upper:
            return Verdict(True, Reason.FAST, upper, lower, compared)
        if motion < lower or (motion == lower and not self._previous):
            return Verdict(False, Reason.SLOW, upper, lower, compared)
        prune = state if self._inherit else True
        return Verdict(prune, Reason.BETWEEN, upper, lower, compared)


class LookbackRule:
    """Mean of the windows before the closed one; with one window, the ``classic`` rule.

    Table 14 names both and neither paper nor released code defines them: this is our reading.
    """

    def __init__(self, config: GateConfig, episode: int) -> None:
        classic = config.adjacent_variant == "classic"
        self.first = bool(config.initial_state)
        self._before: deque[float] = deque(maxlen=1 if classic else config.adjacent_lookback)

    def judge(self, motion: float, state: bool) -> Verdict:
        """Prune at or above the mean, full vision below it."""
        compared = tuple(self._before)
        self._before.append(motion)
        if not compared:
            return Verdict(self.first, Reason.COLD_START)
        return _against(motion, sum(compared) / len(compared), compared)


class MeanRule:
    """Mean of all windows of the episode, the closed one included (ADP paper Eq. 16)."""

    def __init__(self, config: GateConfig, episode: int) -> None:
        self.first = bool(config.initial_state)
        self._windows = 0
        self._mean = 0.0

    def judge(self, motion: float, state: bool) -> Verdict:
        """Prune at or above the mean, full vision below it."""
        self._windows += 1
        self._mean += (motion - self._mean) / self._windows  # exact for equal motions
        return _against(motion, self._mean)


class ExponentialMeanRule:
    """Exponential mean of weight 0.5, the closed window included (released code, ``avg``)."""

    def __init__(self, config: GateConfig, episode: int) -> None:
        self.first = bool(config.initial_state)
        self._mean: float | None = None

    def judge(self, motion: float, state: bool) -> Verdict:
        """Prune at or above the mean, full vision below it."""
        self._mean = motion if self._mean is None else 0.5 * self._mean + 0.5 * motion
        return _against(motion, self._mean)


class PeriodicRule:
    """Full windows, then pruned ones, in turn (baseline of the paper's ablation)."""

    def __init__(self, config: GateConfig, episode: int) -> None:
        self._full = config.periodic_full
        self._period = config.periodic_full + config.periodic_pruned
        self._window = 0
        self.first = self._full == 0

    def judge(self, motion: float, state: bool) -> Verdict:
        """Count windows; motion plays no part."""
        self._window += 1
        return Verdict(self._window % self._period >= self._full, Reason.SCHEDULE)


class RandomRule:
    """A coin per window, the same for the same seed and number of the episode."""

    def __init__(self, config: GateConfig, episode: int) -> None:
        self._probability = config.random_state_prob
        self._random = np.random.default_rng((config.random_seed, episode))
        self.first = self._draw()

    def judge(self, motion: float, state: bool) -> Verdict:
        """Draw; motion plays no part."""
        return Verdict(self._draw(), Reason.RANDOM)

    def _draw(self) -> bool:
        return bool(self._random.random() < self._probability)


class FixedRule:
    """Always prune (static pruning) or never."""

    def __init__(self, config: GateConfig, episode: int) -> None:
        self.first = config.decision_method == "always"

    def judge(self, motion: float, state: bool) -> Verdict:
        """Stay."""
        return Verdict(self.first, Reason.FIXED)


def _against(motion: float, mean: float, compared: tuple[float, ...] = ()) -> Verdict:
    if motion >= mean:
        return Verdict(True, Reason.FAST, mean, mean, compared)
    return Verdict(False, Reason.SLOW, mean, mean, compared)


_RULES: Final[Mapping[str, Callable[[GateConfig, int], Rule]]] = {
    "adjacent/extrema": ExtremaRule,
    "adjacent/extrema_previous": ExtremaRule,
    "adjacent/classic": LookbackRule,
    "adjacent/lookback": LookbackRule,
    "mean": MeanRule,
    "avg": ExponentialMeanRule,
    "periodic": PeriodicRule,
    "random": RandomRule,
    "always": FixedRule,
    "never": FixedRule,
}


def make_rule(config: GateConfig, episode: int) -> Rule:
    """Start the configured rule for one episode.

    Args:
        config: Settings of the gate.
        episode: Number of the episode, from 0; the random rule draws differently in each.
    """
    return _RULES[config.rule](config, episode)
