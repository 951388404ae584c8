"""The training loop: stages of steps, optimised, resumable after each saved state."""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ..errors import CheckpointError
from .attention import fast_attention
from .batch import Batch, Collator, squeezed_places, surviving_tokens
from .examples import Examples, Sampler
from .initial_model import prepare_stage
from .metrics import Scores, validate
from .network import TrainingNetwork
from .processes import Processes
from .recipe import Recipe, Stage


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


_BETAS = (0.9, 0.98)
_GRADIENT_NORM = 1.0


class Optimiser:
    """AdamW with a warm-up, a cosine and clipped gradients, for one stage.

    Args:
        network: Parameters that ask for gradients are trained.
        stage: Its rates.
    """

    def __init__(self, network: nn.Module, stage: Stage) -> None:
        self._stage = stage
        self.parameters = [p for p in network.parameters() if p.requires_grad]
        matrices = [p for p in self.parameters if p.ndim > 1]
        others = [p for p in self.parameters if p.ndim <= 1]
        groups = [
            {"params": matrices, "weight_decay": stage.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        self.adam = torch.optim.AdamW(groups, lr=stage.learning_rate, betas=_BETAS)

    def step(self, loss: Tensor, number: int) -> None:
        """Take one step down a loss; ``number`` counts from 0."""
        for group in self.adam.param_groups:
            group["lr"] = learning_rate(self._stage, number)
        self.adam.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, _GRADIENT_NORM)
        self.adam.step()


def learning_rate(stage: Stage, number: int) -> float:
    """Return the learning rate of a step that counts from 0."""
    warm = min(1.0, (number + 1) / max(1, stage.warm_up))
    cosine = 0.5 * (1.0 + math.cos(math.pi * number / stage.steps))
    share = stage.final_share + (1.0 - stage.final_share) * cosine
    return stage.learning_rate * warm * share


class RunningMean:
    """Exponential running mean of named tensors, with a short memory at the beginning.

    Args:
        decay: Weight of the past once the memory is full.
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
        before = {name: p.detach().clone() for name, p in network.named_parameters()}
        self.give(network)
        try:
            yield
        finally:
            with torch.no_grad():
                for name, parameter in network.named_parameters():
                    parameter.copy_(before[name])


STATE_FILE: Final = "state.pt"


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedState:
    """Everything that a run needs to go on exactly where it was.

    Attributes:
        fingerprint: Of recipe and data.
        network: The training network's tensors.
        mean: Running mean of the trained ones.
        mean_count: Steps in that mean.
        optimiser: State of the stage's optimiser, None between stages.
        place: Stage, steps of the stage, steps of all stages.
    """

    fingerprint: str
    network: dict[str, Tensor]
    mean: dict[str, Tensor]
    mean_count: int
    optimiser: dict[str, Any] | None
    place: tuple[int, int, int]

    def write(self, directory: Path) -> None:
        """Write it beside the old one, then put it in its place."""
        values = {name: object.__getattribute__(self, name) for name in self.__slots__}
        work = directory / f"{STATE_FILE}.tmp"
        torch.save(values, work)
        work.replace(directory / STATE_FILE)


def read_state(directory: Path, fingerprint: str) -> SavedState | None:
    """Read a state, None when there is none.

    Args:
        directory: Of the run.
        fingerprint: Of recipe and data; a state of others is refused.

    Raises:
        CheckpointError: The state is broken or of another recipe or other data.
    """
    path = directory / STATE_FILE
    if not path.is_file():
        return None
    try:
        values = torch.load(path, map_location="cpu", weights_only=True)
        state = SavedState(**values)
    except (OSError, RuntimeError, ValueError, EOFError, TypeError, UnpicklingError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    if state.fingerprint != fingerprint:
        raise CheckpointError(
            f"{path} is of another recipe or other data; choose another --out, or delete it to "
            "begin anew"
        )
    return state


_VALIDATED: Final = 256  # held-out examples that a validation looks at


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run is.

    Attributes:
        stage: Number of the stage.
        step: Steps of the stage that are done.
        total: Steps of all stages that are done.
    """

    stage: int
    step: int
    total: int


class Log(Protocol):
    """Hears of progress."""

    def trained(self, place: Place, losses: dict[str, float]) -> None:
        """One step is done."""
        ...

    def validated(self, place: Place, scores: Scores) -> None:
        """The running mean of the weights was validated."""
        ...


class Trainer:
    """One run.

    Args:
        network: With the weights to begin from.
        data: Demonstrations.
        recipe: What to do.
        directory: Where the state is saved.
        processes: This process and the others.
        log: Hears of progress.
    """

    def __init__(
        self,
        network: TrainingNetwork,
        data: Data,
        recipe: Recipe,
        *,
        directory: Path,
        processes: Processes,
        log: Log,
    ) -> None:
        self._network = network.to(processes.device)
        self._data = data
        self._recipe = recipe
        self._directory = directory
        self._fingerprint = ""
        self._processes = processes
        self._log = log
        self._mean = RunningMean(recipe.average)
        self._place = Place(0, 0, 0)
        self._optimiser_state: dict[str, Any] | None = None

    @property
    def place(self) -> Place:
        """Where the run is."""
        return self._place

    def resume(self, fingerprint: str) -> bool:
        """Go on from the saved state, if there is one.

        Args:
            fingerprint: Of recipe and data; a state of others is refused.

        Raises:
            CheckpointError: The state is broken or of another recipe or other data.
        """
        self._fingerprint = fingerprint
        state = read_state(self._directory, fingerprint)
        if state is None:
            return False
        self._network.load_state_dict(state.network)
        self._mean.values = {k: v.to(self._processes.device) for k, v in state.mean.items()}
        self._mean.count = state.mean_count
        self._optimiser_state = state.optimiser
        self._place = Place(*state.place)
        return True

    def run(self, interrupted: Callable[[], bool]) -> bool:
        """Train until the recipe is done and the network has the running mean of its weights.

        Returns:
            False when it was interrupted before.
        """
        for number, stage in enumerate(self._recipe.stages):
            if number < self._place.stage:
                continue
            if not self._run_stage(number, stage, interrupted):
                return False
            self._place = Place(number + 1, 0, self._place.total)
            self._optimiser_state = None
            if number + 1 < len(self._recipe.stages):  # what stands still keeps its last value
                self._mean = RunningMean(self._recipe.average)
        self._save(None)
        self._mean.give(self._network)
        return True

    def _run_stage(self, number: int, stage: Stage, interrupted: Callable[[], bool]) -> bool:
        network = self._network
        prepare_stage(network, stage, adapters=self._recipe.lora.rank > 0)
        optimiser = Optimiser(network, stage)
        if self._optimiser_state is not None:
            optimiser.adam.load_state_dict(self._optimiser_state)
        shared: nn.Module = network
        if self._processes.count > 1:
            shared = DistributedDataParallel(network)
        feed = StageFeed(self._data, self._recipe, number, network, self._processes)
        while self._place.step < stage.steps:
            losses = self._step(shared, optimiser, feed, number)
            done = self._place.step + 1
            self._place = Place(number, done, self._place.total + 1)
            self._log.trained(self._place, losses)
            last = done == stage.steps
            if last or done % self._recipe.validate_every == 0:
                self._validate()
            stop = self._processes.any_of(interrupted())
            if last or stop or done % self._recipe.save_every == 0:
                self._save(optimiser)
            if stop:
                return False
        return True

    def _step(
        self,
        network: nn.Module,
        optimiser: Optimiser,
        feed: StageFeed,
        number: int,
    ) -> dict[str, float]:
        stage, step = self._recipe.stages[number], self._place.step
        batch, patches = feed.batch(step)
        key = (self._recipe.seed, number, step)
        kept = surviving_tokens(stage, self._network.policy.patches_per_view, key)
        places = None if kept is not None else self._places(stage, key)
        device = self._processes.device
        with torch.autocast(device.type, dtype=torch.bfloat16), fast_attention(device):
            losses = network(batch, stage.losses, kept, patches, places)
        optimiser.step(losses["total"], step)
        named = self._network.named_parameters()
        self._mean.take((name, p) for name, p in named if p.requires_grad)
        return {name: float(loss.detach()) for name, loss in losses.items()}

    def _places(self, stage: Stage, key: tuple[int, ...]) -> Tensor | None:
        places = squeezed_places(stage, self._network.policy.patches_per_view, key)
        return None if places is None else places.to(self._processes.device)

    def _validate(self) -> None:
        """Validate the running mean; only the first process does, the others go on."""
        chosen = self._data.examples.spread_held_out(_VALIDATED)
        if not self._processes.first or not len(chosen):
            return
        network, device = self._network, self._processes.device
        with self._mean.given(network):
            scores = validate(network, self._data.collator, chosen, device)
        self._log.validated(self._place, scores)

    def _save(self, optimiser: Optimiser | None) -> None:
        if not self._processes.first:
            return
        place = self._place
        SavedState(
            fingerprint=self._fingerprint,
            network=self._network.state_dict(),
            mean=self._mean.values,
            mean_count=self._mean.count,
            optimiser=None if optimiser is None else optimiser.adam.state_dict(),
            place=(place.stage, place.step, place.total),
        ).write(self._directory)
