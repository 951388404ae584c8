"""A folder of demonstrations that fit together, one file per episode, and its statistics."""

import hashlib
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, DemonstrationError
from ..policies.conventions import AXES_LAYOUT, StateLayout
from ..policies.openvla.normalisation import STATISTICS_FILE
from ..policies.openvla.preprocess import JPEG_QUALITY
from ..types import ActionConvention, FloatArray
from .demonstrations import (
    Demonstration,
    Frames,
    Landmarks,
    NoOpFilter,
    check_episode,
    chunk_labels,
)
from .run_files import replacing, write_text

_Arrays = dict[str, NDArray[Any]]
_PICTURES: Final = ("frame_data", "frame_offset")
_ROWS: Final = ("time", "state", "action", "gripper")  # of which each step has one
_DIGESTS: Final = "digests"


def write_episode(path: Path, demonstration: Demonstration) -> None:
    """Write a ``.npz`` file with the checksum of each array, in place of one that is there.

    It is there as a whole or not at all.

    Raises:
        DemonstrationError: It can't be written.
    """
    arrays = _arrays(demonstration)
    digests = json.dumps({name: array_digest(values) for name, values in arrays.items()})
    with replacing(path) as work, work.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays, **{_DIGESTS: np.array(digests)})


def read_episode(path: Path, *, pictures: bool = True) -> Demonstration:
    """Read a file as it is; :func:`adp_ros.learning.demonstrations.check_episode` judges it.

    Without ``pictures`` their bytes stay out, which are nearly all of the file.

    Raises:
        DemonstrationError: It can't be read, lacks a field, or an array is not what was written.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            names = [name for name in stored.files if pictures or name not in _PICTURES]
            arrays: _Arrays = {name: stored[name] for name in names}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, NotImplementedError) as error:
        raise DemonstrationError(f"{path} can't be read, it is damaged: {error}") from error
    _check_digests(path, arrays)
    try:
        if not pictures:
            arrays["frame_offset"] = np.zeros(len(arrays["frame_step"]) + 1, np.int64)
            arrays["frame_data"] = np.zeros(0, np.uint8)
        return _demonstration(arrays)
    except KeyError as error:
        raise DemonstrationError(f"{path} lacks the field {error.args[0]}") from error
    except (TypeError, ValueError) as error:
        raise DemonstrationError(f"{path} has a field of another type: {error}") from error


def array_digest(values: NDArray[Any]) -> str:
    """Return the checksum of an array: of its type, its shape and its values."""
    digest = hashlib.sha256(f"{values.dtype.str} {values.shape}".encode())
    digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


def _check_digests(path: Path, arrays: _Arrays) -> None:
    """Refuse arrays that are not those that were written; older files have no checksums."""
    if _DIGESTS not in arrays:
        return
    try:
        wanted = dict(json.loads(str(arrays[_DIGESTS])))
    except (ValueError, TypeError) as error:
        raise DemonstrationError(f"{path} is damaged: its checksums can't be read") from error
    for name, values in arrays.items():
        if name != _DIGESTS and array_digest(values) != wanted.get(name):
            raise DemonstrationError(f"{path} is damaged: {name} does not fit its checksum")


def _arrays(d: Demonstration) -> _Arrays:
    arrays = {
        **{name: np.array(getattr(d, name)) for name in ("instruction", "task", "source")},
        "seed": np.array(d.seed, dtype=np.int64),
        "success": np.array(d.success),
        **{name: getattr(d, name) for name in _ROWS},
        "frame_step": d.frames.step,
        "frame_data": d.frames.data,
        "frame_offset": d.frames.offset,
    }
    if d.chunk_label is not None:
        arrays["chunk_label"] = d.chunk_label
    if d.landmarks is not None:
        arrays["landmark_names"] = np.array(d.landmarks.names)
        arrays["landmarks"] = d.landmarks.positions
        arrays["landmark_pixels"] = d.landmarks.pixels
    return arrays


def _demonstration(arrays: _Arrays) -> Demonstration:
    landmarks = None
    if "landmarks" in arrays:
        names = tuple(str(name) for name in arrays["landmark_names"])
        landmarks = Landmarks(names, arrays["landmarks"], arrays["landmark_pixels"])
    return Demonstration(
        instruction=str(arrays["instruction"]),
        task=str(arrays["task"]),
        seed=int(arrays["seed"]),
        source=str(arrays["source"]),
        success=bool(arrays["success"]),
        **{name: arrays[name] for name in _ROWS},
        frames=Frames(arrays["frame_step"], arrays["frame_data"], arrays["frame_offset"]),
        chunk_label=arrays.get("chunk_label"),
        landmarks=landmarks,
    )


VERSION: Final = 1
INFO_FILE: Final = "dataset.json"
EPISODES: Final = "episodes"
_FORMAT: Final = "adp_ros demonstrations"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetInfo:
    """What the numbers of all episodes mean; ``dataset.json``.

    Attributes:
        state: Names of the state's numbers, see :mod:`adp_ros.policies.conventions`.
        convention: Frames and rotation order of actions and labels.
        made: Settings that they were made with; reading does not depend on them.
    """

    robot_type: str = "j2n6s300"
    state: tuple[str, ...] = AXES_LAYOUT
    convention: ActionConvention = field(default_factory=ActionConvention)
    step_period: float = 0.1
    chunk_length: int = 8
    width: int = 640
    height: int = 480
    source: str = ""
    made: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return it as it is read back from JSON."""
        head = {"format": _FORMAT, "version": VERSION}
        values = head | asdict(self) | {"jpeg_quality": JPEG_QUALITY}
        return dict(json.loads(json.dumps(values)))


