"""Attention written out, for training on a CPU.

PyTorch's fused attention saves memory, but on a CPU its backward pass in bfloat16 is two to three
times as slow as the products and the softmax one by one, with the few hundred tokens of a small
model. Models go on calling PyTorch's function; in this mode it is written out.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

_PLAIN: Final = {
    "attn_mask": None,
    "dropout_p": 0.0,
    "is_causal": False,
    "enable_gqa": False,
}


def fast_attention(device: torch.device) -> AbstractContextManager[object]:
    """Return the mode in which attention is fast to train with on a device."""
    return WrittenOutAttention() if device.type == "cpu" else nullcontext()


class WrittenOutAttention(TorchFunctionMode):
    """Writes attention out where it has neither mask nor dropout nor shared key heads."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call a function of PyTorch, or what stands for it."""
        settings = kwargs or {}
        if func is not scaled_dot_product_attention or not _plain(args, settings):
            return func(*args, **settings)
        query, key, value = args
        return attend(query, key, value, settings.get("scale"))


def _plain(args: Sequence[Any], settings: dict[str, Any]) -> bool:
    """Tell whether only a scale is set besides query, key and value."""
    others = {name: value for name, value in settings.items() if name != "scale"}
    return len(args) == 3 and others.items() <= _PLAIN.items()


def attend(query: Tensor, key: Tensor, value: Tensor, scale: float | None) -> Tensor:
    """Mix values by the softmax of query times key.

    Args:
        query: Shape (..., R, d).
        key: Shape (..., S, d).
        value: Shape (..., S, d).
        scale: Factor before the softmax, None for one over the root of d.

    Returns:
        Shape (..., R, d).
    """
    factor = query.shape[-1] ** -0.5 if scale is None else scale
    logits = (query * factor) @ key.mT  # (..., R, S)
    mixed: Tensor = logits.softmax(-1) @ value  # (..., R, d)
    return mixed
