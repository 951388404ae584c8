"""The forward pass against the stock Llama with an all-zero mask, on the same kept tokens."""

import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_model import LLM, PATCHES, SLOTS, frame, stock_hidden, stock_llama, tiny_model

from adp_ros.adp.pruner import Selection
from adp_ros.adp.rivals import FastVPruner, UniformGridPruner
from adp_ros.adp.text_driven import TextDrivenPruner
from adp_ros.errors import ConfigError, ObservationError, PolicyError
from adp_ros.policies.openvla.forward import ForwardPass, Stopwatch, survivors
from adp_ros.policies.openvla.graphs import EagerRunner


def decode(given_frame, pruner, offset=0):
    """Run the forward pass on a frame."""
    forward = ForwardPass(tiny_model(), EagerRunner(), offset)
    with torch.inference_mode():
        return forward.decode(given_frame.tokens, pruner, Stopwatch(time.perf_counter))


def naive_scores(text, patches, layer):
    """Score patches as the released code does: project everything, then average."""
    block = stock_llama().layers[layer]
    size = LLM.head_dim
    query = block.self_attn.q_proj(block.input_layernorm(text)).unflatten(-1, (-1, size))
    key = block.self_attn.k_proj(block.input_layernorm(patches)).unflatten(-1, (-1, size))
    groups = LLM.num_attention_heads // LLM.num_key_value_heads
    heads = [query[:, h] @ key[:, h // groups].T for h in range(LLM.num_attention_heads)]
    return torch.stack(heads).mean((0, 1)) / size**0.5


def expected_rows(hidden, offset):
    """The rows the head reads, counted from the end: 56 before the stop token, one earlier."""
    start = len(hidden) - SLOTS - 2 + offset
    return hidden[start : start + SLOTS]


def check_choice(selection, counts, views):
    """Kept patches are distinct, from their views, and as many as the budget allows."""
    kept = selection.kept.numpy()
    assert kept.dtype == np.int64
    assert len(set(kept.tolist())) == len(kept)
    assert kept.min() >= 0
    assert kept.max() < views * PATCHES
    assert np.bincount(kept // PATCHES, minlength=views).tolist() == list(counts)


cases = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 10**6),
        "views": st.integers(1, 3),
        "prompt": st.integers(3, 60),
        "proprio": st.booleans(),
        "keep": st.floats(1e-3, 1),
        "split": st.one_of(
            st.none(), st.lists(st.floats(0.01, 1), min_size=2, max_size=2).map(tuple)
        ),
        "counts": st.sampled_from(["code", "paper", "tables"]),
        "positions": st.sampled_from(["reindexed", "kept"]),
        "order": st.sampled_from(["index", "score"]),
        "layer": st.integers(0, 2),
        "offset": st.integers(0, 1),
    }
)


@settings(max_examples=40)
@given(cases)
def test_pruned_pass_equals_the_stock_model(case):
    """Any ratio, split, views and prompt: valid sets, and the stock model's rows on them."""
    given_frame = frame(case["seed"], case["views"], case["prompt"], case["proprio"])
    names = ("keep", "split", "counts", "positions", "order", "layer")
    pruner = TextDrivenPruner(**{name: case[name] for name in names})
    decoded, selection = decode(given_frame, pruner, case["offset"])
    if case["keep"] >= 1:
        assert selection is None
        hidden = stock_hidden(given_frame)[-1]
    else:
        check_choice(selection, pruner.kept_per_view(case["views"], PATCHES), case["views"])
        rest = given_frame.text.shape[0] - 1 + SLOTS + case["proprio"]
        total = case["views"] * PATCHES
        places = torch.cat([torch.tensor([0]), 1 + selection.kept, 1 + total + torch.arange(rest)])
        positions = places if case["positions"] == "kept" else None
        hidden = stock_hidden(given_frame, selection.kept, positions=positions)[-1]
    torch.testing.assert_close(
        decoded.hidden[0], expected_rows(hidden, case["offset"]), rtol=1e-3, atol=1e-4
    )
    assert decoded.lengths == (len(hidden),) * LLM.num_hidden_layers


