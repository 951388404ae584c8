"""Action differences against numbers worked out by hand, and confidence intervals that cover."""

import numpy as np
import pytest

from adp_ros.bags.compare import METRICS, ComparedChunk, action_difference
from adp_ros.errors import PolicyError
from adp_ros.types import ActionConvention


def chunk(actions, pruned=False, convention=None):
    """A chunk whose normalised actions are twice its physical ones."""
    rows = np.asarray(actions, dtype=np.float64)
    normalized = (2.0 * rows).astype(np.float32)
    return ComparedChunk(rows, normalized, convention or ActionConvention(), pruned)


def straight(step, steps=8, gripper=1.0):
    """Equal steps."""
    actions = np.zeros((steps, 7))
    actions[:, :3], actions[:, 6] = step, gripper
    return actions


def means(difference, phase="all"):
    """Mean of each metric in a phase."""
    return {name: estimate.mean for name, estimate in difference[phase].metrics.items()}


def test_equal_chunks_do_not_differ():
    """Everything is 0, cosines and agreement are 1."""
    chunks = [chunk(straight((0.01, 0.0, 0.002))) for _ in range(5)]
    found = means(action_difference(chunks, chunks))
    assert found["cosine_translation"] == pytest.approx(1.0)
    assert found["gripper_agrees"] == 1.0
    assert np.isnan(found["cosine_rotation"])  # nothing turns
    rest = set(METRICS) - {"cosine_translation", "cosine_rotation", "gripper_agrees"}
    assert all(found[name] == 0.0 for name in rest)


def test_numbers_by_hand():
    """Steps of 10 mm along x against 10 mm along y: 8 x 10 x sqrt(2) mm apart at the end."""
    a = chunk(straight((0.01, 0.0, 0.0), gripper=1.0))
    b = chunk(straight((0.0, 0.01, 0.0), gripper=0.2))
    found = means(action_difference([a], [b]))
    assert found["dx_mm"] == pytest.approx(10.0)
    assert found["dz_mm"] == 0.0
    assert found["gripper"] == pytest.approx(0.8)
    assert found["gripper_agrees"] == 0.0
    assert found["cosine_translation"] == pytest.approx(0.0)
    assert found["end_point_mm"] == pytest.approx(80.0 * np.sqrt(2.0))
    assert found["l1_normalized"] == pytest.approx(2.0 * (0.01 + 0.01 + 0.8) / 7, rel=1e-6)


def test_turned_tool_changes_the_end_point():
    """In the tool frame a quarter turn first sends the same steps elsewhere."""
    convention = ActionConvention("tool", "tool", "rotvec")
    plain, turned = np.zeros((2, 7)), np.zeros((2, 7))
    plain[1, 0] = turned[1, 0] = 0.1
    turned[0, 5] = np.pi / 2
    found = means(
        action_difference([chunk(plain, False, convention)], [chunk(turned, False, convention)])
    )
    assert found["end_point_mm"] == pytest.approx(100.0 * np.sqrt(2.0))
    assert found["end_angle_deg"] == pytest.approx(90.0)


def test_phases_are_told_apart():
    """Pruned and full windows, fast and slow ones have their own means."""
    slow, fast = straight((0.001, 0.0, 0.0)), straight((0.02, 0.0, 0.0))
    baseline = [chunk(slow), chunk(fast), chunk(slow), chunk(fast)]
    other = [
        chunk(slow), chunk(fast + 0.004, pruned=True),
        chunk(slow), chunk(fast + 0.002, pruned=True),
    ]  # fmt: skip
    difference = action_difference(baseline, other)
    assert {name: phase.windows for name, phase in difference.items()} == {
        "all": 4, "pruned": 2, "full": 2, "fast": 2, "slow": 2,
    }  # fmt: skip
    assert means(difference, "pruned")["dx_mm"] == pytest.approx(3.0)
    assert means(difference, "full")["dx_mm"] == 0.0
    assert means(difference, "all")["dx_mm"] == pytest.approx(1.5)


def test_interval_covers_the_truth_about_as_often_as_it_says():
    """Of 60 experiments with a known mean of 5 mm, at least 80 % have it in their interval."""
    random = np.random.default_rng(3)
    zero = chunk(straight((0.0, 0.0, 0.0)))
    covered = 0
    for _ in range(60):
        sizes = random.exponential(0.005, 40)
        other = [chunk(straight((size, 0.0, 0.0))) for size in sizes]
        estimate = action_difference([zero] * 40, other)["all"].metrics["dx_mm"]
        assert estimate.low <= estimate.mean <= estimate.high
        covered += estimate.low <= 5.0 <= estimate.high
    assert 48 <= covered < 60


def test_intervals_are_the_same_every_time():
    """The resampling has a seed: two calls agree to the last digit."""
    random = np.random.default_rng(0)
    baseline = [chunk(random.normal(0.0, 0.01, (8, 7))) for _ in range(10)]
    other = [chunk(random.normal(0.0, 0.01, (8, 7))) for _ in range(10)]
    assert action_difference(baseline, other) == action_difference(baseline, other)


def test_chunks_that_do_not_match_are_named():
    """Different numbers of windows or actions are refused with both numbers."""
    one = chunk(straight((0.0, 0.0, 0.0)))
    with pytest.raises(PolicyError, match="1 and 2 chunks can't be compared"):
        action_difference([one], [one, one])
    with pytest.raises(PolicyError, match=r"\(8, 7\) and \(4, 7\) differ in length"):
        action_difference([one], [chunk(straight((0.0, 0.0, 0.0), steps=4))])
