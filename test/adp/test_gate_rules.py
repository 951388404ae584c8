"""Each decision rule against its definition computed over the whole episode."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adp_ros.adp.gate import Gate
from adp_ros.adp.gate_rules import Reason
from adp_ros.adp.gate_settings import GateConfig

MOTIONS = np.random.default_rng(4).random(60).tolist()
FREE = {"limit_consecutive_pruned_enabled": False, "cold_start_windows": 1}


def states(motions=MOTIONS, **settings) -> list[bool]:
    """State of each window and of the one after the last."""
    gate = Gate(GateConfig(**settings))
    return [gate.prune, *(gate.close_window(m).prune for m in motions)]


def test_mean_is_the_mean_of_the_episode():
    """Eq. 16: pruned when the motion reaches the mean of all windows so far, its own included."""
    expected = [MOTIONS[i] >= np.mean(MOTIONS[: i + 1]) for i in range(len(MOTIONS))]
    assert states(decision_method="mean", **FREE)[1:] == expected


def test_mean_of_equal_motions_prunes():
    """Equal motions reach their mean exactly, whatever the rounding."""
    assert all(states([0.1] * 200, decision_method="mean", **FREE)[1:])


def test_avg_halves_the_past():
    """The released mean weighs window i - k with 0.5 ** (k + 1), the first with the rest."""
    expected = []
    for i, motion in enumerate(MOTIONS):
        weights = [0.5 ** (i - k + 1) if k else 0.5**i for k in range(i + 1)]
        expected.append(motion >= np.dot(weights, MOTIONS[: i + 1]) - 1e-15)
    assert states(decision_method="avg", **FREE)[1:] == expected


@pytest.mark.parametrize("tau", [2, 3, 5])
@pytest.mark.parametrize("inherit", [False, True])
def test_extrema(tau, inherit):
    """Eq. 17-18 with and without the closed window, the middle case kept or pruned."""
    for variant in ("extrema", "extrema_previous"):
        used = False
        for i, motion in enumerate(MOTIONS):
            window = MOTIONS[max(0, i - tau + 1) : i + (variant == "extrema")]
            upper, lower = max(window, default=math.inf), min(window, default=-math.inf)
            slow = motion <= lower if variant == "extrema" else motion < lower
            between = used if inherit or not window else True
            used = motion >= upper or (not slow and between)
            got = states(
                MOTIONS[: i + 1],
                adjacent_variant=variant,
                adjacent_extrema_window=tau,
                adjacent_last_state=inherit,
                **FREE,
            )
            assert got[-1] == used, (variant, i)


def test_the_lower_test_is_strict_in_the_released_variant_only():
    """A motion that equals the minimum before it: full in the paper, in between as released."""
    motions = [0.03, 0.01, 0.05, 0.01]
    assert not states(motions, **FREE)[-1]
    assert states(motions, adjacent_variant="extrema_previous", **FREE)[-1]


def test_classic_looks_at_the_window_before_and_lookback_at_their_mean():
    """Rule classic compares with the last window, lookback with the mean of the last k."""
    expected = [MOTIONS[i] >= MOTIONS[i - 1] for i in range(1, len(MOTIONS))]
    assert states(adjacent_variant="classic", **FREE)[2:] == expected
    for k in (1, 4):
        got = states(adjacent_variant="lookback", adjacent_lookback=k, **FREE)[2:]
        means = [np.mean(MOTIONS[max(0, i - k) : i]) for i in range(1, len(MOTIONS))]
        assert got == [MOTIONS[i] >= mean for i, mean in enumerate(means, start=1)]


def test_periodic_repeats_its_pattern():
    """So many full windows, so many pruned ones, again."""
    pattern = [False] * 2 + [True] * 3
    got = states(decision_method="periodic", periodic_full=2, periodic_pruned=3)
    assert got == (pattern * 13)[: len(got)]
    assert all(states(decision_method="periodic", periodic_full=0))


def test_always_and_never():
    """Static pruning prunes every window, the first included; never prunes none."""
    assert all(states(decision_method="always"))
    assert not any(states(decision_method="never"))


def test_random_is_seeded_and_has_its_share():
    """The same seed gives the same states, another seed or episode others; the share is kept."""
    config = GateConfig(decision_method="random", random_state_prob=0.3, random_seed=7)
    gate, again = Gate(config), Gate(config)
    first = [gate.close_window(0.0).prune for _ in range(4000)]
    assert first == [again.close_window(0.0).prune for _ in range(4000)]
    assert abs(np.mean(first) - 0.3) < 0.03
    gate.reset()
    second = [gate.close_window(0.0).prune for _ in range(4000)]
    assert second != first
    assert abs(np.mean(np.array(first) & np.array(second)) - 0.09) < 0.02


def test_rules_that_read_no_motion_are_never_refreshed():
    """Baselines keep their pattern: neither cold start nor refresh touches them."""
    gate = Gate(GateConfig(decision_method="always", limit_max_consecutive_pruned=1))
    reasons = {gate.close_window(0.1).reason for _ in range(10)}
    assert reasons == {Reason.FIXED}


@given(
    motions=st.lists(st.floats(0.0, 10.0), min_size=1, max_size=40),
    method=st.sampled_from(["adjacent", "mean", "avg"]),
    variant=st.sampled_from(["extrema", "extrema_previous", "classic", "lookback"]),
    cold=st.integers(1, 5),
    limit=st.integers(1, 4),
)
def test_never_more_pruned_windows_in_a_row_than_allowed(motions, method, variant, cold, limit):
    """For any motions and rule, the cold start is full and runs keep the limit."""
    got = states(
        motions,
        decision_method=method,
        adjacent_variant=variant,
        cold_start_windows=cold,
        limit_max_consecutive_pruned=limit,
    )
    assert not any(got[:cold])
    assert "1" * (limit + 1) not in "".join(str(int(s)) for s in got)
