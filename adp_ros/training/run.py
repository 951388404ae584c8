"""A whole run: data and model in, checkpoint out."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import torch

from ..demonstrations import NoOpFilter
from ..errors import ConfigError
from ..policy.config import DEFAULT_CHUNK_LENGTH, read_json
from ..policy.description import write_json
from ..policy.model import OpenVla
from ..policy.statistics import STATISTICS_FILE, Statistics, load_statistics
from ..policy.stopwatch import Clock
from .batch import Collator
from .curves import CURVES_FILE, MetricsFile, draw_curves
from .dataset import TrainingSet, load_training_set
from .export import write_checkpoint
from .feed import Data
from .log import Progress, RunLog
from .network import TrainingNetwork
from .processes import Processes, joined
from .recipe import Recipe
from .start import Start, add_lora, merge_lora, start_from, start_new
from .trainer import Trainer

CHECKPOINT: Final = "checkpoint"  # directory below the run's


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a run is asked for.

    Attributes:
        recipe: What to do.
        data: Folders of demonstrations.
        out: Folder of the run; made when it is not there.
        checkpoint: What is fine-tuned, None for a new model.
        device: ``cpu`` or ``cuda``.
        threads: CPU threads of each process.
    """

    recipe: Recipe
    data: Sequence[Path]
    out: Path
    checkpoint: Path | None = None
    device: str = "cpu"
    threads: int = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run.

    Attributes:
        finished: False when it was interrupted; it can go on.
        checkpoint: Where the result lies, None when it is not finished or another process wrote it.
        steps: Steps done.
        scores: Last validation, empty when there was none.
    """

    finished: bool
    checkpoint: Path | None
    steps: int
    scores: Mapping[str, float]


def train(
    request: Request, progress: Progress, interrupted: Callable[[], bool], clock: Clock
) -> Outcome:
    """Train, or go on with a run that was interrupted.

    Raises:
        ConfigError: The output has a finished checkpoint, or a setting does not fit.
        DemonstrationError: The data cannot be used.
        CheckpointError: The checkpoint, or the saved state, cannot be used.
    """
    checkpoint = request.out / CHECKPOINT
    if checkpoint.exists():
        raise ConfigError(f"{checkpoint} is there already, choose another --out")
    torch.set_num_threads(request.threads)
    torch.manual_seed(request.recipe.seed)
    with ExitStack() as stack:
        processes = stack.enter_context(joined(request.device, os.environ))
        request.out.mkdir(parents=True, exist_ok=True)
        recipe = request.recipe
        data = load_training_set(request.data, recipe.held_out, DEFAULT_CHUNK_LENGTH, NoOpFilter())
        _check_landmarks(recipe, data)
        if request.checkpoint is None:
            start = start_new(recipe, data.meaning, stack)
        else:
            start = start_from(request.checkpoint, recipe, data.meaning, clock)
        return _train(
            request,
            data,
            start,
            processes=processes,
            progress=progress,
            interrupted=interrupted,
        )


def _train(
    request: Request,
    data: TrainingSet,
    start: Start,
    *,
    processes: Processes,
    progress: Progress,
    interrupted: Callable[[], bool],
) -> Outcome:
    recipe, parts = request.recipe, start.parts
    network = TrainingNetwork(start.model, len(data.examples.instructions))
    wrapped = add_lora(start.model, recipe.lora) if recipe.lora.rank else None
    statistics = _statistics(recipe, data, start)
    collator = Collator(data.examples, statistics, parts.preprocessor, parts.tokenizer)
    log = RunLog(recipe, MetricsFile(request.out), progress, processes)
    trainer = Trainer(
        network,
        Data(data.examples, collator),
        recipe,
        directory=request.out,
        processes=processes,
        log=log,
    )
    trainer.resume(_fingerprint(request, data, start))
    if processes.first:
        text = f"{start.origin}; {len(data.examples)} pictures of {data.episodes} episodes"
        progress.begin(text, recipe.total_samples, log.samples(trainer.place))
    if not trainer.run(interrupted):
        return Outcome(False, None, trainer.place.total, log.scores)
    if not processes.first:
        return Outcome(True, None, trainer.place.total, log.scores)
    model = network.policy if wrapped is None else merge_lora(wrapped)
    _export(request, model, data, start, steps=trainer.place.total, scores=log.scores)
    draw_curves(MetricsFile(request.out).read(), request.out / CURVES_FILE)
    return Outcome(True, request.out / CHECKPOINT, trainer.place.total, log.scores)


def _export(
    request: Request,
    model: OpenVla,
    data: TrainingSet,
    start: Start,
    *,
    steps: int,
    scores: Mapping[str, float],
) -> None:
    training = {
        "steps": steps,
        "samples": request.recipe.total_samples,
        "relevance": request.recipe.relevance,
        "simulation": data.simulated,
        "origin": start.origin,
        "episodes": data.episodes,
        "pictures": len(data.examples),
        "validation": {name: float(f"{value:.4g}") for name, value in scores.items()},
        "recipe": asdict(request.recipe),
    }
    write_checkpoint(
        request.out / CHECKPOINT,
        model.cpu(),
        start.parts.config,
        description=start.description,
        statistics=_statistics_values(request.recipe, data, start),
        training=training,
    )


def _statistics_values(recipe: Recipe, data: TrainingSet, start: Start) -> dict[str, Any]:
    """Return what ``dataset_statistics.json`` holds: the data's ranges, or the checkpoint's."""
    if recipe.statistics == "checkpoint":
        return read_json(start.description / STATISTICS_FILE)
    return {data.name: data.statistics}


def _statistics(recipe: Recipe, data: TrainingSet, start: Start) -> Statistics:
    with TemporaryDirectory() as folder:
        write_json(Path(folder) / STATISTICS_FILE, _statistics_values(recipe, data, start))
        return load_statistics(Path(folder))


def _check_landmarks(recipe: Recipe, data: TrainingSet) -> None:
    for stage in recipe.stages:
        losses = stage.losses
        if (losses.relevance or losses.patches or losses.readout) and not data.has_landmarks:
            raise ConfigError(
                f"stage {stage.name}: losses.relevance, losses.patches and losses.readout need "
                "demonstrations with true positions, these have none; set the three to 0"
            )


def _fingerprint(request: Request, data: TrainingSet, start: Start) -> str:
    text = json.dumps([asdict(request.recipe), data.fingerprint, start.origin], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
