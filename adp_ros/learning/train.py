"""A whole run: data and model in, checkpoint out."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any, Final

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ..errors import CheckpointError, ConfigError
from ..policies.checkpoints import TRAINING_FILE, read_json, write_json
from ..policies.openvla.forward import Clock
from ..policies.openvla.load import COMPONENTS, source
from ..policies.openvla.model import OpenVla
from ..policies.openvla.model_config import DEFAULT_CHUNK_LENGTH, ModelConfig
from ..policies.openvla.normalisation import STATISTICS_FILE, load_statistics
from ..policies.openvla.tensor_layout import model_shapes
from ..policies.openvla.weight_files import (
    ACTION_HEAD,
    PROPRIO_PROJECTOR,
    SINGLE_FILE,
    new_directory,
    save_component,
)
from .batch import Collator
from .demonstrations import NoOpFilter
from .examples import TrainingSet, load_training_set
from .initial_model import Start, add_lora, merge_lora, recompute_activations, start_from, start_new
from .metrics import CURVES_FILE, draw_curves
from .network import TrainingNetwork
from .processes import Processes, joined
from .recipe import Recipe
from .run_files import writing
from .trainer import Progress, Trainer, TrainingLog

_DESCRIPTION: Final = ("*.json", "tokenizer.model")


def write_checkpoint(
    directory: Path,
    model: OpenVla,
    config: ModelConfig,
    *,
    description: Path,
    statistics: Mapping[str, Any],
    training: Mapping[str, Any],
) -> None:
    """Write a checkpoint; tensors that the L1 head never reads are zeros.

    ``description`` is a directory with every other file but ``dataset_statistics.json``, which
    holds ``statistics``, and ``training.json``, which holds ``training``: how it came about.

    Raises:
        ConfigError: The directory has files in it.
        CheckpointError: It cannot be written.
    """
    tensors = merged(model)
    step = int(training["steps"])
    with new_directory(directory) as work:
        for pattern in _DESCRIPTION:
            for path in sorted(description.glob(pattern)):
                if not path.name.endswith(".index.json"):
                    shutil.copyfile(path, work / path.name)
        write_json(work / STATISTICS_FILE, dict(statistics))
        write_json(work / TRAINING_FILE, dict(training))
        weights = {
            key: tensors.get(key, torch.zeros(shape)).to(torch.bfloat16).contiguous()
            for key, shape in model_shapes(config).items()
        }
        save_file(weights, work / SINGLE_FILE, metadata={"format": "pt"})
        for name in COMPONENTS:
            dtype = torch.float32 if name == PROPRIO_PROJECTOR else torch.bfloat16
            prefix = f"{name}."
            own = {
                key.removeprefix(prefix): tensor.to(dtype)
                for key, tensor in tensors.items()
                if key.startswith(prefix)
            }
            if own or name == ACTION_HEAD:
                save_component(work, name, step, own)


def merged(model: OpenVla) -> dict[str, Tensor]:
    """Return upstream's key -> tensor, with query, key and value of the towers joined."""
    parts: dict[str, dict[int, Tensor]] = {}
    for name, parameter in model.named_parameters():
        key, third = source(name)
        parts.setdefault(key, {})[third or 0] = parameter.detach().cpu()
    return {
        key: torch.cat([thirds[i] for i in sorted(thirds)]) if len(thirds) > 1 else thirds[0]
        for key, thirds in parts.items()
    }


CHECKPOINT: Final = "checkpoint"  # directory below the run's


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a run is asked for.

    Attributes:
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
class TrainingOutcome:
    """Result of a run.

    Attributes:
        finished: False when it was interrupted; it can go on.
        checkpoint: Where the result lies, None when it is not finished or another process wrote it.
        scores: Last validation, empty when there was none.
    """

    finished: bool
    checkpoint: Path | None
    steps: int
    scores: Mapping[str, float]


