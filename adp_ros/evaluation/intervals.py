"""Exact intervals and tests of success rates, and the smallest loss that they can show."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from scipy.stats import binom, binomtest, norm

LEVEL: Final = 0.95  # of every interval


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with both ends of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Pairs:
    """Outcomes of two conditions in the same scenes: numbers of those in which each succeeded."""

    both: int
    only_first: int
    only_second: int
    neither: int

    @classmethod
    def of(cls, first: Sequence[bool], second: Sequence[bool]) -> "Pairs":
        """Count two series of outcomes, the same scenes in the same order.

        Raises:
            ValueError: They differ in length.
        """
        counts = np.zeros((2, 2), dtype=int)
        for a, b in zip(first, second, strict=True):
            counts[int(a), int(b)] += 1
        return cls(int(counts[1, 1]), int(counts[1, 0]), int(counts[0, 1]), int(counts[0, 0]))

    @property
    def count(self) -> int:
        """Number of pairs."""
        return self.both + self.only_first + self.only_second + self.neither

    @property
    def difference(self) -> float:
        """Success of the first minus that of the second."""
        return (self.only_first - self.only_second) / self.count


def exact_interval(successes: int, trials: int) -> Interval:
    """Return the rate with its Clopper-Pearson interval; at least one trial is needed."""
    return _interval(successes, trials, "exact")


def wilson_interval(successes: int, trials: int) -> Interval:
    """Return the rate with its Wilson score interval; at least one trial is needed."""
    return _interval(successes, trials, "wilson")


def _interval(successes: int, trials: int, method: Literal["exact", "wilson"]) -> Interval:
    ci = binomtest(successes, trials).proportion_ci(LEVEL, method=method)
    return Interval(successes / trials, float(ci.low), float(ci.high))


def mcnemar_p(pairs: Pairs) -> float:
    """Return the two-sided p value of the exact McNemar test; 1 when no pair differs."""
    differing = pairs.only_first + pairs.only_second
    if differing == 0:
        return 1.0
    smaller = min(pairs.only_first, pairs.only_second)
    return float(binomtest(smaller, differing, 0.5).pvalue)


def paired_difference(pairs: Pairs) -> Interval:
    """Return first minus second with Newcombe's interval for paired proportions.

    Method 10 of Newcombe (1998): the two Wilson intervals, squared and added, less what the
    correlation of the pairs explains (with his continuity correction of phi).
    """
    n = pairs.count
    first = wilson_interval(pairs.both + pairs.only_first, n)
    second = wilson_interval(pairs.both + pairs.only_second, n)
    phi = _phi(pairs)
    below, above = first.value - first.low, second.high - second.value
    low = np.sqrt(max(below**2 - 2.0 * phi * below * above + above**2, 0.0))
    over, under = first.high - first.value, second.value - second.low
    high = np.sqrt(max(over**2 - 2.0 * phi * over * under + under**2, 0.0))
    difference = pairs.difference
    return Interval(difference, difference - float(low), difference + float(high))


def _phi(pairs: Pairs) -> float:
    """Return the correlation of the pairs, corrected towards 0 when it is positive."""
    n, first, second = pairs.count, pairs.both + pairs.only_first, pairs.both + pairs.only_second
    product = float(first * (n - first)) * float(second * (n - second))
    if product == 0.0:
        return 0.0
    cross = float(pairs.both * pairs.neither - pairs.only_first * pairs.only_second)
    if cross > 0.0:
        cross = max(cross - n / 2.0, 0.0)
    return cross / float(np.sqrt(product))


def half_width(rate: float, trials: int) -> float:
    """Return half of the Wilson interval's width at a rate, for planning."""
    z = float(norm.ppf(0.5 + LEVEL / 2.0))
    inside = rate * (1.0 - rate) / trials + z**2 / (4.0 * trials**2)
    return float(z * np.sqrt(inside) / (1.0 + z**2 / trials))


ALPHA: Final = 0.05  # two-sided
POWER: Final = 0.8


def mcnemar_power(first: float, second: float, pairs: int) -> float:
    """Return the probability that the exact McNemar test finds a difference of two rates at 5 %.

    Computed, not simulated: the number of differing pairs is binomial, and so is their split.
    The outcomes of a pair are taken as independent; scenes that are hard for both make the test
    stronger than this.
    """
    won, lost = first * (1.0 - second), (1.0 - first) * second
    differing = np.arange(pairs + 1)
    weights = binom.pmf(differing, pairs, won + lost)
    if won + lost == 0.0:
        return 0.0
    quantile = np.asarray(binom.ppf(ALPHA / 2.0, differing, 0.5))
    critical = quantile - (binom.cdf(quantile, differing, 0.5) > ALPHA / 2.0)
    share = won / (won + lost)
    rejected = binom.cdf(critical, differing, share) + binom.cdf(critical, differing, 1.0 - share)
    return float(np.sum(weights * rejected))


def detectable_loss(rate: float, pairs: int) -> float | None:
    """Return the smallest loss against full vision's rate that is found with 80 % power.

    To 0.1 points; None when even a loss of everything is not found.
    """
    if pairs < 1 or mcnemar_power(rate, 0.0, pairs) < POWER:
        return None
    found, missed = rate, 0.0
    while found - missed > 0.001:
        middle = 0.5 * (found + missed)
        if mcnemar_power(rate, rate - middle, pairs) >= POWER:
            found = middle
        else:
            missed = middle
    return found
