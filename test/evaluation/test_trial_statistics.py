"""Statistics of trials: exact size and coverage by summing over every outcome, not by drawing."""

from functools import cache

import numpy as np
import pytest
from scipy.stats import binom, fisher_exact, multinomial

from adp_ros.evaluation.intervals import Pairs
from adp_ros.evaluation.trial_statistics import (
    AnytimeTest,
    boschloo_p,
    exact_paired_difference,
    sequential_bounds,
    spent,
    unpaired_difference,
)

RATES = np.linspace(0.01, 0.99, 50)
FIRST, SECOND, PAIRS = 7, 6, 8  # trials; small, so that every outcome can be summed over
WITHIN = 0.0005  # the ends of an interval are found to 0.0001


def chances(rate, other):
    """Probability of every table of two unpaired conditions."""
    one = binom.pmf(np.arange(FIRST + 1), FIRST, rate)
    two = binom.pmf(np.arange(SECOND + 1), SECOND, other)
    return np.outer(one, two)


@cache
def unpaired(kind):
    """P values or ends of the intervals of every table."""
    tables = [(a, FIRST, b, SECOND) for a in range(FIRST + 1) for b in range(SECOND + 1)]
    if kind == "p":
        found = [boschloo_p(*table) for table in tables]
    else:
        found = [(i.low, i.high) for i in (unpaired_difference(*table) for table in tables)]
    return np.array(found).reshape(FIRST + 1, SECOND + 1, -1)


def test_boschloo_is_exact_and_stronger_than_fisher():
    """At no common rate are equal conditions told apart in more than 5 % of all outcomes."""
    p = unpaired("p")[:, :, 0]
    size = max((chances(rate, rate) * (p <= 0.05)).sum() for rate in RATES)
    assert 0.0 < size <= 0.05
    for a in range(FIRST + 1):
        for b in range(SECOND + 1):
            table = [[a, b], [FIRST - a, SECOND - b]]
            sides = [fisher_exact(table, alternative=side).pvalue for side in ("less", "greater")]
            assert p[a, b] <= min(1.0, 2.0 * min(sides)) + 1e-9


def test_boschloo_agrees_with_the_paper_and_with_known_values():
    """103 of 120 against 106 of 120 says nothing; outcomes that are all alike say nothing."""
    assert boschloo_p(42, 50, 38, 50) == pytest.approx(0.368, abs=0.001)
    assert boschloo_p(103, 120, 106, 120) > 0.5
    assert boschloo_p(5, 5, 9, 9) == boschloo_p(0, 5, 0, 9) == 1.0
    assert boschloo_p(18, 20, 8, 20) == pytest.approx(boschloo_p(8, 20, 18, 20))


def test_interval_of_an_unpaired_difference_covers_at_every_pair_of_rates():
    """Summed over all outcomes, the true difference lies inside in 95 % or more."""
    low, high = np.moveaxis(unpaired("interval"), -1, 0)
    for rate in RATES:
        for other in RATES:
            inside = (low <= rate - other + 1e-9) & (high >= rate - other - 1e-9)
            assert (chances(rate, other) * inside).sum() >= 0.95 - WITHIN, (rate, other)


def test_interval_of_an_unpaired_difference_turns_round():
    """Exchanged conditions give the interval with the other sign; it holds the estimate."""
    one, two = unpaired_difference(14, 20, 9, 20), unpaired_difference(9, 20, 14, 20)
    assert (one.low, one.high) == pytest.approx((-two.high, -two.low), abs=2e-4)
    assert one.value == pytest.approx(0.25)
    assert one.low < one.value < one.high
    certain = unpaired_difference(20, 20, 0, 20)
    assert certain.high == 1.0 and certain.low > 0.6


