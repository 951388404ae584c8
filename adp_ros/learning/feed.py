"""The batches of one stage, and vision tokens that are computed once."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .batch import Batch, Collator
from .examples import Sampler
from .processes import Processes
from .recipe import Recipe


class VisionMemory:
    """Vision tokens of examples, as the policy sees their pictures at test.

    Holds V x D half-precision numbers per example that was used: 64 KiB with 256 patches of
    width 128.

    Args:
        collator: Makes batches.
        see: Turns pixels (B, 6, 224, 224) into vision tokens (B, V, D).
    """

    def __init__(self, collator: Collator, see: Callable[[Tensor], Tensor]) -> None:
        self._collator = collator
        self._see = see
        self._known = np.zeros(len(collator.examples), dtype=bool)
        self._tokens: Tensor | None = None

    def tokens(self, indices: NDArray[np.int64], device: torch.device) -> Tensor:
        """Return the vision tokens of some examples, shape (B, V, D), on a device."""
        fresh = np.unique(indices[~self._known[indices]])
        if len(fresh):
            self._learn(fresh, device)
        if self._tokens is None:
            raise RuntimeError("a batch of no examples")
        return self._tokens[torch.from_numpy(indices)].to(device).float()

    @torch.no_grad()
    def _learn(self, indices: NDArray[np.int64], device: torch.device) -> None:
        pixels = self._collator.test(indices).pixels
        tokens = self._see(pixels.to(device)).half().cpu()  # (n, V, D)
        if self._tokens is None:
            self._tokens = torch.zeros((len(self._known), *tokens.shape[1:]), dtype=torch.half)
        self._tokens[torch.from_numpy(indices)] = tokens
        self._known[indices] = True


class StageFeed:
    """Batches of one stage; each follows from seed, stage, step and process alone.

    Args:
        collator: Makes batches of the demonstrations.
        recipe: Of the run.
        number: Of the stage.
        see: Computes the vision tokens that are remembered, see :class:`VisionMemory`.
        processes: This process and the others.
    """

    def __init__(
        self,
        collator: Collator,
        recipe: Recipe,
        number: int,
        see: Callable[[Tensor], Tensor],
        processes: Processes,
    ) -> None:
        stage = recipe.stages[number]
        self._collator = collator
        self._recipe = recipe
        self._number = number
        self._processes = processes
        self._sampler = Sampler(collator.examples, recipe.seed, stage.corrective_share)
        self._memory = VisionMemory(collator, see) if stage.remember_vision else None

    def batch(self, step: int) -> tuple[Batch, Tensor | None]:
        """Return this process's part of a step, and its vision tokens where they are known."""
        recipe, processes, device = self._recipe, self._processes, self._processes.device
        drawn = self._sampler.draw(self._number, step, recipe.stages[self._number].batch)
        indices = drawn[processes.rank :: processes.count]
        rng = np.random.default_rng([recipe.seed, self._number, step, processes.rank])
        if self._memory is None:
            return self._collator.train(indices, recipe.augmentation, rng).to(device), None
        tokens = self._memory.tokens(indices, device)
        noise = recipe.augmentation.state_noise
        return self._collator.blind(indices, noise, rng).to(device), tokens
