"""Intervals, paired tests and power, against values from elsewhere and against enumeration."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from adp_ros.evaluation.intervals import (
    Pairs,
    detectable_loss,
    exact_interval,
    half_width,
    mcnemar_p,
    mcnemar_power,
    paired_difference,
    wilson_interval,
)


def ends(interval):
    """Lower and upper end."""
    return [interval.low, interval.high]


def test_intervals_are_those_of_statsmodels():
    """42 of 50: Clopper-Pearson and Wilson as statsmodels 0.15 gives them."""
    assert ends(exact_interval(42, 50)) == pytest.approx([0.70887, 0.92830], abs=1e-5)
    assert ends(wilson_interval(42, 50)) == pytest.approx([0.71486, 0.91663], abs=1e-5)


@pytest.mark.parametrize("successes", [1, 17, 39])
def test_exact_interval_inverts_the_binomial_test(successes):
    """At each end of the exact interval the tail beyond has exactly 2.5 %."""
    low, high = ends(exact_interval(successes, 40))
    assert binom.sf(successes - 1, 40, low) == pytest.approx(0.025)
    assert binom.cdf(successes, 40, high) == pytest.approx(0.025)


def test_all_successes_leave_room_below():
    """20 of 20 and 50 of 50: lower ends 0.832 and 0.929, upper ends 1."""
    assert ends(exact_interval(20, 20)) == pytest.approx([0.832, 1.0], abs=1e-3)
    assert ends(exact_interval(50, 50)) == pytest.approx([0.929, 1.0], abs=1e-3)


def test_mcnemar_is_that_of_statsmodels():
    """7 against 3 differing pairs: p = 0.34375; the equal pairs don't matter."""
    assert mcnemar_p(Pairs(90, 7, 3, 5)) == pytest.approx(0.34375)
    assert mcnemar_p(Pairs(0, 3, 7, 0)) == pytest.approx(0.34375)


def test_mcnemar_enumerated():
    """The p value is the share of all sign patterns at least as lopsided."""
    won, lost = 8, 2
    patterns = np.array([sum(signs) for signs in product((0, 1), repeat=won + lost)])
    extreme = np.abs(patterns - 5) >= abs(won - 5)
    assert mcnemar_p(Pairs(0, won, lost, 0)) == pytest.approx(extreme.mean())


def test_equal_conditions_do_not_differ():
    """Without a differing pair p is 1 and the difference 0."""
    pairs = Pairs.of([True, False], [True, False])
    assert (mcnemar_p(pairs), pairs.difference) == (1.0, 0.0)


def test_paired_interval_is_the_published_one():
    """Newcombe's interval for Bentur et al. (2009), as in Fagerland's book: -0.507 to -0.026."""
    found = paired_difference(Pairs(both=1, only_first=1, only_second=7, neither=12))
    assert [found.value, *ends(found)] == pytest.approx([-0.286, -0.507, -0.026], abs=5e-4)


def test_paired_interval_without_correlation_is_the_unpaired_one():
    """42/50 against 38/50, uncorrelated: statsmodels' Newcombe interval for two samples."""
    pairs = Pairs(both=32, only_first=10, only_second=6, neither=2)
    found = paired_difference(pairs)
    assert found.value == pytest.approx(0.08)
    assert ends(found) == pytest.approx([-0.0784, 0.2345], abs=6e-3)  # phi is -0.02


def test_paired_interval_covers():
    """Of 600 evaluations with correlated pairs, 93 to 98 % of the intervals hold the truth."""
    rng = np.random.default_rng(4)
    chances = [0.75, 0.13, 0.05, 0.07]  # both, first, second, neither
    drawn = rng.multinomial(60, chances, size=600)
    intervals = [paired_difference(Pairs(*map(int, counts))) for counts in drawn]
    held = np.mean([found.low <= 0.08 <= found.high for found in intervals])
    assert 0.93 <= held <= 0.98


def test_pairs_are_counted_in_order():
    """The first series is the first, whatever side a pair differs on."""
    pairs = Pairs.of([True, True, False, False, True], [True, False, True, False, False])
    assert pairs == Pairs(both=1, only_first=2, only_second=1, neither=1)
    with pytest.raises(ValueError, match="shorter"):
        Pairs.of([True, True], [True])


@pytest.mark.parametrize(("pairs", "power"), [(20, 0.04), (50, 0.19), (100, 0.43), (200, 0.78)])
def test_power_is_that_of_the_simulation(pairs, power):
    """0.8 against 0.9: the powers simulated elsewhere, within their noise."""
    assert mcnemar_power(0.9, 0.8, pairs) == pytest.approx(power, abs=0.02)


def test_power_simulated():
    """The formula agrees with 1500 drawn evaluations of 80 pairs."""
    rng = np.random.default_rng(1)
    first, second = rng.random((1500, 80)) < 0.95, rng.random((1500, 80)) < 0.75
    won, lost = (first & ~second).sum(axis=1), (~first & second).sum(axis=1)
    found = [
        binomtest(w, w + n).pvalue <= 0.05 if w + n else False
        for w, n in zip(won, lost, strict=True)
    ]
    assert mcnemar_power(0.95, 0.75, 80) == pytest.approx(np.mean(found), abs=0.035)


def test_detectable_loss_is_where_power_reaches_80_percent():
    """A slightly smaller loss is found less often than that, the loss itself at least as often."""
    loss = detectable_loss(0.92, 200)
    assert mcnemar_power(0.92, 0.92 - loss, 200) >= 0.8
    assert mcnemar_power(0.92, 0.92 - loss + 0.002, 200) < 0.8
    assert detectable_loss(0.92, 800) < loss < detectable_loss(0.92, 50)


def test_few_pairs_find_nothing():
    """With five pairs not even a loss of everything reaches p = 0.05."""
    assert detectable_loss(1.0, 5) is None


def test_half_width_is_that_of_the_interval():
    """At 85 %: 0.15, 0.10, 0.07, 0.05 for 20, 50, 100, 200 episodes."""
    found = [half_width(0.85, n) for n in (20, 50, 100, 200)]
    assert found == pytest.approx([0.15, 0.10, 0.07, 0.05], abs=0.005)
    low, high = ends(wilson_interval(170, 200))
    assert half_width(0.85, 200) == pytest.approx((high - low) / 2)
