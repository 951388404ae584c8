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
        """Turn the head's actions into physical units.

        Args:
            actions: Normalised, shape (T, 7).

        Returns:
            Shape (T, 7), float64; scaled dimensions are 0.5 (a + 1) (q99 - q01) + q01, the
            others (the gripper) are unchanged. Nothing is clipped.
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
        if self.proprio is None:
            raise ObservationError(f"state given, but data set {self.name!r} has no proprioception")
        values = self._checked_state(state, self.proprio.size)
        low, high = self.proprio.low, self.proprio.high
        scaled = np.clip(2 * (values - low) / (high - low + _EPSILON) - 1, -1, 1)
        scaled = np.where(self.proprio.scaled, scaled, values)
        if constant == "training":
            scaled = np.where(self.proprio.constant, 0.0, scaled)
        return scaled.astype(np.float32)

    def _checked_state(self, state: ArrayLike, size: int) -> FloatArray:
        values = np.asarray(state, dtype=np.float64)
        if values.shape != (size,):
            raise ObservationError(
                f"state has shape {values.shape}, data set {self.name!r} needs ({size},)"
            )
        if not np.isfinite(values).all():
            bad = np.flatnonzero(~np.isfinite(values))
            raise ObservationError(f"state is not finite at index {', '.join(map(str, bad))}")
        return values


def load_statistics(checkpoint_dir: Path, unnorm_key: str | None = None) -> Statistics:
    """Read the statistics of the data set that a checkpoint was trained on.

    Args:
        checkpoint_dir: Directory that holds ``dataset_statistics.json``.
        unnorm_key: Name of the data set; may be left out when the file holds only one.

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
    datasets = read_json(path)
    name = _choose(path, list(datasets), unnorm_key)
    values = datasets[name]
    if not isinstance(values, dict) or "action" not in values:
        raise CheckpointError(f"{path}: data set {name!r} has no 'action' statistics")
    action = _bounds(path, f"{name}.action", values["action"])
    if action.size != ACTION_SIZE:
        raise CheckpointError(
            f"{path}: {name}.action has {action.size} dimensions, this package drives one arm "
            f"with {ACTION_SIZE}"
        )
    proprio = values.get("proprio")
    state = None if proprio is None else _bounds(path, f"{name}.proprio", proprio)
    return Statistics(name, action, state)


def _choose(path: Path, names: list[str], wanted: str | None) -> str:
    listed = ", ".join(repr(n) for n in names)
    if not names:
        raise CheckpointError(f"{path} holds no data set")
    if wanted is not None:
        if wanted not in names:
            raise CheckpointError(f"unnorm_key is {wanted!r}, {path} has: {listed}")
        return wanted
    if len(names) > 1:
        raise CheckpointError(
            f"{path} holds {len(names)} data sets, set unnorm_key to one of: {listed}"
        )
    return names[0]


def _bounds(path: Path, name: str, values: Mapping[str, Any]) -> Bounds:
    low, high = _row(path, name, values, "q01"), _row(path, name, values, "q99")
    if low.shape != high.shape:
        raise CheckpointError(f"{path}: {name}: q01 has {low.size} numbers, q99 has {high.size}")
    if (low > high).any():
        raise CheckpointError(f"{path}: {name}: q01 is above q99 at index {(low > high).argmax()}")
    scaled = _mask(path, name, values, low.size)
    constant = low == high
    if "min" in values and "max" in values:
        constant = _row(path, name, values, "min") == _row(path, name, values, "max")
    if constant.shape != low.shape:
        raise CheckpointError(f"{path}: {name}: min, max and q01 differ in size")
    return Bounds(low, high, scaled, constant)


def _mask(path: Path, name: str, values: Mapping[str, Any], size: int) -> NDArray[np.bool_]:
    mask = values.get("mask", [True] * size)
    if not isinstance(mask, list) or [type(m) for m in mask] != [bool] * size:
        raise CheckpointError(f"{path}: {name}.mask is {mask!r}, {size} booleans are needed")
    return np.array(mask)


def _row(path: Path, name: str, values: Mapping[str, Any], key: str) -> FloatArray:
    row = values.get(key) if isinstance(values, dict) else None
    if not isinstance(row, list) or not row or not all(_is_finite(v) for v in row):
        raise CheckpointError(f"{path}: {name}.{key} is {row!r}, a list of numbers is needed")
    return np.array(row, dtype=np.float64)


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
