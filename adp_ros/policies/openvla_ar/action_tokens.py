"""Action tokens of OpenVLA: ids to numbers in [-1, 1], numbers to physical units.

The last 256 of the tokeniser's 32,000 ids stand for 255 bin centres; small ids are large numbers.
Source: ``ActionTokenizer`` and ``predict_action`` of openvla/openvla.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...errors import CheckpointError, PolicyError
from ...types import FloatArray
from ..checkpoints import read_json
from ..openvla.normalisation import STATISTICS_FILE, Bounds, choose_data_set, read_bounds


@dataclass(frozen=True, slots=True)
class ActionTokens:
    """Ids of actions.

    Attributes:
        bins: Edges of the bins, one more than there are centres.
        vocabulary: Ids of the tokeniser without padding; the last ``bins`` of them are actions.
    """

    bins: int = 256
    vocabulary: int = 32000

    @property
    def ids(self) -> range:
        """Ids that stand for an action."""
        return range(self.vocabulary - self.bins, self.vocabulary)

    @property
    def centres(self) -> FloatArray:
        """Centre of each bin, ascending, shape (bins - 1,)."""
        edges = np.linspace(-1, 1, self.bins)
        return (edges[:-1] + edges[1:]) / 2

    def refuse_others(self, chosen: Sequence[int], needed: int) -> None:
        """Refuse ids that are no action; upstream decodes them into a motion all the same.

        They come in the order they were generated; an action has ``needed`` numbers.

        Raises:
            PolicyError: An id is no action, or the model stopped early.
        """
        for place, number in enumerate(chosen):
            if number not in self.ids:
                raise PolicyError(
                    f"token {place + 1} of {needed} is {number}, which is no action "
                    f"(allowed: {self.ids[0]} to {self.ids[-1]})"
                )
        if len(chosen) != needed:
            raise PolicyError(f"the model gave {len(chosen)} of {needed} action tokens")

    def decode(self, chosen: ArrayLike) -> FloatArray:
        """Turn ids of actions into numbers from -1 to 1, float64, same shape."""
        bins = np.clip(self.vocabulary - np.asarray(chosen) - 1, 0, self.bins - 2)
        return np.asarray(self.centres[bins])


@dataclass(frozen=True, slots=True)
class ActionRange(Bounds):
    """Range of each number of an action over the training data.

    Attributes:
        name: Name of the data set, the ``unnorm_key``.
    """

    name: str

    def unnormalize(self, action: FloatArray) -> FloatArray:
        """Turn numbers from -1 to 1, shape (n,), into physical units, float64."""
        physical = 0.5 * (action + 1) * (self.high - self.low) + self.low
        return np.where(self.scaled, physical, action)


def read_action_range(directory: Path, unnorm_key: str = "") -> ActionRange:
    """Read the statistics that scale a checkpoint's actions.

    ``dataset_statistics.json`` replaces ``norm_stats`` of ``config.json`` where it is there. The
    name of the data set, ``unnorm_key``, may be empty where there is only one.

    Raises:
        CheckpointError: There are none, they are broken, or the data set is unknown.
    """
    path = directory / STATISTICS_FILE
    datasets: Any = read_json(path) if path.is_file() else None
    if datasets is None:
        path = directory / "config.json"
        datasets = read_json(path).get("norm_stats")
    if not isinstance(datasets, dict) or not datasets:
        raise CheckpointError(f"{path} has no statistics of actions (norm_stats)")
    name, values = choose_data_set(path, datasets, unnorm_key or None)
    found = read_bounds(path, f"{name}.action", values["action"])
    if found.size not in (6, 7):
        raise CheckpointError(
            f"{path}: {name}.action has {found.size} numbers, 6 or 7 numbers are needed"
        )
    return ActionRange(found.low, found.high, found.scaled, found.constant, name)