def test_interval_of_a_paired_difference_covers_whatever_the_pairs_share():
    """Summed over all outcomes, for every share of pairs that differ."""
    outcomes, ends = [], []
    for won in range(PAIRS + 1):
        for lost in range(PAIRS + 1 - won):
            interval = exact_paired_difference(Pairs(PAIRS - won - lost, won, lost, 0))
            outcomes.append((won, lost, PAIRS - won - lost))
            ends.append((interval.low, interval.high))
    low, high = np.array(ends).T
    for won in np.linspace(0.0, 1.0, 21):
        for lost in np.linspace(0.0, 1.0 - won, 11):
            chance = multinomial.pmf(outcomes, PAIRS, [won, lost, 1.0 - won - lost])
            inside = (low <= won - lost + 1e-9) & (high >= won - lost - 1e-9)
            assert (chance * inside).sum() >= 0.95 - WITHIN, (won, lost)


def decided_within(share, pairs):
    """Probability that the test decides within so many differing pairs, looked at after each.

    Args:
        share: Chance that a differing pair is won.
        pairs: Longest campaign.
    """
    ways = {0: 1.0}  # pairs won -> probability that so many were won and nothing was decided
    for number in range(1, pairs + 1):
        following = {}
        for won, chance in ways.items():
            for more, part in ((1, share), (0, 1.0 - share)):
                following[won + more] = following.get(won + more, 0.0) + chance * part
        ways = {
            won: chance
            for won, chance in following.items()
            if not AnytimeTest(won, number - won, AnytimeTest(won, number - won).wealth).decided
        }
    return 1.0 - sum(ways.values())


def test_peeking_after_every_pair_gives_no_more_false_alarms():
    """Without a difference it decides in under 5 % of all campaigns of 400 differing pairs."""
    assert 0.02 < decided_within(0.5, 200) < decided_within(0.5, 400) <= 0.05


def test_true_difference_is_found():
    """Won four times of five, 60 differing pairs are nearly always enough."""
    assert decided_within(0.8, 60) > 0.95
    assert decided_within(0.8, 60) == pytest.approx(decided_within(0.2, 60))


def test_wealth_is_the_mixture_of_all_bets():
    """The closed form is the average, over all chances, of the likelihood against one half."""
    test = AnytimeTest()
    for first, second in [(1, 0)] * 9 + [(0, 1)] * 2 + [(1, 1), (0, 0)]:
        test.take(bool(first), bool(second))
    theta = (np.arange(200_000) + 0.5) / 200_000
    mixture = np.mean(theta**9 * (1.0 - theta) ** 2) / 0.5**11
    assert (test.won, test.lost) == (9, 2)
    assert test.wealth == pytest.approx(mixture, rel=1e-6)


def test_worth_that_was_reached_is_not_lost():
    """Losing afterwards takes no decision back: the p value is that of the best moment."""
    test = AnytimeTest()
    for _ in range(10):
        test.take(True, False)
    p, decided = test.p_value, test.decided
    assert decided and p == pytest.approx(11 / 2**10)
    for _ in range(10):
        test.take(False, True)
    assert (test.p_value, test.decided) == (p, True)
    assert test.wealth < 1.0


def decided_at(bounds, counts, outcomes):
    """Tell for each row of outcomes whether a bound is reached at one of the looks."""
    leads = [np.abs(2 * outcomes[:, :count].sum(axis=1) - count) for count in counts]
    return np.any([lead >= bound for lead, bound in zip(leads, bounds, strict=True)], axis=0)


@pytest.mark.parametrize("counts", [(5, 10, 15), (0, 7, 14), (3, 3, 16), (16, 16, 16)])
def test_planned_looks_give_no_more_false_alarms(counts):
    """Of all outcomes of 16 differing pairs at most 5 % decide; no look uses more than its own."""
    outcomes = (np.arange(2**16)[:, None] >> np.arange(16)) & 1
    fractions = (1 / 3, 2 / 3, 1.0)
    bounds = sequential_bounds(counts, fractions)
    for looks in (1, 2, 3):
        share = decided_at(bounds[:looks], counts[:looks], outcomes).mean()
        assert share <= spent(fractions[looks - 1]) + 1e-12
    assert spent(1.0) == pytest.approx(0.05)
    tighter = sequential_bounds(counts, fractions)[-1] - 2
    assert tighter < 0 or decided_at((*bounds[:-1], tighter), counts, outcomes).mean() > 0.05
