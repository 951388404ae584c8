"""Choice of patches: ranking, scores, baselines, and the registry."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adp_ros.adp.pruner import PruneContext, highest, spread
from adp_ros.adp.registry import PRUNERS, make_pruner
from adp_ros.adp.rivals import DivPrunePruner, FastVPruner, UniformGridPruner, change, diverse
from adp_ros.adp.scoring import QueryKey, fold_text, score_patches
from adp_ros.adp.text_driven import InversePruner, TextDrivenPruner
from adp_ros.errors import ConfigError


class FixedScores:
    """A language model whose scores are given."""

    def __init__(self, scores):
        self.scores = scores

    def hidden_at(self, layer, patches, text):
        return text + layer, patches + layer

    def fold_text(self, layer, text):
        return text.mean(0)

    def score_patches(self, layer, patches, folded):
        return self.scores + layer


def context(scores, views=1):
    """A frame whose patches score as given."""
    patches = torch.zeros(len(scores), 4)
    pixels = torch.zeros(6 * views, 32, 32)
    text = torch.zeros(3, 4)
    return PruneContext(views, pixels, patches, text, text[0], FixedScores(scores))


@given(st.data(), st.integers(1, 3), st.sampled_from([4, 9, 16]))
def test_highest_takes_the_best_of_each_view(data, views, patches):
    """No patch left out scores above one taken in its view; ties go to the lower index."""
    levels = st.lists(st.integers(-3, 3), min_size=views * patches, max_size=views * patches)
    scores = data.draw(levels)
    counts = [data.draw(st.integers(0, patches)) for _ in range(views)]
    kept = highest(torch.tensor(scores, dtype=torch.float32), counts).tolist()
    expected = []
    for view, count in enumerate(counts):
        own = range(view * patches, (view + 1) * patches)
        expected += sorted(sorted(own, key=lambda i: (-scores[i], i))[:count])
    assert kept == expected


def test_order_of_the_kept_patches():
    """By score the best comes first for one view; with several the order is the pictures'."""
    scores = torch.tensor([0.1, 0.9, 0.3, 0.7])
    assert highest(scores, (3,), "score").tolist() == [1, 3, 2]
    assert highest(scores, (3,), "index").tolist() == [1, 2, 3]
    assert highest(scores, (1, 2), "score").tolist() == [1, 2, 3]


@pytest.mark.parametrize("side", [4, 15, 16])
def test_spread_is_even_for_any_count(side):
    """However many cells are taken, every quarter of the grid holds nearly its share."""
    ranks = spread(side * side, torch.zeros(1))
    half = side // 2
    for count in range(1, side * side + 1):
        taken = torch.zeros(side * side)
        taken[highest(ranks, (count,))] = 1
        grid = taken.view(side, side)
        quarters = [grid[:half, :half], grid[:half, -half:], grid[-half:, :half]]
        quarters.append(grid[-half:, -half:])
        sums = [float(q.sum()) for q in quarters]
        assert max(sums) - min(sums) <= (1 if side in (4, 16) else side)


