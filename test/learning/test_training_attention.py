"""Written-out attention is PyTorch's fused attention, values and gradients, and is used."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from torch.profiler import ProfilerActivity, profile
from transformers import SiglipVisionConfig
from transformers.models.siglip.modeling_siglip import SiglipEncoderLayer

from adp_ros.learning.network import WrittenOutAttention

FUSED = "aten::scaled_dot_product_attention"


def inputs(key_heads: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    """Make query, key and value that want gradients."""
    generator = torch.Generator().manual_seed(0)
    shapes = ((2, 4, 9, 8), (2, key_heads, 13, 8), (2, key_heads, 13, 8))
    query, key, value = (
        torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)
        for shape in shapes
    )
    return query, key, value


@pytest.mark.parametrize("scale", [None, 0.3])
def test_values_and_gradients_are_those_of_the_fused_function(scale: float | None) -> None:
    """Within float64's rounding, with the usual scale and with another one."""
    ours, theirs = inputs(), inputs()
    expected = scaled_dot_product_attention(*theirs, scale=scale)
    with WrittenOutAttention():
        mixed = scaled_dot_product_attention(*ours, scale=scale)
    torch.testing.assert_close(mixed, expected)
    mixed.square().sum().backward()
    expected.square().sum().backward()
    for our, their in zip(ours, theirs, strict=True):
        torch.testing.assert_close(our.grad, their.grad)


@pytest.mark.parametrize(
    ("settings", "key_heads"),
    [
        ({"is_causal": True}, 4),
        ({"attn_mask": torch.ones(9, 13, dtype=torch.bool).tril(3)}, 4),
        ({"enable_gqa": True}, 2),
    ],
    ids=["causal", "mask", "shared heads"],
)
def test_what_it_does_not_write_out_is_left_to_the_fused_function(
    settings: dict[str, Any], key_heads: int
) -> None:
    """Masks and shared key heads give what they gave."""
    query, key, value = inputs(key_heads)
    expected = scaled_dot_product_attention(query, key, value, **settings)
    with WrittenOutAttention():
        mixed = scaled_dot_product_attention(query, key, value, **settings)
    torch.testing.assert_close(mixed, expected)


def test_a_tower_of_transformers_is_written_out() -> None:
    """The library's own call is replaced, not only this package's."""
    tower = _tower()
    hidden = torch.randn(1, 5, 16)
    with torch.no_grad():
        expected, before = tower(hidden, attention_mask=None), _called(tower, hidden)
        with WrittenOutAttention():
            mixed, after = tower(hidden, attention_mask=None), _called(tower, hidden)
    torch.testing.assert_close(mixed, expected)
    assert FUSED in before
    assert FUSED not in after


def _tower() -> nn.Module:
    torch.manual_seed(0)
    config = SiglipVisionConfig(
        hidden_size=16, intermediate_size=32, num_attention_heads=2, attn_implementation="sdpa"
    )
    return SiglipEncoderLayer(config).eval()


def _called(tower: nn.Module, hidden: Tensor) -> set[str]:
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        tower(hidden, attention_mask=None)
    return {event.key for event in seen.key_averages()}
