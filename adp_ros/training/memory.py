"""Vision tokens that were computed once, for stages in which towers and projector stand still."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .batch import Batch, Collator


class VisionMemory:
    """Vision tokens of examples, as the policy sees their pictures at test.

    Holds V x D half-precision numbers per example that was used: 64 KiB with 256 patches of
    width 128.

    Args:
        collator: Makes batches.
        see: Turns pixels (B, 6, 224, 224) into vision tokens (B, V, D).
        count: Number of examples.
    """

    def __init__(self, collator: Collator, see: Callable[[Tensor], Tensor], count: int) -> None:
        self._collator = collator
        self._see = see
        self._known = np.zeros(count, dtype=bool)
        self._tokens: Tensor | None = None

    def batch(
        self,
        indices: NDArray[np.int64],
        state_noise: float,
        rng: np.random.Generator,
        device: torch.device,
    ) -> tuple[Batch, Tensor]:
        """Return a batch without pixels, and its vision tokens (B, V, D), on a device."""
        self._learn(np.unique(indices[~self._known[indices]]), device)
        if self._tokens is None:
            raise RuntimeError("a batch of no examples")
        batch = self._collator.blind(indices, state_noise, rng)
        return batch.to(device), self._tokens[torch.from_numpy(indices)].to(device).float()

    @torch.no_grad()
    def _learn(self, indices: NDArray[np.int64], device: torch.device) -> None:
        if not len(indices):
            return
        pixels = self._collator.test(indices).pixels
        tokens = self._see(pixels.to(device)).half().cpu()  # (n, V, D)
        if self._tokens is None:
            self._tokens = torch.zeros((len(self._known), *tokens.shape[1:]), dtype=torch.half)
        self._tokens[torch.from_numpy(indices)] = tokens
        self._known[indices] = True
