"""``dataset_statistics.json`` in upstream's form, from what the model is trained on."""

import json
from collections.abc import Iterable
from typing import Any, Final

import numpy as np

from ..errors import DemonstrationError
from ..types import FloatArray
from .dataset import Dataset, write_text
from .demonstrations import Demonstration, NoOpFilter, chunk_labels

STATISTICS_FILE: Final = "dataset_statistics.json"
_MASK: Final = (True,) * 6 + (False,)  # the gripper is taken as it is


class StatisticsCollector:
    """Collects what statistics are of, episode after episode."""

    def __init__(self, chunk_length: int = 8, no_ops: NoOpFilter | None = None) -> None:
        """Begin with nothing.

        Args:
            chunk_length: Actions of a chunk.
            no_ops: Frames that training leaves out, None for none.
        """
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
        kept = slice(None)
        chunks, states = chunk_labels(episode, self._length), episode.state[episode.frames.step]
        if self._no_ops is not None:
            kept = self._no_ops.kept(episode, self._length)  # type: ignore[assignment]
        self._actions.append(chunks[kept].reshape(-1, chunks.shape[-1]))
        self._states.append(states[kept])

    def values(self) -> dict[str, Any]:
        """Return the statistics of one data set.

        Raises:
            DemonstrationError: There was no frame.
        """
        if not self._actions:
            raise DemonstrationError("there is no frame to make statistics of")
        states = np.concatenate(self._states)
        return {
            "action": summary_of(np.concatenate(self._actions)) | {"mask": list(_MASK)},
            "proprio": summary_of(states),
            "num_transitions": len(states),
            "num_trajectories": self._episodes,
        }


def summary_of(values: FloatArray) -> dict[str, list[float]]:
    """Return mean, std, min, max, q01 and q99 of each column of (n, k) values."""
    low, high = np.quantile(values, [0.01, 0.99], axis=0)
    return {
        "mean": values.mean(0).tolist(),
        "std": values.std(0).tolist(),
        "max": values.max(0).tolist(),
        "min": values.min(0).tolist(),
        "q01": low.tolist(),
        "q99": high.tolist(),
    }


def statistics_of(episodes: Iterable[Demonstration], chunk_length: int = 8) -> dict[str, Any]:
    """Return the statistics of episodes.

    Raises:
        DemonstrationError: They have no frame.
    """
    collector = StatisticsCollector(chunk_length)
    for episode in episodes:
        collector.add(episode)
    return collector.values()


def write_statistics(dataset: Dataset) -> dict[str, Any]:
    """Read all episodes, write the file, return its content: the folder's name -> statistics.

    Raises:
        DemonstrationError: An episode is damaged, or there is none.
    """
    name = dataset.directory.resolve().name
    episodes = (dataset.read(episode, pictures=False) for episode in dataset.names())
    content = {name: statistics_of(episodes, dataset.info.chunk_length)}
    write_text(dataset.directory / STATISTICS_FILE, json.dumps(content, indent=2) + "\n")
    return content


def read_statistics(dataset: Dataset) -> dict[str, Any]:
    """Return the statistics of a data set: its name -> statistics.

    Raises:
        DemonstrationError: They are missing, broken, or of another number of episodes.
    """
    path = dataset.directory / STATISTICS_FILE
    remedy = "run the same `adp-ros collect` again, it writes them"
    if not path.is_file():
        raise DemonstrationError(f"{path} is missing: {remedy}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        (values,) = content.values()
        counted = values["num_trajectories"]
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise DemonstrationError(f"{path} is broken ({error}): {remedy}") from error
    if counted != len(dataset):
        raise DemonstrationError(
            f"{path}: num_trajectories is {counted}, there are {len(dataset)} episodes: {remedy}"
        )
    return dict(content)
