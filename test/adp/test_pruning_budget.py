"""How many patches are kept: the released code's numbers, the paper's, and what is refused."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adp_ros.adp.pruner import Budget
from adp_ros.errors import ConfigError


@pytest.mark.parametrize(
    ("settings", "views", "counts"),
    [
        ({"keep": 0.3}, 1, (77,)),
        ({"keep": 0.5}, 1, (128,)),
        ({"keep": 0.7}, 1, (179,)),
        ({"keep": 0.3}, 2, (62, 92)),
        ({"keep": 0.5}, 2, (102, 154)),
        ({"keep": 0.7}, 2, (143, 215)),
        ({"keep": 0.9}, 2, (184, 256)),  # 461 were due, the second view holds no more
        ({"keep": 0.02}, 2, (4, 6)),
        ({"keep": 0.55, "split": (0.3, 0.7)}, 2, (85, 197)),
        ({"keep": 0.5, "split": None}, 2, (128, 128)),
        ({"keep": 1.0}, 2, (256, 256)),
    ],
)
def test_counts_of_the_released_code(settings, views, counts):
    """Counts are those recorded from the released code."""
    assert Budget(**settings).kept_per_view(views, 256) == counts


@pytest.mark.parametrize(("keep", "total"), [(0.3, 154), (0.4, 205), (0.6, 308), (0.7, 359)])
def test_counts_of_the_tables(keep, total):
    """The paper's tables imply ceil of 512 rho."""
    assert sum(Budget(keep=keep, counts="tables").kept_per_view(2, 256)) == total


def test_counts_of_the_text():
    """The paper's text floors twice; the last view takes what is left, a full one gives away."""
    assert Budget(keep=0.3, counts="paper").kept_per_view(2, 256) == (61, 92)
    assert Budget(keep=0.9, counts="paper").kept_per_view(2, 256) == (204, 256)


def released(total, weights, patches):
    """The rule in the words of the facts: round, hand out the rest heaviest first, cap."""
    share = [w / sum(weights) for w in weights]
    counts = [max(1, round(total * s)) for s in share]
    order = sorted(range(len(share)), key=lambda i: share[i], reverse=True)
    turn = 0
    while sum(counts) != total and turn < 10**4:
        i = order[turn % len(order)]
        if sum(counts) < total:
            counts[i] += 1
        elif counts[i] > 1:
            counts[i] -= 1
        turn += 1
    return tuple(min(c, patches) for c in counts)


weights = st.floats(0, 1, allow_subnormal=False).map(lambda w: round(w, 3))


@given(
    st.floats(1e-4, 0.9999),
    st.lists(weights, min_size=3, max_size=5).filter(lambda w: sum(w) > 0),
    st.sampled_from([4, 196, 256]),
)
def test_any_number_of_views_follows_the_rule(keep, split, patches):
    """For any ratio and weights counts are the released rule's."""
    views = len(split)
    budget = Budget(keep=keep, split=tuple(split))
    total = max(1, round(views * patches * keep))
    assert budget.kept_per_view(views, patches) == released(total, split, patches)


@given(st.floats(1e-4, 1), st.integers(1, 5), st.sampled_from(["code", "paper", "tables"]))
def test_counts_stay_within_budget_and_views(keep, views, counts):
    """No view gives more than it has; the total is the rounded share or what the views can give."""
    kept = Budget(keep=keep, counts=counts).kept_per_view(views, 256)
    share = keep * views * 256
    assert len(kept) == views
    assert all(0 <= k <= 256 for k in kept)
    assert sum(kept) <= max(math.ceil(share), views)
    if counts != "code":
        assert abs(sum(kept) - share) <= 1
    assert sum(kept) >= 1


def test_two_weights_serve_many_views():
    """The second of two weights is shared by all views but the first, as released."""
    assert Budget(keep=0.5).kept_per_view(3, 256) == Budget(
        keep=0.5, split=(0.4, 0.3, 0.3)
    ).kept_per_view(3, 256)


def test_one_view_ignores_the_split():
    """With one view there is nothing to split."""
    assert Budget(keep=0.5, split=(0.1, 0.2, 0.7)).kept_per_view(1, 256) == (128,)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"keep": 0}, "keep is 0, allowed: above 0 up to 1"),
        ({"keep": -0.1}, "keep is -0.1, allowed: 0 to 1"),
        ({"keep": 1.01}, "keep is 1.01, allowed: 0 to 1"),
        ({"keep": math.nan}, "keep is nan"),
        ({"keep": "half"}, "keep is 'half', a number is needed"),
        ({"split": (0.0, 0.0)}, r"split is \(0.0, 0.0\), weights from 0 with a positive sum"),
        ({"split": (0.5, -0.5)}, r"split\[1\] is -0.5, allowed: 0 to inf"),
        ({"split": "0.4"}, "split is '0.4', a list is needed"),
        ({"split": ()}, "split is"),
        ({"counts": "floor"}, "counts is 'floor', allowed: one of 'code', 'paper', 'tables'"),
    ],
)
def test_unusable_settings_are_refused(settings, message):
    """What can't be meant is named with what is allowed."""
    with pytest.raises(ConfigError, match=message):
        Budget(**settings)
