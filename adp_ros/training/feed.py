"""What each step of a stage trains on."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from .batch import Batch, Collator
from .examples import Examples, Sampler
from .memory import VisionMemory
from .network import TrainingNetwork
from .processes import Processes
from .recipe import Recipe


@dataclass(frozen=True, slots=True)
class Data:
    """What a run trains on.

    Attributes:
        examples: The demonstrations.
        collator: Makes batches of them.
    """

    examples: Examples
    collator: Collator


class StageFeed:
    """Batches of one stage; each follows from seed, stage, step and process alone.

    Args:
        data: The demonstrations.
        recipe: Of the run.
        number: Of the stage.
        network: Computes the vision tokens that are remembered.
        processes: This process and the others.
    """

    def __init__(
        self,
        data: Data,
        recipe: Recipe,
        number: int,
        network: TrainingNetwork,
        processes: Processes,
    ) -> None:
        stage = recipe.stages[number]
        self._collator = data.collator
        self._recipe = recipe
        self._number = number
        self._processes = processes
        self._sampler = Sampler(data.examples, recipe.seed, stage.corrective_share)
        self._memory = None
        if stage.remember_vision:
            see, count = network.policy.see, len(data.examples)
            self._memory = VisionMemory(data.collator, see, count)

    def batch(self, step: int) -> tuple[Batch, Tensor | None]:
        """Return this process's part of a step, and its vision tokens where they are known."""
        recipe, processes = self._recipe, self._processes
        drawn = self._sampler.draw(self._number, step, recipe.stages[self._number].batch)
        indices = drawn[processes.rank :: processes.count]
        rng = np.random.default_rng([recipe.seed, self._number, step, processes.rank])
        augmentation, device = recipe.augmentation, processes.device
        if self._memory is not None:
            return self._memory.batch(indices, augmentation.state_noise, rng, device)
        return self._collator.train(indices, augmentation, rng).to(device), None
