"""How small a loss of success a number of paired episodes can show."""

from typing import Final

import numpy as np
from scipy.stats import binom

ALPHA: Final = 0.05  # two-sided
POWER: Final = 0.8


def mcnemar_power(first: float, second: float, pairs: int) -> float:
    """Return the probability that the exact McNemar test finds a difference at 5 %.

    Computed, not simulated: the number of differing pairs is binomial, and so is their split.
    The outcomes of a pair are taken as independent; scenes that are hard for both make the test
    stronger than this.

    Args:
        first: Success rate of one condition.
        second: That of the other.
        pairs: Number of paired episodes.
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
    """Return the smallest loss that is found with 80 % power.

    Args:
        rate: Success rate with full vision.
        pairs: Number of paired episodes.

    Returns:
        Difference of the rates, to 0.1 points; None when even a loss of everything is not found.
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
