"""Folders of demonstrations as training examples, one per kept picture, with a cache.

Decoding and shrinking a picture takes longer than a small model's whole forward pass, so each
episode's pictures are shrunk once and kept in ``pictures-224/`` beside the episodes, as the
policy sees them before its crop.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import DemonstrationError
from ..policies.openvla.preprocess import IMAGE_SIZE
from ..types import ActionConvention, FloatArray, Rgb
from .dataset import Dataset as Folder
from .dataset import open_dataset
from .dataset_statistics import StatisticsCollector
from .demonstrations import Demonstration, NoOpFilter, chunk_labels
from .relevance import LANDMARKS


@dataclass(frozen=True, slots=True)
class Examples:
    """All examples of one or more data sets.

    Attributes:
        pictures: Per episode, shape (F, 224, 224, 3), uint8, as the policy sees them before the
            crop.
        episode: Number of each example's episode, shape (N,).
        row: Row of its picture in the episode's, shape (N,).
        state: Proprioception in physical units, shape (N, P).
        chunk: Actions in physical units, shape (N, T, 7).
        instruction: Number of the instruction, shape (N,).
        instructions: The instructions.
        positions: Landmarks in the base frame, shape (N, L, 3), in [m]; NaN where unknown.
        pixels: Landmarks in the 224x224 picture, shape (N, L, 2), in [px]; NaN where unknown.
        corrective: True in episodes in which a policy moved the arm, shape (N,).
        held_out: True in episodes that are only validated on, shape (N,).
    """

    pictures: Sequence[Rgb]
    episode: NDArray[np.int64]
    row: NDArray[np.int64]
    state: FloatArray
    chunk: FloatArray
    instruction: NDArray[np.int64]
    instructions: tuple[str, ...]
    positions: FloatArray
    pixels: FloatArray
    corrective: NDArray[np.bool_]
    held_out: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.episode)

    def picture(self, index: int) -> Rgb:
        """Return the picture of an example, shape (224, 224, 3), uint8."""
        return np.asarray(self.pictures[self.episode[index]][self.row[index]])

    def spread_held_out(self, count: int) -> NDArray[np.int64]:
        """Return at most so many held-out examples, evenly spread, ascending."""
        held_out = np.flatnonzero(self.held_out)
        if not len(held_out):
            return held_out
        return held_out[np.unique(np.linspace(0, len(held_out) - 1, count).astype(np.int64))]


class Sampler:
    """Draws the examples of each step, from seed, stage and step alone.

    Args:
        examples: Where to draw from; held-out ones are never drawn.
        seed: Of the run.
        corrective_share: Share of the draws from corrective episodes, 0 for all alike.
    """

    def __init__(self, examples: Examples, seed: int, corrective_share: float) -> None:
        self._seed = seed
        self._all = np.flatnonzero(~examples.held_out)
        self._corrective = np.flatnonzero(~examples.held_out & examples.corrective)
        self._share = corrective_share if len(self._corrective) else 0.0

    def draw(self, stage: int, step: int, count: int) -> NDArray[np.int64]:
        """Return the numbers of the examples of a step, shape (count,)."""
        rng = np.random.default_rng([self._seed, stage, step])
        chosen = rng.choice(self._all, count)
        if self._share:
            use = rng.random(count) < self._share
            chosen = np.where(use, rng.choice(self._corrective, count), chosen)
        return chosen


PICTURES: Final = "pictures-224"
_NAMES: Final = ("item", "receptacle", "tool")


@dataclass(frozen=True, slots=True)
class DataMeaning:
    """What the numbers of the demonstrations mean.

    Attributes:
        state: Names of the proprioceptive numbers.
        convention: Frames and rotation of the actions.
    """

    state: tuple[str, ...]
    convention: ActionConvention


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Everything a run trains on.

    Attributes:
        name: Key of the statistics.
        examples: One per kept picture.
        meaning: What the numbers mean.
        statistics: In upstream's form.
        episodes: Number of episodes.
        has_landmarks: True when the true positions are known everywhere.
        simulated: True when some episodes are of the twin.
        fingerprint: Of folders and episodes.
    """

    name: str
    examples: Examples
    meaning: DataMeaning
    statistics: dict[str, Any]
    episodes: int
    has_landmarks: bool
    simulated: bool
    fingerprint: str


def load_training_set(
    folders: Sequence[Path], held_out: float, chunk_length: int, no_ops: NoOpFilter
) -> TrainingSet:
    """Read folders of demonstrations that mean the same.

    Args:
        folders: Written by ``adp-ros collect``.
        held_out: Share of the episodes that are only validated on.
        chunk_length: Actions of a chunk.
        no_ops: Frames that are left out.

    Raises:
        DemonstrationError: A folder is unusable or empty, an episode is damaged, or two folders
            mean different things.
    """
    sets = [open_dataset(folder) for folder in folders]
    for other in sets[1:]:
        _check_same(sets[0], other)
    reader = _Reader(held_out, chunk_length, no_ops)
    for found in sets:
        for name in found.names():
            reader.add(found, name)
    info = sets[0].info
    return TrainingSet(
        name=info.robot_type,
        examples=reader.examples(folders),
        meaning=DataMeaning(info.state, info.convention),
        statistics=reader.statistics.values(),
        episodes=reader.episodes,
        has_landmarks=reader.has_landmarks,
        simulated=reader.simulated,
        fingerprint=reader.fingerprint(),
    )