def train(
    request: Request, progress: Progress, interrupted: Callable[[], bool], clock: Clock
) -> TrainingOutcome:
    """Train, or go on with a run that was interrupted.

    Raises:
        ConfigError: The output has a finished checkpoint, or a setting does not fit.
        DemonstrationError: The data cannot be used.
        CheckpointError: The checkpoint or the saved state cannot be used, or nothing can be
            written.
    """
    recipe, out = request.recipe, request.out
    checkpoint = out / CHECKPOINT
    if checkpoint.exists():
        raise ConfigError(f"{checkpoint} is there already, choose another --out")
    torch.set_num_threads(request.threads)
    torch.manual_seed(recipe.seed)
    with ExitStack() as stack:
        stack.enter_context(_folder(out))
        processes = stack.enter_context(joined(request.device, os.environ))
        data = load_training_set(
            request.data, recipe.held_out, DEFAULT_CHUNK_LENGTH, NoOpFilter(), out
        )
        _check_landmarks(recipe, data)
        if request.checkpoint is None:
            start = start_new(recipe, data.info, stack)
        else:
            start = start_from(request.checkpoint, recipe, data.info, clock)
        log = TrainingLog(recipe, out, progress, processes)
        trainer, adapters = _prepared(request, data, start, processes, log)
        if processes.first:
            text = f"{start.origin}; {len(data.examples)} pictures of {data.episodes} episodes"
            progress.begin(text, recipe.total_samples, log.samples(trainer.place))
        finished = trainer.run(interrupted)
        steps, written = trainer.place.total, finished and processes.first
        if written:
            training = _training(recipe, data, start, log.scores) | {"steps": steps}
            write_checkpoint(
                checkpoint,
                (start.model if adapters is None else merge_lora(adapters)).cpu(),
                start.parts.config,
                description=start.description,
                statistics=_statistics(recipe, data, start),
                training=training,
            )
            draw_curves(log.entries(), out / CURVES_FILE)
        return TrainingOutcome(finished, checkpoint if written else None, steps, log.scores)


@contextmanager
def _folder(out: Path) -> Iterator[None]:
    """Make the folder of a run; an empty one is removed again when the run can't begin."""
    made = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CheckpointError(f"{out} can't be made: {error}") from error
    try:
        yield
    finally:
        with suppress(OSError):  # of a folder that is not empty
            if made:
                out.rmdir()


def _prepared(
    request: Request, data: TrainingSet, start: Start, processes: Processes, log: TrainingLog
) -> tuple[Trainer, nn.Module | None]:
    """Return the trainer where the run stands, and the model with adapters, if it has some."""
    recipe, parts, model = request.recipe, start.parts, start.model

    def readable(instruction: str) -> None:
        text = len(parts.tokenizer.encode(instruction)) + 1  # and the stop token
        model.check_length(1, text, model.proprio_projector is not None)

    data.refuse_instructions(readable)
    network = TrainingNetwork(model, len(data.examples.instructions))
    wrapped = add_lora(model, recipe.lora) if recipe.lora.rank else None
    if recipe.recompute:
        recompute_activations(model, processes.device)
    with writing(Path(gettempdir()), CheckpointError), TemporaryDirectory() as folder:
        write_json(Path(folder) / STATISTICS_FILE, _statistics(recipe, data, start))
        statistics = load_statistics(Path(folder))
    collator = Collator(data.examples, statistics, parts.preprocessor, parts.tokenizer)
    directory = request.out
    trainer = Trainer(network, collator, recipe, directory=directory, processes=processes, log=log)
    known = [asdict(recipe), data.fingerprint, start.origin]
    trainer.resume(hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest())
    return trainer, wrapped


def _training(
    recipe: Recipe, data: TrainingSet, start: Start, scores: Mapping[str, float]
) -> dict[str, Any]:
    """Return what ``training.json`` says of how a checkpoint came about, but for its steps."""
    return {
        "samples": recipe.total_samples,
        "relevance": recipe.relevance,
        "simulation": data.simulated,
        "origin": start.origin,
        "episodes": data.episodes,
        "pictures": len(data.examples),
        "validation": {name: float(f"{value:.4g}") for name, value in scores.items()},
        "recipe": asdict(recipe),
    }


def _statistics(recipe: Recipe, data: TrainingSet, start: Start) -> dict[str, Any]:
    """Return what ``dataset_statistics.json`` holds: the data's ranges, or the checkpoint's."""
    if recipe.statistics == "checkpoint":
        return read_json(start.description / STATISTICS_FILE)
    return {data.info.robot_type: data.statistics}


def _check_landmarks(recipe: Recipe, data: TrainingSet) -> None:
    for stage in recipe.stages:
        losses = stage.losses
        if (losses.relevance or losses.patches or losses.readout) and not data.has_landmarks:
            raise ConfigError(
                f"stage {stage.name}: losses.relevance, losses.patches and losses.readout need "
                "demonstrations with true positions, these have none; set the three to 0"
            )
