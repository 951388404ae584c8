"""Merging: means of what was dropped, weighted by a bias, equal to the token repeated n times."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_model import PATCHES, tiny_model
from torch import nn

from adp_ros.adp.adp_settings import AdpSettings
from adp_ros.adp.merging import Groups, merge_dropped
from adp_ros.adp.overlay import group_sizes, pruned_patches
from adp_ros.adp.pruner import Budget
from adp_ros.adp.registry import make_pruner
from adp_ros.adp.text_driven import TextDrivenPruner
from adp_ros.errors import ConfigError
from adp_ros.policies.openvla.forward import Cut, shorten

CONFIG = Path(__file__).parents[2] / "config"


def groups_by_hand(kept, views, side):
    """Members of each group, view by view, row by row, from the places on the picture."""
    found = {(v, r, c): [] for v in range(views) for r in range(side) for c in range(side)}
    for view in range(views):
        for row in range(16):
            for column in range(16):
                patch = view * 256 + row * 16 + column
                if patch not in kept:
                    found[view, int(row / 16 * side), int(column / 16 * side)].append(patch)
    return list(found.values())


@settings(max_examples=25, deadline=None)
@given(st.data(), st.sampled_from([1, 2]), st.sampled_from([1, 2, 3, 4]))
def test_tokens_are_the_means_of_what_was_dropped(data, views, side):
    """Members, means, places and weights agree with sums over the picture; nothing is lost."""
    count = data.draw(st.integers(1, views * 256))
    random = np.random.default_rng(data.draw(st.integers(0, 99)))
    kept = np.sort(random.permutation(views * 256)[:count])
    states = torch.from_numpy(random.normal(size=(views * 256, 5)))
    merged = merge_dropped(states, torch.from_numpy(kept), Groups(views, 256, side))
    expected = [(float(i), states[i], 0.0) for i in kept]
    for members in groups_by_hand(set(kept.tolist()), views, side):
        if members:
            mean = states[members].mean(0)
            expected.append((np.mean(members), mean, np.log(len(members))))
    seen = merged.bias > -torch.inf
    assert len(merged.tokens) == count + views * side**2
    expected.sort(key=lambda entry: entry[0])
    np.testing.assert_allclose(merged.places[seen], [e[0] for e in expected])
    np.testing.assert_allclose(merged.tokens[seen], torch.stack([e[1] for e in expected]))
    np.testing.assert_allclose(merged.bias[seen], [e[2] for e in expected], atol=1e-12)
    assert merged.bias.exp().sum().item() == pytest.approx(views * 256)
    assert merged.tokens.isfinite().all() and merged.places.isfinite().all()
    sizes = [n for v in range(views) for n in group_sizes(pruned_patches(kept, v), side)]
    assert sizes == [len(m) for m in groups_by_hand(set(kept.tolist()), views, side)]


class DoubleNorm(nn.Module):
    """Llama's norm without the detour over float32 that transformers takes."""

    def __init__(self, norm):
        super().__init__()
        self.weight, self.variance_epsilon = norm.weight, norm.variance_epsilon

    def forward(self, x):
        return self.weight * x / (x.square().mean(-1, keepdim=True) + self.variance_epsilon).sqrt()


def doubled(model):
    """A copy of a network in float64 throughout."""
    model = copy.deepcopy(model).double()
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child).__name__ == "LlamaRMSNorm":
                setattr(module, name, DoubleNorm(child))
    return model


def actions_of(model, hidden, rotary, first, bias=None):
    """Hidden states of the action rows and actions."""
    rows = model.action_rows(hidden.shape[1])
    decoded = model.language_model(hidden, rotary, rows, first, bias).hidden
    return decoded, model.action_head(decoded)


