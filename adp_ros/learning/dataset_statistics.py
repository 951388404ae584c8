"""``dataset_statistics.json`` in upstream's form, from what the model is trained on."""

import json
from typing import Any, Final

import numpy as np

from ..errors import DemonstrationError
from ..policies.openvla.normalisation import STATISTICS_FILE
from ..types import FloatArray
from .dataset import Dataset
from .demonstrations import Demonstration, NoOpFilter, chunk_labels
from .run_files import write_text

_MASK: Final = (True,) * 6 + (False,)  # the gripper is taken as it is


class StatisticsCollector:
    """Collects what statistics are of, episode after episode.

    Args:
        chunk_length: Actions of a chunk.
        no_ops: Frames that training leaves out, None for none.
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
    return {
        "mean": values.mean(0).tolist(),
        "std": values.std(0).tolist(),
        "max": values.max(0).tolist(),
        "min": values.min(0).tolist(),
        "q01": low.tolist(),
        "q99": high.tolist(),
    }


def write_statistics(dataset: Dataset) -> dict[str, Any]:
    """Read all episodes, write the file, return its content: the folder's name -> statistics.

    Raises:
        DemonstrationError: An episode is damaged, or there is none.
    """
    collector = StatisticsCollector(dataset.info.chunk_length)
    for name in dataset.names():
        collector.add(dataset.read(name, pictures=False))
    content = {dataset.directory.resolve().name: collector.values()}
    write_text(dataset.directory / STATISTICS_FILE, json.dumps(content, indent=2) + "\n")
    return content