@settings(max_examples=60)
@example(65500, 1, 1, (4, 4))  # terms that cancel
@given(
    st.integers(0, 10**6),
    st.integers(1, 30),
    st.integers(1, 60),
    st.sampled_from([(4, 4), (4, 2), (6, 1)]),
)
def test_folded_score_is_the_mean_over_text_and_heads(seed, text, patches, heads):
    """The collapsed form equals projecting everything and averaging q.k / sqrt(d).

    Up to the rounding of single precision, which goes with the size of the terms, not of their sum.
    """
    random = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, generator=random, dtype=torch.float64)  # noqa: E731
    query_heads, key_heads = heads
    size, width = 8, 24
    layer = QueryKey(
        draw(query_heads * size, width), draw(key_heads * size, width), draw(width), 1e-6, size
    )
    tokens, vision = draw(text, width), draw(patches, width)

    def normed(rows):
        return rows / (rows.square().mean(-1, keepdim=True) + 1e-6).sqrt() * layer.gain

    query = (normed(tokens) @ layer.query.T).view(text, query_heads, size)
    key = (normed(vision) @ layer.key.T).view(patches, key_heads, size)
    key = key.repeat_interleave(query_heads // key_heads, dim=1)
    expected = torch.einsum("thd,vhd->thv", query, key).mean((0, 1)) / size**0.5
    actual = score_patches(vision, fold_text(tokens, layer), 1e-6)
    assert actual.dtype == torch.float32
    terms = torch.einsum("thd,vhd->thv", query.abs(), key.abs()).mean((0, 1)) / size**0.5
    limit = 16 * torch.finfo(torch.float32).eps * float(terms.max())
    torch.testing.assert_close(actual.double(), expected, rtol=0, atol=limit)


def test_inverse_keeps_what_adp_drops():
    """At one half the two choices complement each other, on the same scores."""
    frame = context(torch.randperm(256).float())
    best, worst = TextDrivenPruner().select(frame), InversePruner().select(frame)
    assert sorted([*best.kept.tolist(), *worst.kept.tolist()]) == list(range(256))
    torch.testing.assert_close(best.scores, worst.scores)


def test_later_layers_score_their_own_input():
    """Above layer 0 the model is asked for the input of that layer."""
    frame = context(torch.arange(256).float())
    selection = TextDrivenPruner(layer=2).select(frame)
    torch.testing.assert_close(selection.scores, torch.arange(256).float() + 2)


def test_grid_is_the_same_for_every_view():
    """A uniform grid looks at nothing: same cells in each view for the same count."""
    kept = UniformGridPruner(keep=0.25, split=None).select(context(torch.zeros(512), 2)).kept
    np.testing.assert_array_equal(kept[:64] + 256, kept[64:])
    rows, columns = np.divmod(kept[:64].numpy(), 16)
    assert set(rows % 2) == set(columns % 2) == {0}  # every second patch of every second row


def test_change_is_measured_per_patch():
    """The mean absolute change of a patch's pixels, over both towers' channels."""
    before = torch.rand(12, 8, 8, generator=torch.Generator().manual_seed(0))
    after = before.clone()
    after[6:, 4:8, 0:4] -= 0.5  # second view, patch in the lower left of 2 x 2
    expected = torch.zeros(8)
    expected[4 + 2] = 0.5
    torch.testing.assert_close(change(before, after, 4), expected)


def greedy(features, count):
    """Max-min diversity, one by one, in numpy."""
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    distance = 1 - unit @ unit.T
    others = [np.delete(row, i).min() for i, row in enumerate(distance)]
    chosen = [int(np.argmax(others))]
    while len(chosen) < count:
        nearest = distance[:, chosen].min(1)
        nearest[chosen] = -np.inf
        chosen.append(int(np.argmax(nearest)))
    return chosen


def test_diverse_set_is_the_greedy_one():
    """The choice is that of the greedy max-min rule, in its order."""
    features = np.random.default_rng(2).normal(size=(60, 12)).astype(np.float32)
    assert diverse(torch.from_numpy(features), 25).tolist() == greedy(features, 25)


def test_diverse_set_covers_clusters():
    """Of groups of like patches one each is taken before any second; equal ones never repeat."""
    centres = torch.eye(8).repeat_interleave(32, 0)  # 8 groups of 32 equal patches
    frame = replace(context(torch.zeros(256)), patches=centres)
    kept = DivPrunePruner(keep=8 / 256).select(frame).kept
    assert sorted((kept // 32).tolist()) == list(range(8))
    assert len(set(diverse(centres, 256).tolist())) == 256


def test_fastv_takes_the_most_attended_of_all_views():
    """The views compete; the attending rows are those of the settings."""
    asked = []

    def attention(rows):
        asked.append(rows)
        return torch.cat([torch.arange(256), torch.zeros(256)])

    frame = replace(context(torch.zeros(512), 2), attention=attention)
    selection = FastVPruner(keep=0.25, attending="text").select(frame)
    assert asked == ["text"]
    assert selection.kept.tolist() == list(range(128, 256))
    with pytest.raises(ValueError, match="chooses inside the model"):
        FastVPruner().select(context(torch.zeros(256)))


def test_registry_makes_every_pruner():
    """Each name of the table makes its pruner, with settings."""
    assert PRUNERS.problems() == ()
    for name, kind in PRUNERS.usable().items():
        pruner = make_pruner(name, keep=0.25)
        assert (pruner.name, pruner.keep, type(pruner)) == (name, 0.25, kind)
        assert pruner.graph_safe == (name not in ("random", "frame_difference"))


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("fastvv", {}, "pruner is 'fastvv', did you mean 'fastv'. allowed: adp, inverse, random"),
        ("adp", {"kep": 0.3}, "pruner adp: unknown setting 'kep', did you mean 'keep'"),
        ("random", {"_draws": 1}, "pruner random: unknown setting '_draws'"),
        ("fastv", {"layer": 0}, "layer is 0, allowed: 1 to inf"),
        ("adp", {"layer": -1}, "layer is -1"),
        ("adp", {"order": "spatial"}, "order is 'spatial', allowed: one of 'index', 'score'"),
        ("uniform", {"positions": "old"}, "positions is 'old'"),
    ],
)
def test_unknown_pruners_and_settings_are_refused(name, settings, message):
    """A wrong name or setting is named with what is allowed."""
    with pytest.raises(ConfigError, match=message):
        make_pruner(name, **settings)


def test_a_list_is_as_good_as_a_tuple():
    """A split written as a list is the same pruner."""
    assert make_pruner("adp", split=[0.4, 0.6]) == TextDrivenPruner(split=(0.4, 0.6))
    assert hash(TextDrivenPruner(split=[0.3, 0.7])) == hash(TextDrivenPruner(split=(0.3, 0.7)))


def test_equal_settings_are_equal_pruners():
    """Pruners compare by their settings, so that recordings of one serve the other."""
    assert make_pruner("adp", keep=0.3) == TextDrivenPruner(keep=0.3)
    assert hash(make_pruner("adp", keep=0.3)) == hash(TextDrivenPruner(keep=0.3))
    assert TextDrivenPruner() != InversePruner()