@pytest.mark.parametrize("positions", ["reindexed", "kept"])
@pytest.mark.parametrize("cut", [0, 1])
@pytest.mark.parametrize(("views", "side"), [(1, 1), (1, 2), (2, 2), (1, 4)])
def test_the_bias_means_the_token_n_times(positions, cut, views, side):
    """Decoding with the bias gives what decoding every merged token n times gives, in float64."""
    model = doubled(tiny_model())
    torch.manual_seed(views * side + cut)
    patches = views * PATCHES
    hidden = torch.randn(1, 1 + patches + 20 + model.slots + 1, 32, dtype=torch.float64)
    kept = torch.randperm(patches)[: patches // 5].sort().values
    kept = torch.cat([torch.arange(64), kept[kept >= 64]])  # so that of 4 x 4 some lost nothing
    if cut:
        hidden = model.language_model.run(hidden, model.rotary(hidden), 0, cut)
    rule = Cut(positions, cut, Groups(views, PATCHES, side))
    short = shorten(model, hidden, kept, rule)
    rows, actions = actions_of(model, short.hidden, short.rotary, cut, short.bias)
    copies = short.bias.exp().round().long()  # none, one or n of each
    assert copies.sum() == hidden.shape[1] and (copies > 1).any()
    assert side < 4 or (copies == 0).any()
    repeated = short.hidden[0].repeat_interleave(copies, 0)[None]
    rotary = tuple(part[0, 0].repeat_interleave(copies, 0)[None, None] for part in short.rotary)
    straight_rows, straight = actions_of(model, repeated, rotary, cut)
    scale = straight_rows.abs().max().item()
    assert (rows - straight_rows).abs().max().item() < 1e-9
    assert (actions - straight).abs().max().item() < 1e-9
    unbiased, _ = actions_of(model, short.hidden, short.rotary, cut)
    assert (unbiased - straight_rows).abs().max().item() > 1e-3 * scale  # the bias matters


@pytest.mark.parametrize("case", ["v1_c0", "v1_c1", "v1_c2", "v2_c0", "v2_c1", "v2_c2"])
@pytest.mark.parametrize("cut", [0, 1])
@pytest.mark.parametrize("keep", [0.1, 0.2])
def test_golden_checkpoint_decodes_as_with_the_token_n_times(
    case, cut, keep, golden_policy, golden_observations
):
    """The upstream layout with a recorded picture: 1e-5 in float32, 1e-9 in float64."""
    seen = {}

    def note(_, inputs):
        seen["hidden"], seen["rotary"], _, seen["first"], seen["bias"] = inputs

    model = golden_policy.model
    handle = model.language_model.register_forward_pre_hook(note)
    pruner = make_pruner("adp_merge", keep=keep, cut=cut)
    result = golden_policy.predict(golden_observations[case], pruner)
    handle.remove()
    copies = seen["bias"].exp().round().long()
    assert (copies > 1).sum() == 4 * len(golden_observations[case].images)
    for number, network, tolerance in (
        (torch.float32, model, 1e-5),
        (torch.float64, doubled(model), 1e-9),
    ):
        hidden = seen["hidden"].to(number)
        rotary = tuple(part.to(number) for part in seen["rotary"])
        bias = torch.where(copies > 0, copies.to(number).log(), -torch.inf)
        rows, actions = actions_of(network, hidden, rotary, cut, bias)
        repeated = hidden[0].repeat_interleave(copies, 0)[None]
        angles = tuple(part[0, 0].repeat_interleave(copies, 0)[None, None] for part in rotary)
        straight_rows, straight = actions_of(network, repeated, angles, cut)
        assert (rows - straight_rows).abs().max().item() < tolerance
        assert (actions - straight).abs().max().item() < tolerance
        given = torch.from_numpy(result.normalized_actions).to(number)
        assert (given - straight.view(8, 7)).abs().max().item() < 1e-5


def test_merged_tokens_are_part_of_the_budget():
    """As many tokens enter as without merging; the means take their share of them."""
    budget = Budget(keep=0.1, merge="grid")
    assert budget.tokens_per_view(1, 256) == Budget(keep=0.1).kept_per_view(1, 256) == (26,)
    assert budget.kept_per_view(1, 256) == (22,)
    assert Budget(keep=0.1, merge="mean").kept_per_view(2, 256) == (19, 30)
    assert Budget(keep=1.0, merge="grid").kept_per_view(1, 256) == (256,)
    with pytest.raises(ConfigError, match="keep is 0.05: 13 tokens of a view, but merge 'grid' ne"):
        Budget(keep=0.05, merge="grid", merge_grid=4).kept_per_view(1, 256)
    with pytest.raises(ConfigError, match="order is 'score', allowed with merge: 'index'"):
        make_pruner("adp", merge="mean", order="score")


def test_the_preset_is_what_its_file_says():
    """adp_merge is the same budget in code and in config/adp_merge.yaml; the gate always prunes."""
    settings = AdpSettings.load(CONFIG / "adp_merge.yaml")
    assert settings.pruning.make_pruner() == make_pruner("adp_merge")
    assert settings.gate.rule == "always"
    assert make_pruner("adp_merge", keep=0.2) == TextDrivenPruner(keep=0.2, merge="grid")


def test_every_weight_is_one_without_weighting():
    """The control: means count for one patch each, and an empty one still for none."""
    kept = torch.arange(64)
    merged = merge_dropped(torch.randn(256, 3), kept, Groups(1, 256, 4, weighted=False))
    assert sorted(set(merged.bias.tolist())) == [-torch.inf, 0.0]
