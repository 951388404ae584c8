"""How weights move: AdamW with a warm-up and a cosine, and the running mean that is kept."""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from .recipe import Stage

_BETAS = (0.9, 0.98)
_GRADIENT_NORM = 1.0


class Optimiser:
    """AdamW with a warm-up, a cosine and clipped gradients, for one stage.

    It trains those of the network's parameters that ask for gradients.
    """

    def __init__(self, network: nn.Module, stage: Stage) -> None:
        self._stage = stage
        self.parameters = [p for p in network.parameters() if p.requires_grad]
        groups = [
            {
                "params": [p for p in self.parameters if p.ndim > 1],
                "weight_decay": stage.weight_decay,
            },
            {"params": [p for p in self.parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self.adam = torch.optim.AdamW(groups, lr=stage.learning_rate, betas=_BETAS)

    def step(self, number: int) -> None:
        """Take one step down the gradients and forget them; ``number`` counts from 0."""
        for group in self.adam.param_groups:
            group["lr"] = learning_rate(self._stage, number)
        nn.utils.clip_grad_norm_(self.parameters, _GRADIENT_NORM)
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)


def learning_rate(stage: Stage, number: int) -> float:
    """Return the learning rate of a step that counts from 0."""
    warm = min(1.0, (number + 1) / max(1, stage.warm_up))
    cosine = 0.5 * (1.0 + math.cos(math.pi * number / stage.steps))
    share = stage.final_share + (1.0 - stage.final_share) * cosine
    return stage.learning_rate * warm * share


class RunningMean:
    """Exponential running mean of named tensors, with a short memory at the beginning.

    ``decay`` is the weight of the past once the memory is full.
    """

    def __init__(self, decay: float) -> None:
        self._decay = decay
        self.count = 0
        self.values: dict[str, Tensor] = {}

    @torch.no_grad()
    def take(self, named: Iterable[tuple[str, Tensor]]) -> None:
        """Add the newest values."""
        decay = min(self._decay, 1.0 - 1.0 / (self.count + 1))
        for name, value in named:
            if name in self.values:
                self.values[name].lerp_(value.detach(), 1.0 - decay)
            else:
                self.values[name] = value.detach().clone()
        self.count += 1

    @torch.no_grad()
    def give(self, network: nn.Module) -> None:
        """Give a network the mean of its weights."""
        for name, parameter in network.named_parameters():
            if name in self.values:
                parameter.copy_(self.values[name])

    @contextmanager
    def given(self, network: nn.Module) -> Iterator[None]:
        """Give a network the mean of its weights for a while."""
        before = RunningMean(0.0)
        before.take(network.named_parameters())
        self.give(network)
        try:
            yield
        finally:
            before.give(network)