@dataclass(frozen=True, slots=True)
class Dataset:
    """A folder of demonstrations, and what their numbers mean."""

    directory: Path
    info: DatasetInfo

    def names(self) -> tuple[str, ...]:
        """Return the episodes' names in alphabetical order; hidden files are not listed."""
        files = (self.directory / EPISODES).glob("*.npz")
        return tuple(sorted(path.stem for path in files if not path.name.startswith(".")))

    def __len__(self) -> int:
        return len(self.names())

    def __iter__(self) -> Iterator[Demonstration]:
        return (self.read(name) for name in self.names())

    def path(self, name: str) -> Path:
        """Return the file of an episode."""
        return self.directory / EPISODES / f"{name}.npz"

    def read(self, name: str, *, pictures: bool = True) -> Demonstration:
        """Read and check an episode; without ``pictures`` their bytes stay out, which is quick.

        Raises:
            DemonstrationError: It is missing, damaged or does not fit the data set.
        """
        path, info = self.path(name), self.info
        episode = read_episode(path, pictures=pictures)
        check_episode(path, episode, len(info.state), info.step_period, pictures=pictures)
        return episode

    def write(self, name: str, episode: Demonstration) -> None:
        """Check and write an episode; it is there as a whole or not at all.

        Raises:
            DemonstrationError: It does not fit the data set, or cannot be written.
        """
        path = self.path(name)
        check_episode(path, episode, len(self.info.state), self.info.step_period)
        write_episode(path, episode)


def open_dataset(directory: Path) -> Dataset:
    """Open a folder for reading.

    Raises:
        DemonstrationError: It holds no demonstrations, or those of another version; names file
            and field.
    """
    path = directory / INFO_FILE
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DemonstrationError(f"{path} can't be read: {error}") from error
    except ValueError as error:
        raise DemonstrationError(f"{path} is not JSON: {error}") from error
    return Dataset(directory, _info(path, values))


