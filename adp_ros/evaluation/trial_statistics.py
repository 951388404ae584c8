"""Statistics for few trials on an arm: exact tests, exact intervals, and a test that may be peeked.

The intervals are those values that an exact two-sided test does not reject (Agresti & Min 2001):
their coverage is never below 95 %, whatever the rates are.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, gammaln, xlogy
from scipy.stats import binom, boschloo_exact, norm

from ..types import FloatArray
from .intervals import ALPHA, Interval, Pairs

_NUISANCE: Final = 101  # values of the rate that a test is not about
_SCAN: Final = 33  # differences that are tried before the ends are refined
_ENDS: Final = 1e-4  # to which the ends of an interval are found
_TIE: Final = 1e-9  # statistics that are as extreme as the observed one


def boschloo_p(successes: int, trials: int, other_successes: int, other_trials: int) -> float:
    """Return the two-sided p value of Boschloo's exact test of two unpaired rates.

    Twice the smaller one-sided value, nowhere larger than Fisher's of the same kind. 1 when all
    trials ended alike. Each condition needs a trial.
    """
    total = successes + other_successes
    if total in (0, trials + other_trials):
        return 1.0
    table = [[successes, other_successes], [trials - successes, other_trials - other_successes]]
    return min(1.0, float(boschloo_exact(table).pvalue))


def unpaired_difference(
    successes: int, trials: int, other_successes: int, other_trials: int
) -> Interval:
    """Return first rate minus second with its exact unconditional interval; both need a trial."""
    first, second = np.arange(trials + 1)[:, None], np.arange(other_trials + 1)[None, :]
    spread = _variance(first, trials) + _variance(second, other_trials)
    values = first / trials - second / other_trials

    def chances(difference: float) -> FloatArray:
        """Probability of each table at each second rate, shape (rates, tables)."""
        rates = np.linspace(max(0.0, -difference), min(1.0, 1.0 - difference), _NUISANCE)
        raised = np.clip(rates + difference, 0.0, 1.0)[:, None]
        one = np.asarray(binom.pmf(first.T, trials, raised))
        two = np.asarray(binom.pmf(second, other_trials, rates[:, None]))
        return np.asarray((one[:, :, None] * two[:, None, :]).reshape(_NUISANCE, -1))

    observed = successes * (other_trials + 1) + other_successes
    return _inverted(values.ravel(), spread.ravel(), observed, chances)


def _variance(successes: NDArray[np.int64], trials: int) -> FloatArray:
    """Return the variance of a rate, with one success and one failure more."""
    rate = (successes + 1) / (trials + 2)
    return np.asarray(rate * (1.0 - rate) / trials)


def exact_paired_difference(pairs: Pairs) -> Interval:
    """Return first minus second of paired outcomes with its exact unconditional interval.

    For up to some 200 pairs; with more, :func:`~.intervals.paired_difference` is as good.
    """
    n = pairs.count
    won, lost = (grid.ravel() for grid in np.meshgrid(*(np.arange(n + 1),) * 2, indexing="ij"))
    possible = won + lost <= n
    won, lost = won[possible], lost[possible]
    alike = n - won - lost
    ways = gammaln(n + 1) - gammaln(won + 1) - gammaln(lost + 1) - gammaln(alike + 1)
    values = (won - lost) / n
    differing = (won + lost + 1.0) / (n + 2.0)
    spread = np.maximum(differing - values**2, 1.0 / (n + 2.0)) / n

    def chances(difference: float) -> FloatArray:
        """Probability of each outcome at each share of differing pairs."""
        shares = np.linspace(abs(difference), 1.0, _NUISANCE)
        wins, losses = (shares + difference) / 2, (shares - difference) / 2
        logs = xlogy(won, wins[:, None]) + xlogy(lost, losses[:, None])
        return np.asarray(np.exp(ways + logs + xlogy(alike, 1.0 - shares[:, None])))

    (observed,) = np.flatnonzero((won == pairs.only_first) & (lost == pairs.only_second))
    return _inverted(values, spread, int(observed), chances)


def _inverted(
    values: FloatArray, spread: FloatArray, observed: int, chances: Callable[[float], FloatArray]
) -> Interval:
    """Return the differences that the test does not reject.

    ``values`` and ``spread`` are difference and variance of every outcome, shape (N,), ``observed``
    the place of the one that was, ``chances(difference)`` their probabilities, (nuisance, N).
    """

    def kept(difference: float) -> bool:
        extremes = np.abs(values - difference) / np.sqrt(spread)
        tail = extremes >= extremes[observed] - _TIE
        return bool(chances(difference)[:, tail].sum(axis=1).max() > ALPHA)

    value = float(values[observed])
    return Interval(value, -_end(lambda d: kept(-d), -value), _end(kept, value))


def _end(kept: Callable[[float], bool], value: float) -> float:
    """Return the largest difference that is kept, from the estimate upwards."""
    tried = np.linspace(1.0, value, _SCAN)
    place = next((i for i, d in enumerate(tried) if kept(float(d))), len(tried) - 1)
    if place == 0:
        return 1.0
    inside, outside = float(tried[place]), float(tried[place - 1])
    while outside - inside > _ENDS:
        middle = 0.5 * (inside + outside)
        inside, outside = (middle, outside) if kept(middle) else (inside, middle)
    return outside


@dataclass(slots=True)
class AnytimeTest:
    """Test of two paired conditions that may be looked at, and ended, after every pair.

    Only pairs that differ count. If the conditions are equal each of them is won with chance 1/2;
    a bet on it, spread evenly over all other chances, is worth ``B(won + 1, lost + 1) 2^n``, and
    ever reaches 1 / alpha with a probability of at most alpha (Ville 1939).

    Attributes:
        won: Pairs in which the first condition alone succeeded.
        lost: Pairs in which the second alone did.
        best: Largest worth of the bet so far.
    """

    won: int = 0
    lost: int = 0
    best: float = 1.0

    def take(self, first: bool, second: bool) -> None:
        """Take the outcomes of one pair."""
        self.won += first and not second
        self.lost += second and not first
        self.best = max(self.best, self.wealth)

    @property
    def wealth(self) -> float:
        """What the bet is worth now."""
        differing = self.won + self.lost
        return float(np.exp(betaln(self.won + 1, self.lost + 1) + differing * np.log(2.0)))

    @property
    def p_value(self) -> float:
        """P value that stays valid however often it was looked at."""
        return min(1.0, 1.0 / self.best)

    @property
    def decided(self) -> bool:
        """True once the conditions differ at the level of 5 %."""
        return self.p_value <= ALPHA


def spent(fraction: float) -> float:
    """Return the share of false alarms that may be used up to a fraction of a campaign.

    Little early, as O'Brien and Fleming's boundaries do (Lan & DeMets 1983).
    """
    return float(2.0 * norm.sf(norm.isf(ALPHA / 2.0) / np.sqrt(fraction)))


def sequential_bounds(differing: Sequence[int], fractions: Sequence[float]) -> tuple[int, ...]:
    """Return the smallest ``|won - lost|`` that decides at each planned look.

    Exact: with equal conditions a decision is taken in at most 5 % of all campaigns, whatever the
    numbers of differing pairs come to be.

    Args:
        differing: Differing pairs at each look so far, never falling.
        fractions: Share of the planned pairs at each look, rising to at most 1.

    Returns:
        As many bounds; one that is larger than its number of pairs can't be reached.
    """
    chances = np.ones(1)  # of so many pairs won, nothing being decided before
    used, before, bounds = 0.0, 0, []
    for count, fraction in zip(differing, fractions, strict=True):
        more = count - before
        chances = np.convolve(chances, binom.pmf(np.arange(more + 1), more, 0.5))
        lead = np.abs(2 * np.arange(count + 1) - count)
        left = spent(fraction) - used
        bound = next(b for b in range(count + 2) if chances[lead >= b].sum() <= left)
        used += float(chances[lead >= bound].sum())
        chances[lead >= bound] = 0.0
        bounds.append(bound)
        before = count
    return tuple(bounds)