@pytest.mark.parametrize("layer", [0, 1, 2])
@pytest.mark.parametrize("views", [1, 2])
def test_scores_equal_the_plain_average(layer, views):
    """The folded score is the mean of q.k over text tokens and heads, also with grouped keys."""
    given_frame = frame(11, views)
    _, selection = decode(given_frame, TextDrivenPruner(layer=layer))
    hidden = stock_hidden(given_frame, proprio=False)[layer]
    total = views * PATCHES
    text = torch.cat([hidden[:1], hidden[1 + total : -SLOTS - 1], hidden[-1:]])
    expected = naive_scores(text, hidden[1 : 1 + total], layer)
    torch.testing.assert_close(selection.scores, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("attending", ["last", "text", "actions"])
@pytest.mark.parametrize("positions", ["kept", "reindexed"])
@pytest.mark.parametrize("layer", [1, 2])
def test_cut_inside_the_model(layer, positions, attending):
    """FastV scores by one layer's attention and goes on with the rest, as stock layers would."""
    given_frame = frame(7, 2)
    pruner = FastVPruner(keep=0.3, layer=layer, positions=positions, attending=attending)
    decoded, selection = decode(given_frame, pruner)
    llama, total = stock_llama(), 2 * PATCHES
    hidden = stock_hidden(given_frame)
    length = len(hidden[0])
    places = torch.arange(length)
    rotary = llama.rotary_emb(hidden[0], places[None])
    block = llama.layers[layer - 1]
    _, weights = block.self_attn(
        hidden_states=block.input_layernorm(hidden[layer - 1])[None],
        position_embeddings=rotary,
        attention_mask=torch.zeros(1, 1, length, length),
    )
    prompt = slice(2 + total, length - SLOTS - 1)  # after BOS, patches and proprioception
    rows = {
        "last": slice(length - 1, length),
        "text": prompt,
        "actions": slice(length - SLOTS - 2, length - 2),
    }[attending]
    received = weights[0].mean(0)[rows].mean(0)[1 : 1 + total]
    torch.testing.assert_close(selection.scores, received, rtol=1e-4, atol=1e-7)
    check_choice(selection, np.bincount(selection.kept // PATCHES), 2)
    assert len(selection.kept) == sum(pruner.kept_per_view(2, PATCHES))
    rest = torch.cat([places[:1], 1 + selection.kept, places[1 + total :]])
    after = hidden[layer][rest][None]
    numbers = rest if positions == "kept" else torch.arange(len(rest))
    rotary = llama.rotary_emb(after, numbers[None])
    for later in llama.layers[layer:]:
        mask = torch.zeros(1, 1, len(rest), len(rest))
        after = later(after, attention_mask=mask, position_embeddings=rotary)
    expected = expected_rows(llama.norm(after)[0], 0)
    torch.testing.assert_close(decoded.hidden[0], expected, rtol=1e-3, atol=1e-4)
    assert decoded.lengths == (length,) * layer + (len(rest),) * (LLM.num_hidden_layers - layer)


def test_survivors_keep_their_places():
    """What remains of a sequence: BOS, the kept patches in their order, everything after."""
    assert survivors(torch.tensor([3, 0]), 4, 8).tolist() == [0, 4, 1, 5, 6, 7]


class Miscounting(UniformGridPruner):
    """Keeps fewer patches than its budget."""

    def select(self, context):
        return Selection(super().select(context).kept[:-1])


def test_a_pruner_that_miscounts_is_an_error():
    """Fixed shapes are a promise: another number of patches is refused, not run."""
    with pytest.raises(PolicyError, match="pruner uniform kept .127,., its budget is 128"):
        decode(frame(0), Miscounting())


def check(views, text, pruner):
    """Ask whether a call can run."""
    ForwardPass(tiny_model(), EagerRunner(), 0).check(views, text, True, pruner)


def test_what_cannot_run_is_refused_before_it_runs():
    """Too long a sequence, a layer or a split that isn't there: named, nothing computed."""
    check(2, 30, TextDrivenPruner())
    with pytest.raises(ObservationError, match="8 views .* make 2135 tokens, .* made for 2048"):
        check(8, 30, None)
    with pytest.raises(ConfigError, match="layer is 3, this model has layers 0 to 2"):
        check(1, 30, FastVPruner(layer=3))
    with pytest.raises(ConfigError, match="split has 3 weights, 2 views need 2"):
        check(2, 30, TextDrivenPruner(split=(0.2, 0.3, 0.5)))
    with pytest.raises(ConfigError, match="layer is 9, this model has layers 0 to 2"):
        decode(frame(0), TextDrivenPruner(layer=9))


def test_bfloat16_stays_close():
    """In bfloat16 the rows differ by its precision, and nearly the same patches are kept."""
    tokens = frame(5).tokens
    exact, _ = decode(frame(5), None)
    _, chosen = decode(frame(5), TextDrivenPruner())
    half = replace(
        tokens,
        patches=tokens.patches.bfloat16(),
        proprio=tokens.proprio.bfloat16(),
        text=tokens.text.bfloat16(),
    )
    forward = ForwardPass(tiny_model.__wrapped__().to(torch.bfloat16), EagerRunner(), 0)
    watch = Stopwatch(time.perf_counter)
    rounded, _ = forward.decode(half, None, watch)
    _, also_chosen = forward.decode(half, TextDrivenPruner(), watch)
    assert rounded.hidden.dtype == torch.bfloat16
    error = (rounded.hidden.float() - exact.hidden).abs().mean() / exact.hidden.abs().mean()
    assert error < 0.1
    assert len(set(chosen.kept.tolist()) & set(also_chosen.kept.tolist())) >= 120