def create_dataset(directory: Path, info: DatasetInfo) -> Dataset:
    """Make a folder for writing, or open the one that is there to go on.

    Raises:
        DemonstrationError: What is there was made with other settings, or the folder
            cannot be written; names the field.
    """
    path = directory / INFO_FILE
    if path.exists():
        found = open_dataset(directory)
        there = found.info.to_json()
        for name, value in info.to_json().items():
            if there[name] != value:
                raise DemonstrationError(
                    f"{path}: {name} is {there[name]!r}, now it would be {value!r}; choose "
                    "another folder"
                )
        return found
    try:
        (directory / EPISODES).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DemonstrationError(f"{directory} can't be made: {error}") from error
    write_text(path, json.dumps(info.to_json(), indent=2) + "\n")
    return Dataset(directory, info)


def _info(path: Path, values: Any) -> DatasetInfo:
    if not isinstance(values, dict) or values.get("format") != _FORMAT:
        raise DemonstrationError(f"{path}: format is not {_FORMAT!r}")
    if values.get("version") != VERSION:
        raise DemonstrationError(
            f"{path}: version is {values.get('version')!r}, this program reads {VERSION}"
        )
    taken = {k: v for k, v in values.items() if k not in ("format", "version", "jpeg_quality")}
    try:
        layout = StateLayout(tuple(taken.pop("state")))
        convention = ActionConvention(**taken.pop("convention"))
        info = DatasetInfo(state=layout.names, convention=convention, **taken)
    except ConfigError as error:
        raise DemonstrationError(f"{path}: {error}") from error
    except (KeyError, TypeError) as error:
        raise DemonstrationError(f"{path}: a field is missing or not allowed: {error}") from error
    if not (isinstance(info.step_period, int | float) and info.step_period > 0.0):
        raise DemonstrationError(f"{path}: step_period is {info.step_period}, above 0 is needed")
    return info


_MASK: Final = (True,) * 6 + (False,)  # the gripper is taken as it is


class StatisticsCollector:
    """Collects what statistics in upstream's form are of, episode after episode.

    ``no_ops`` says which frames training leaves out, None for none.
    """

    def __init__(self, chunk_length: int = 8, no_ops: NoOpFilter | None = None) -> None:
        self._length = chunk_length
        self._no_ops = no_ops
        self._actions: list[FloatArray] = []
        self._states: list[FloatArray] = []
        self._episodes = 0

    def add(self, episode: Demonstration) -> None:
        """Take one episode."""
        self._episodes += 1
        if not len(episode.frames):
            return
        chunks, states = chunk_labels(episode, self._length), episode.state[episode.frames.step]
        if self._no_ops is not None:
            kept = self._no_ops.kept(episode, self._length)
            chunks, states = chunks[kept], states[kept]
        self._actions.append(chunks.reshape(-1, chunks.shape[-1]))
        self._states.append(states)

    def values(self) -> dict[str, Any]:
        """Return the statistics of one data set.

        Raises:
            DemonstrationError: There was no frame.
        """
        states = np.concatenate(self._states) if self._states else np.zeros(0)
        if not len(states):
            raise DemonstrationError("there is no frame to make statistics of")
        return {
            "action": _summary(np.concatenate(self._actions)) | {"mask": list(_MASK)},
            "proprio": _summary(states),
            "num_transitions": len(states),
            "num_trajectories": self._episodes,
        }


def _summary(values: FloatArray) -> dict[str, list[float]]:
    """Summarise each column of (n, k) values."""
    low, high = np.quantile(values, [0.01, 0.99], axis=0)
    rows = {
        "mean": values.mean(0),
        "std": values.std(0),
        "max": values.max(0),
        "min": values.min(0),
        "q01": low,
        "q99": high,
    }
    return {name: row.tolist() for name, row in rows.items()}


def write_statistics(dataset: Dataset) -> dict[str, Any]:
    """Read all episodes, write ``dataset_statistics.json``, return it: the folder's name -> values.

    Raises:
        DemonstrationError: An episode is damaged, or there is none.
    """
    collector = StatisticsCollector(dataset.info.chunk_length)
    for name in dataset.names():
        collector.add(dataset.read(name, pictures=False))
    content = {dataset.directory.resolve().name: collector.values()}
    write_text(dataset.directory / STATISTICS_FILE, json.dumps(content, indent=2) + "\n")
    return content
