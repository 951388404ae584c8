"""Examples to learn from, one per kept picture, and which of them a step draws."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import AdpError, DemonstrationError
from ..policies.openvla.preprocess import IMAGE_SIZE, shrink
from ..types import FloatArray, Rgb
from .dataset import Dataset, DatasetInfo, StatisticsCollector, array_digest, open_dataset
from .demonstrations import LANDMARKS, Demonstration, Frames, NoOpFilter, chunk_labels
from .run_files import replacing


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
        """Return at most `count` held-out examples, evenly spread, ascending."""
        held_out = np.flatnonzero(self.held_out)
        if not len(held_out):
            return held_out
        return held_out[np.unique(np.linspace(0, len(held_out) - 1, count).astype(np.int64))]


class Sampler:
    """Draws the examples of each step, from seed, stage and step alone; no held-out ones.

    ``corrective_share`` of the draws are of corrective episodes; 0: all alike.
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
_DIGEST_SIZE: Final = hashlib.sha256().digest_size  # at the end of each file: of all before it
_PIECE: Final = 2**20  # [bytes] that are read at a time


@dataclass(frozen=True, slots=True)
class PictureCache:
    """Shrunk pictures of one data set; a file that is damaged or of other pictures is made again.

    Decoding and shrinking a picture takes longer than a small model's whole forward pass. What is
    kept lies in ``pictures-224/`` beside the episodes.

    Attributes:
        dataset: Whose pictures.
        spare: Where files go when the data set's folder can't be written; None for nowhere.
    """

    dataset: Dataset
    spare: Path | None = None

    def pictures(self, name: str, frames: Frames) -> Rgb:
        """Return an episode's pictures, shape (F, 224, 224, 3), uint8, mapped from a file.

        Raises:
            DemonstrationError: A picture can't be decoded or has another size than the data
                set's, or no folder can be written; names the file.
        """
        file = f"{name}-{array_digest(frames.data)[:16]}.npy"
        folders = [self.dataset.directory / PICTURES]
        if self.spare is not None:
            folders.append(self.spare / PICTURES / self.dataset.directory.resolve().name)
        for folder in folders:
            found = _read(folder / file, len(frames))
            if found is not None:
                return found
        made = np.stack([self._shrunk(name, frames, i) for i in range(len(frames))])
        for number, folder in enumerate(folders, 1):
            try:
                _write(folder / file, made)
                break
            except DemonstrationError:
                if number == len(folders):
                    raise
        found = _read(folder / file, len(frames))
        if found is None:
            raise DemonstrationError(f"{folder / file} does not hold what was written")
        return found

    def _shrunk(self, name: str, frames: Frames, index: int) -> Rgb:
        path, info = self.dataset.path(name), self.dataset.info
        try:
            picture = frames.picture(index)
        except AdpError as error:
            raise DemonstrationError(f"{path}: picture {index}: {error}") from error
        height, width = picture.shape[:2]
        if (width, height) != (info.width, info.height):
            raise DemonstrationError(
                f"{path}: picture {index} is {width}x{height}, the data set's are "
                f"{info.width}x{info.height}"
            )
        return shrink(picture)


def _read(path: Path, count: int) -> Rgb | None:
    """Return the pictures of a file, None unless it is whole."""
    try:
        size = path.stat().st_size - _DIGEST_SIZE
        with path.open("rb") as file:
            file.seek(max(size, 0))
            if size <= 0 or file.read() != _digest(path, size):
                return None
        found: Rgb = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return None
    return found if found.shape == (count, IMAGE_SIZE, IMAGE_SIZE, 3) else None


def _write(path: Path, pictures: Rgb) -> None:
    with replacing(path) as work:
        with work.open("wb") as file:
            np.save(file, pictures)
        digest = _digest(work, work.stat().st_size)
        with work.open("ab") as file:
            file.write(digest)


def _digest(path: Path, size: int) -> bytes:
    """Return the checksum of the first bytes of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while size > 0 and (piece := file.read(min(size, _PIECE))):
            digest.update(piece)
            size -= len(piece)
    return digest.digest()


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Everything a run trains on.

    Attributes:
        sources: The first file with each instruction, in the order of the instructions.
        statistics: In upstream's form.
        has_landmarks: True when the true positions are known everywhere.
        simulated: True when some episodes are of the twin.
        fingerprint: Of everything in the episodes.
    """

    info: DatasetInfo
    examples: Examples
    sources: tuple[Path, ...]
    statistics: dict[str, Any]
    episodes: int
    has_landmarks: bool
    simulated: bool
    fingerprint: str

    def refuse_instructions(self, encode: Callable[[str], object]) -> None:
        """Refuse an instruction that a model's tokeniser, ``encode``, refuses.

        Raises:
            DemonstrationError: Names the file, the instruction and what is wrong with it.
        """
        for source, text in zip(self.sources, self.examples.instructions, strict=True):
            try:
                encode(text)
            except AdpError as error:
                raise DemonstrationError(f"{source}: {error}") from error