def _check_same(first: Folder, other: Folder) -> None:
    for name in ("robot_type", "state", "convention", "step_period"):
        mine, theirs = first.info.to_json()[name], other.info.to_json()[name]
        if mine != theirs:
            raise DemonstrationError(
                f"{other.directory}: {name} is {theirs}, in {first.directory} it is {mine}"
            )


class _Reader:
    """Collects examples, episode after episode."""

    def __init__(self, held_out: float, chunk_length: int, no_ops: NoOpFilter) -> None:
        self._every = round(1.0 / held_out) if held_out else 0
        self._length = chunk_length
        self._no_ops = no_ops
        self._instructions: list[str] = []
        self._columns: list[dict[str, NDArray[Any]]] = []
        self._pictures: list[Rgb] = []
        self._digest = hashlib.sha256()
        self.statistics = StatisticsCollector(chunk_length, no_ops)
        self.has_landmarks = True
        self.simulated = False

    @property
    def episodes(self) -> int:
        """Number of episodes so far."""
        return len(self._pictures)

    def add(self, folder: Folder, name: str) -> None:
        """Take one episode."""
        episode = folder.read(name)
        if not len(episode.frames):
            return
        self.statistics.add(episode)
        self.simulated |= episode.source != "teleoperation"
        number = len(self._pictures)
        self._pictures.append(_pictures(folder, name, episode))
        self._digest.update(f"{name} {len(episode.frames)} {episode.seed}\n".encode())
        rows = np.flatnonzero(self._no_ops.kept(episode, self._length))
        positions, pixels = self._landmarks(folder, episode)
        held_out = self._every > 0 and number % self._every == self._every - 1
        count = len(rows)
        self._columns.append(
            {
                "episode": np.full(count, number),
                "row": rows,
                "state": episode.state[episode.frames.step[rows]],
                "chunk": chunk_labels(episode, self._length)[rows],
                "instruction": np.full(count, self._number(episode.instruction)),
                "positions": positions[rows],
                "pixels": pixels[rows],
                "corrective": np.full(count, episode.corrective),
                "held_out": np.full(count, held_out),
            }
        )

    def examples(self, folders: Sequence[Path]) -> Examples:
        """Return all examples.

        Raises:
            DemonstrationError: There is none.
        """
        if not self._columns:
            raise DemonstrationError(f"{', '.join(map(str, folders))}: no episode with a picture")
        joined = {
            name: np.concatenate([columns[name] for columns in self._columns])
            for name in self._columns[0]
        }
        return Examples(pictures=self._pictures, instructions=tuple(self._instructions), **joined)

    def fingerprint(self) -> str:
        """Return what identifies the episodes."""
        return self._digest.hexdigest()

    def _number(self, instruction: str) -> int:
        if instruction not in self._instructions:
            self._instructions.append(instruction)
        return self._instructions.index(instruction)

    def _landmarks(self, folder: Folder, episode: Demonstration) -> tuple[FloatArray, FloatArray]:
        """Return positions and places in the 224x224 picture; NaN where unknown."""
        frames, found = len(episode.frames), episode.landmarks
        if found is None or not set(_NAMES) <= set(found.names):
            self.has_landmarks = False
            return (
                np.full((frames, LANDMARKS, 3), np.nan),
                np.full((frames, LANDMARKS, 2), np.nan),
            )
        order = [found.names.index(name) for name in _NAMES]
        scale = IMAGE_SIZE / np.array([folder.info.width, folder.info.height])
        return found.positions[:, order], found.pixels[:, order] * scale


def _pictures(folder: Folder, name: str, episode: Demonstration) -> Rgb:
    """Return an episode's pictures, shape (F, 224, 224, 3), from the cache or into it."""
    path = folder.directory / PICTURES / f"{name}.npy"
    wanted = (len(episode.frames), IMAGE_SIZE, IMAGE_SIZE, 3)
    newer = path.is_file() and path.stat().st_mtime >= folder.path(name).stat().st_mtime
    if newer:
        found: Rgb = np.load(path, mmap_mode="r")
        if found.shape == wanted:
            return found
    path.parent.mkdir(exist_ok=True)
    work = path.with_suffix(f".{os.getpid()}.npy")  # another process may make it as well
    np.save(work, np.stack([episode.frames.shrunk(i) for i in range(len(episode.frames))]))
    work.replace(path)
    made: Rgb = np.load(path, mmap_mode="r")
    return made
