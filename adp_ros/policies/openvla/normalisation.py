"""Normalisation of actions and proprioception with a checkpoint's ``dataset_statistics.json``."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import CheckpointError, ObservationError
from ...types import ACTION_SIZE, FloatArray
from ..checkpoints import read_json

STATISTICS_FILE: Final = "dataset_statistics.json"
_EPSILON: Final = 1e-8  # keeps constant dimensions finite, as upstream does

ConstantProprio = Literal["training", "inference"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Range of each dimension of one signal over the training data.

    Attributes:
        low: 1 % quantile, shape (n,); maps to -1.
        high: 99 % quantile, shape (n,); maps to 1.
        scaled: False where the signal is taken as it is, shape (n,).
        constant: True where the smallest value equals the largest, shape (n,).
    """

    low: FloatArray
    high: FloatArray
    scaled: NDArray[np.bool_]
    constant: NDArray[np.bool_]

    @property
    def size(self) -> int:
        """Number of dimensions."""
        return self.low.size


@dataclass(frozen=True, slots=True)
class Statistics:
    """Statistics of one data set.

    Attributes:
        name: Its key in the file, the ``unnorm_key``.
        action: Bounds of the 7 action dimensions.
        proprio: Bounds of the state, or None when the data set recorded none.
    """

    name: str
    action: Bounds
    proprio: Bounds | None

    def unnormalize(self, actions: ArrayLike) -> FloatArray:
        """Turn the head's actions (T, 7) into physical units, float64.

        Scaled dimensions become 0.5 (a + 1) (q99 - q01) + q01, the others (the gripper) are
        unchanged. Nothing is clipped.
        """
        a = np.asarray(actions, dtype=np.float64)
        bounds = self.action
        physical = 0.5 * (a + 1) * (bounds.high - bounds.low + _EPSILON) + bounds.low
        return np.where(bounds.scaled, physical, a)

    def normalize_chunk(self, actions: ArrayLike) -> FloatArray:
        """Undo :meth:`unnormalize`, clipped to [-1, 1] as upstream's data pipeline does."""
        a = np.asarray(actions, dtype=np.float64)
        bounds = self.action
        scaled = 2.0 * (a - bounds.low) / (bounds.high - bounds.low + _EPSILON) - 1.0
        return np.where(bounds.scaled, np.clip(scaled, -1.0, 1.0), a)

    def normalize_proprio(
        self, state: ArrayLike, constant: ConstantProprio = "inference"
    ) -> NDArray[np.float32]:
        """Map a state to [-1, 1].

        Args:
            state: Shape (P,), in the order and units of the training data.
            constant: What a dimension gives that never changed in the training data: -1 or 1 as
                the released ``inference`` code computes it, which published results were made
                with, or 0 as the model saw it in ``training``.

        Raises:
            ObservationError: The state has another size or is not finite, or the checkpoint has
                no proprioception.
        """
        bounds = self.proprio
        if bounds is None:
            raise ObservationError(f"state given, but data set {self.name!r} has no proprioception")
        values = np.asarray(state, dtype=np.float64)
        if values.shape != (bounds.size,):
            raise ObservationError(
                f"state has shape {values.shape}, data set {self.name!r} needs ({bounds.size},)"
            )
        if not np.isfinite(values).all():
            bad = np.flatnonzero(~np.isfinite(values))
            raise ObservationError(f"state is not finite at index {', '.join(map(str, bad))}")
        span = bounds.high - bounds.low + _EPSILON
        scaled = np.clip(2 * (values - bounds.low) / span - 1, -1, 1)
        scaled = np.where(bounds.scaled, scaled, values)
        if constant == "training":
            scaled = np.where(bounds.constant, 0.0, scaled)
        return scaled.astype(np.float32)


def load_statistics(checkpoint_dir: Path, unnorm_key: str | None = None) -> Statistics:
    """Read the statistics of the data set that a checkpoint was trained on.

    ``unnorm_key`` may be left out when ``dataset_statistics.json`` holds only one data set.

    Raises:
        CheckpointError: The file is missing or broken, the data set is unknown, or several are
            there and none was named; lists those that are there.
    """
    path = checkpoint_dir / STATISTICS_FILE
    if not path.is_file():
        raise CheckpointError(
            f"{path} is missing: without it actions have no physical scale; it is written beside "
            "the weights by fine-tuning"
        )
    name, values = choose_data_set(path, read_json(path), unnorm_key or None)
    action = read_bounds(path, f"{name}.action", values["action"])
    if action.size != ACTION_SIZE:
        raise CheckpointError(
            f"{path}: {name}.action has {action.size} dimensions, this package drives one arm "
            f"with {ACTION_SIZE}"
        )
    proprio = values.get("proprio")
    state = None if proprio is None else read_bounds(path, f"{name}.proprio", proprio)
    return Statistics(name, action, state)


def choose_data_set(
    path: Path, datasets: Mapping[str, Any], wanted: str | None
) -> tuple[str, Mapping[str, Any]]:
    """Return name and statistics of the data set of a file that is wanted, or the only one.

    Raises:
        CheckpointError: It is not there or has no ``action``, or several are and none is named.
    """
    listed = ", ".join(map(repr, datasets))
    if not datasets:
        raise CheckpointError(f"{path} holds no data set")
    if wanted is None and len(datasets) > 1:
        raise CheckpointError(
            f"{path} holds {len(datasets)} data sets, set unnorm_key to one of: {listed}"
        )
    name = next(iter(datasets)) if wanted is None else wanted
    if name not in datasets:
        raise CheckpointError(f"unnorm_key is {name!r}, {path} has: {listed}")
    values = datasets[name]
    if not isinstance(values, dict) or "action" not in values:
        raise CheckpointError(f"{path}: data set {name!r} has no 'action' statistics")
    return name, values


def read_bounds(path: Path, name: str, values: Mapping[str, Any]) -> Bounds:
    """Read the range of a signal from what a file of statistics says of it.

    Raises:
        CheckpointError: Something is missing or broken; names file, signal and value.
    """
    low, high = _row(path, name, values, "q01"), _row(path, name, values, "q99")
    if low.shape != high.shape:
        raise CheckpointError(f"{path}: {name}: q01 has {low.size} numbers, q99 has {high.size}")
    if (low > high).any():
        raise CheckpointError(f"{path}: {name}: q01 is above q99 at index {(low > high).argmax()}")
    mask = values.get("mask", [True] * low.size)
    if not isinstance(mask, list) or [type(m) for m in mask] != [bool] * low.size:
        raise CheckpointError(f"{path}: {name}.mask is {mask!r}, {low.size} booleans are needed")
    constant = low == high
    if "min" in values and "max" in values:
        constant = _row(path, name, values, "min") == _row(path, name, values, "max")
    if constant.shape != low.shape:
        raise CheckpointError(f"{path}: {name}: min, max and q01 differ in size")
    return Bounds(low, high, np.array(mask), constant)


def _row(path: Path, name: str, values: Mapping[str, Any], key: str) -> FloatArray:
    row = values.get(key) if isinstance(values, dict) else None
    if not isinstance(row, list) or not row or not all(_is_finite(v) for v in row):
        raise CheckpointError(f"{path}: {name}.{key} is {row!r}, a list of numbers is needed")
    return np.array(row, dtype=np.float64)


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