def load_training_set(
    folders: Sequence[Path],
    held_out: float,
    chunk_length: int,
    no_ops: NoOpFilter,
    spare: Path | None = None,
) -> TrainingSet:
    """Read folders of demonstrations, written by ``adp-ros collect``, that mean the same.

    A share of the episodes is ``held_out``, to be validated on only. Shrunk pictures go to
    ``spare`` where the data's own folder can't be written.

    Raises:
        DemonstrationError: A folder is unusable or empty, an episode is damaged, or two folders
            mean different things; names the file.
    """
    sets = [open_dataset(folder) for folder in folders]
    first = sets[0].info.to_json()
    for other in sets[1:]:
        theirs = other.info.to_json()
        for name in ("robot_type", "state", "convention", "step_period"):
            if first[name] != theirs[name]:
                raise DemonstrationError(
                    f"{other.directory}: {name} is {theirs[name]}, in {sets[0].directory} it is "
                    f"{first[name]}"
                )
    reader = _Reader(held_out, chunk_length, no_ops)
    for found in sets:
        cache = PictureCache(found, spare)
        for name in found.names():
            reader.add(found, name, cache)
    if not reader.columns:
        raise DemonstrationError(f"{', '.join(map(str, folders))}: no episode with a picture")
    return TrainingSet(
        info=sets[0].info,
        examples=reader.examples(),
        sources=tuple(reader.instructions.values()),
        statistics=reader.statistics.values(),
        episodes=len(reader.pictures),
        has_landmarks=reader.has_landmarks,
        simulated=reader.simulated,
        fingerprint=reader.digest.hexdigest(),
    )


class _Reader:
    """Collects examples, episode after episode."""

    def __init__(self, held_out: float, chunk_length: int, no_ops: NoOpFilter) -> None:
        self._every = round(1.0 / held_out) if held_out else 0
        self._length = chunk_length
        self._no_ops = no_ops
        self.columns: list[dict[str, NDArray[Any]]] = []
        self.pictures: list[Rgb] = []
        self.instructions: dict[str, Path] = {}
        self.digest = hashlib.sha256()
        self.statistics = StatisticsCollector(chunk_length, no_ops)
        self.has_landmarks = True
        self.simulated = False

    def add(self, folder: Dataset, name: str, cache: PictureCache) -> None:
        """Take one episode."""
        episode = folder.read(name)
        if not len(episode.frames):
            return
        self.statistics.add(episode)
        self.simulated |= episode.source != "teleoperation"
        number = len(self.pictures)
        self.pictures.append(cache.pictures(name, episode.frames))
        self.instructions.setdefault(episode.instruction, folder.path(name))
        rows = np.flatnonzero(self._no_ops.kept(episode, self._length))
        positions, pixels = self._landmarks(folder.info, episode)
        count = len(rows)
        columns = {
            "episode": np.full(count, number),
            "row": rows,
            "state": episode.state[episode.frames.step[rows]],
            "chunk": chunk_labels(episode, self._length)[rows],
            "instruction": np.full(count, list(self.instructions).index(episode.instruction)),
            "positions": positions[rows],
            "pixels": pixels[rows],
            "corrective": np.full(count, episode.corrective),
            "held_out": np.full(count, self._every > 0 and (number + 1) % self._every == 0),
        }
        self.columns.append(columns)
        digests = [array_digest(values) for values in (episode.frames.data, *columns.values())]
        self.digest.update(" ".join([name, episode.instruction, *digests]).encode())

    def examples(self) -> Examples:
        """Return all examples, of one episode at least."""
        joined = {
            name: np.concatenate([columns[name] for columns in self.columns])
            for name in self.columns[0]
        }
        return Examples(pictures=self.pictures, instructions=tuple(self.instructions), **joined)

    def _landmarks(self, info: DatasetInfo, episode: Demonstration) -> tuple[FloatArray, ...]:
        """Return positions and places in the 224x224 picture; NaN where unknown."""
        frames, found = len(episode.frames), episode.landmarks
        if found is None or not set(LANDMARKS) <= set(found.names):
            self.has_landmarks = False
            return tuple(np.full((frames, len(LANDMARKS), axes), np.nan) for axes in (3, 2))
        order = [found.names.index(name) for name in LANDMARKS]
        scale = IMAGE_SIZE / np.array([info.width, info.height])
        return found.positions[:, order], found.pixels[:, order] * scale
