"""Action tokens of OpenVLA: ids to numbers in [-1, 1], numbers to physical units.

The last 256 of the tokeniser's 32,000 ids stand for 255 bin centres; small ids are large numbers.
Source: ``ActionTokenizer`` and ``predict_action`` of openvla/openvla.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import CheckpointError, PolicyError
from ...types import FloatArray
from ..checkpoints import read_json

STATISTICS_FILE: Final = "dataset_statistics.json"


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

        Args:
            chosen: Ids in the order they were generated.
            needed: Numbers of one action.

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
class ActionRange:
    """Range of each number of an action over the training data.

    Attributes:
        name: Name of the data set, the ``unnorm_key``.
        low: 1 % quantile, shape (n,); -1 stands for it.
        high: 99 % quantile, shape (n,); 1 stands for it.
        scaled: False where the number is taken as it is, shape (n,).
    """

    name: str
    low: FloatArray
    high: FloatArray
    scaled: NDArray[np.bool_]

    def unnormalize(self, action: FloatArray) -> FloatArray:
        """Turn numbers from -1 to 1, shape (n,), into physical units, float64."""
        physical = 0.5 * (action + 1) * (self.high - self.low) + self.low
        return np.where(self.scaled, physical, action)


def read_action_range(directory: Path, unnorm_key: str = "") -> ActionRange:
    """Read the statistics that scale the actions.

    ``dataset_statistics.json`` replaces ``norm_stats`` of ``config.json`` where it is there.

    Args:
        directory: Directory of the checkpoint.
        unnorm_key: Name of the data set; may be empty where there is only one.

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
    names = ", ".join(map(repr, datasets))
    if not unnorm_key and len(datasets) > 1:
        raise CheckpointError(
            f"{path} holds {len(datasets)} data sets, set unnorm_key to one of: {names}"
        )
    name = unnorm_key or next(iter(datasets))
    if name not in datasets:
        raise CheckpointError(f"unnorm_key is {unnorm_key!r}, {path} has: {names}")
    section = datasets[name]
    if not isinstance(section, dict) or not isinstance(section.get("action"), dict):
        raise CheckpointError(f"{path}: data set {name!r} has no 'action' statistics")
    return _range(path, name, section["action"])


def _range(path: Path, name: str, action: Mapping[str, Any]) -> ActionRange:
    try:
        low, high = (np.array(action[key], dtype=np.float64) for key in ("q01", "q99"))
    except (KeyError, ValueError, TypeError) as error:
        raise CheckpointError(
            f"{path}: {name}.action needs q01 and q99 as lists of numbers ({error!r})"
        ) from error
    if low.ndim != 1 or low.shape != high.shape or low.size not in (6, 7):
        raise CheckpointError(
            f"{path}: {name}.action has q01 of shape {low.shape} and q99 of shape {high.shape}, "
            "6 or 7 numbers each are needed"
        )
    if not (np.isfinite(low).all() and np.isfinite(high).all() and (low <= high).all()):
        raise CheckpointError(f"{path}: {name}.action: q01 and q99 are not finite or not in order")
    mask = action.get("mask", [True] * low.size)
    if not isinstance(mask, list) or [type(m) for m in mask] != [bool] * low.size:
        raise CheckpointError(
            f"{path}: {name}.action.mask is {mask!r}, {low.size} booleans are needed"
        )
    return ActionRange(name, low, high, np.array(mask))
