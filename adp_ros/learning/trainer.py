"""The training loop: stages of steps, optimised, resumable after each saved state."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ..errors import CheckpointError
from .batch import Batch, Collator, squeezed_places, surviving_tokens
from .examples import Sampler
from .initial_model import prepare_stage
from .metrics import Scores, validate
from .network import TrainingNetwork, fast_attention
from .optimisation import Optimiser, RunningMean
from .processes import Processes
from .recipe import Recipe, Stage
from .run_files import append_line, read_lines, replacing


class VisionMemory:
    """Vision tokens of examples, as the policy sees their pictures at test.

    Holds V x D half-precision numbers per example that was used: 64 KiB with 256 patches of
    width 128. ``see`` turns pixels (B, 6, 224, 224) into vision tokens (B, V, D).
    """

    def __init__(self, collator: Collator, see: Callable[[Tensor], Tensor]) -> None:
        self._collator = collator
        self._see = see
        self._known = np.zeros(len(collator.examples), dtype=bool)
        self._tokens: Tensor | None = None

    @torch.no_grad()
    def tokens(self, indices: NDArray[np.int64], device: torch.device) -> Tensor:
        """Return the vision tokens of some examples, shape (B, V, D), on a device."""
        fresh = np.unique(indices[~self._known[indices]])
        if len(fresh):
            pixels = self._collator.test(fresh).pixels
            tokens = self._see(pixels.to(device)).half().cpu()  # (n, V, D)
            if self._tokens is None:
                self._tokens = torch.zeros((len(self._known), *tokens.shape[1:]), dtype=torch.half)
            self._tokens[torch.from_numpy(fresh)] = tokens
            self._known[fresh] = True
        if self._tokens is None:
            raise RuntimeError("a batch of no examples")
        return self._tokens[torch.from_numpy(indices)].to(device).float()


class StageFeed:
    """Batches of one stage, by its number; each follows from seed, stage, step and process alone.

    ``see`` computes the vision tokens that are remembered, see :class:`VisionMemory`.
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

    def batches(self, step: int) -> Iterator[tuple[float, Batch, Tensor | None]]:
        """Yield this process's parts of a step.

        Each with its share of the process's batch, and its vision tokens where they are known.
        """
        recipe, processes, stage = self._recipe, self._processes, self._recipe.stages[self._number]
        drawn = self._sampler.draw(self._number, step, stage.batch)
        indices = drawn[processes.rank :: processes.count]
        rng = np.random.default_rng([recipe.seed, self._number, step, processes.rank])
        parts = max(1, min(stage.parts, stage.batch // processes.count))  # the same in all
        for part in np.array_split(indices, parts):
            if self._memory is None:
                batch, tokens = self._collator.train(part, recipe.augmentation, rng), None
            else:
                tokens = self._memory.tokens(part, processes.device)
                batch = self._collator.blind(part, recipe.augmentation.state_noise, rng)
            yield len(part) / len(indices), batch.to(processes.device), tokens


STATE_FILE: Final = "state.pt"


@dataclass(frozen=True, kw_only=True)
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


_VALIDATED: Final = 256  # held-out examples that a validation looks at


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run is: number of the stage, steps of it that are done, and of all stages."""

    stage: int
    step: int
    total: int


METRICS_FILE: Final = "metrics.jsonl"
_AVERAGED: Final = 50  # steps whose mean losses make one entry


class Progress(Protocol):
    """Shows a run to a person."""

    def begin(self, text: str, samples: int, done: int) -> None:
        """The run begins or goes on."""

    def advance(self, samples: int, stage: str, losses: Mapping[str, float]) -> None:
        """A number of samples is done."""

    def validated(self, stage: str, scores: Mapping[str, float]) -> None:
        """A validation is done."""


class TrainingLog:
    """Averages losses, writes them down, and shows them; only in the first process.

    An interrupted run goes on in the same file. ``scores`` are the newest validation's, empty
    before there is one.
    """

    def __init__(
        self, recipe: Recipe, directory: Path, progress: Progress, processes: Processes
    ) -> None:
        self._recipe = recipe
        self._path = directory / METRICS_FILE
        self._progress = progress
        self._processes = processes
        self._recent: list[Mapping[str, float]] = []
        self.scores: Mapping[str, float] = {}

    def samples(self, place: Place) -> int:
        """Return how many samples are done at a place."""
        stages = self._recipe.stages
        done = sum(s.steps * s.batch for s in stages[: place.stage])
        return done + (place.step * stages[place.stage].batch if place.step else 0)

    def trained(self, place: Place, losses: Mapping[str, float]) -> None:
        """One step is done.

        Raises:
            CheckpointError: It can't be written down.
        """
        if not self._processes.first:
            return
        stage = self._recipe.stages[place.stage]
        self._recent.append(losses)
        mean = {n: sum(r[n] for r in self._recent) / len(self._recent) for n in losses}
        self._progress.advance(self.samples(place), stage.name, mean)
        if len(self._recent) == _AVERAGED or place.step == stage.steps:
            self._write("trained", place, mean)
            self._recent.clear()

    def validated(self, place: Place, scores: Scores) -> None:
        """A validation is done.

        Raises:
            CheckpointError: It can't be written down.
        """
        self.scores = asdict(scores)
        self._write("validated", place, self.scores)
        self._progress.validated(self._recipe.stages[place.stage].name, self.scores)

    def entries(self) -> list[dict[str, Any]]:
        """Return everything written down, what a resumed run repeated only once."""
        last = {(entry["kind"], entry["samples"]): entry for entry in read_lines(self._path)}
        return sorted(last.values(), key=lambda entry: entry["samples"])

    def _write(self, kind: str, place: Place, values: Mapping[str, float]) -> None:
        stage, samples = self._recipe.stages[place.stage].name, self.samples(place)
        rounded = {name: float(f"{value:.5g}") for name, value in values.items()}
        line = {"kind": kind, "samples": samples, "stage": stage, **rounded}
        append_line(self._path, line, CheckpointError)


class Trainer:
    """One run of a recipe, whose state is saved in a directory.

    The network has the weights to begin from; the log hears of progress.

    Attributes:
        place: Where the run is.
    """

    def __init__(
        self,
        network: TrainingNetwork,
        collator: Collator,
        recipe: Recipe,
        *,
        directory: Path,
        processes: Processes,
        log: TrainingLog,
    ) -> None:
        self._network = network.to(processes.device)
        trained = (n for n, p in network.policy.named_parameters() if p.requires_grad)
        self._adapters = frozenset(trained) if recipe.lora.rank else None
        self._collator = collator
        self._recipe = recipe
        self._directory = directory
        self._fingerprint = ""
        self._processes = processes
        self._log = log
        self._mean = RunningMean(recipe.average)
        self.place = Place(0, 0, 0)
        self._optimiser_state: dict[str, Any] | None = None

    def resume(self, fingerprint: str) -> bool:
        """Go on from the saved state, if there is one of this fingerprint of recipe and data.

        Raises:
            CheckpointError: The state is broken or of another recipe or other data.
        """
        self._fingerprint = fingerprint
        path = self._directory / STATE_FILE
        if not path.is_file():
            return False
        try:
            state = SavedState(**torch.load(path, map_location="cpu", weights_only=True))
        except (OSError, RuntimeError, ValueError, EOFError, TypeError, UnpicklingError) as error:
            raise CheckpointError(f"{path} cannot be read: {error}") from error
        if state.fingerprint != fingerprint:
            raise CheckpointError(
                f"{path} is of another recipe or other data; choose another --out, or delete it to "
                "start from the beginning"
            )
        self._network.load_state_dict(state.network, strict=self._adapters is None)
        self._mean.values = {k: v.to(self._processes.device) for k, v in state.mean.items()}
        self._mean.count = state.mean_count
        self._optimiser_state = state.optimiser
        self.place = Place(*state.place)
        return True

    def run(self, interrupted: Callable[[], bool]) -> bool:
        """Train until the recipe is done and the network has the running mean of its weights.

        Returns:
            False when it was interrupted before.
        """
        for number, stage in enumerate(self._recipe.stages):
            if number < self.place.stage:
                continue
            if not self._run_stage(number, stage, interrupted):
                return False
            self.place = Place(number + 1, 0, self.place.total)
            self._optimiser_state = None
            if number + 1 < len(self._recipe.stages):  # what stands still keeps its last value
                self._mean = RunningMean(self._recipe.average)
        self._save(None)
        self._mean.give(self._network)
        return True

    def _run_stage(self, number: int, stage: Stage, interrupted: Callable[[], bool]) -> bool:
        network = self._network
        prepare_stage(network, stage, self._adapters)
        optimiser = Optimiser(network, stage)
        if self._optimiser_state is not None:
            optimiser.adam.load_state_dict(self._optimiser_state)
        shared: nn.Module = network
        if self._processes.count > 1:
            shared = DistributedDataParallel(network)
        see = network.policy.see
        feed = StageFeed(self._collator, self._recipe, number, see, self._processes)
        while self.place.step < stage.steps:
            losses = self._step(shared, optimiser, feed, number)
            done = self.place.step + 1
            self.place = Place(number, done, self.place.total + 1)
            self._log.trained(self.place, losses)
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
        self, network: nn.Module, optimiser: Optimiser, feed: StageFeed, number: int
    ) -> dict[str, float]:
        stage, step = self._recipe.stages[number], self.place.step
        key, vision = (self._recipe.seed, number, step), self._network.policy.patches_per_view
        device, told = self._processes.device, dict[str, float]()
        kept, places = surviving_tokens(stage, vision, key), None
        if kept is None and (squeezed := squeezed_places(stage, vision, key)) is not None:
            places = squeezed.to(device)
        for share, batch, patches in feed.batches(step):
            with torch.autocast(device.type, dtype=torch.bfloat16), fast_attention(device):
                losses = network(batch, stage.losses, kept, patches, places)
            (share * losses["total"]).backward()
            for name, loss in losses.items():
                told[name] = told.get(name, 0.0) + share * float(loss.detach())
        optimiser.step(step)
        named = self._network.named_parameters()
        self._mean.take((name, p) for name, p in named if p.requires_grad)
        return told

    def _validate(self) -> None:
        """Validate the running mean; only the first process does, the others go on."""
        chosen = self._collator.examples.spread_held_out(_VALIDATED)
        if not self._processes.first or not len(chosen):
            return
        network, device = self._network, self._processes.device
        half = self._recipe.lora.base == "bfloat16"
        with self._mean.given(network), torch.autocast(device.type, torch.bfloat16, enabled=half):
            scores = validate(network, self._collator, chosen, device)
        self._log.validated(self.place, scores)

    def _save(self, optimiser: Optimiser | None) -> None:
        """Save what changes: not those tensors of the policy that adapters stand beside."""
        if not self._processes.first:
            return
        tensors = self._network.state_dict()
        if self._adapters is not None:
            adapters = {f"policy.{name}" for name in self._adapters}
            tensors = {n: t for n, t in tensors.items() if n in adapters or n[:7] != "policy."}
        state = SavedState(
            fingerprint=self._fingerprint,
            network=tensors,
            mean=self._mean.values,
            mean_count=self._mean.count,
            optimiser=None if optimiser is None else optimiser.adam.state_dict(),
            place=astuple(self.place),
        )
        with replacing(self._directory / STATE_FILE, CheckpointError) as work:
            torch.save(vars(state), work)
