"""How far the policy's actions are from those of another replay of the same windows."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..errors import BagError
from ..types import ACTION_SIZE, FloatArray
from .run_log import ComparisonRow

Actions = Mapping[tuple[int, int], FloatArray]
"""(stamp in [ns], window) -> the policy's actions, shape (T, 7)."""


def read_replay(path: Path) -> Actions:
    """Read the policy's actions from a log of ``adp-ros replay``.

    Raises:
        BagError: It is no such log, or no policy ran for it.
    """
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        windows = [line for line in lines if line["kind"] == "window" and "policy_actions" in line]
        found = {
            (int(line["stamp_ns"]), int(line["window"])): _array(line["policy_actions"])
            for line in windows
            if not line["repeated"]
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BagError(f"{path} is no log of adp-ros replay: {error}") from error
    if not found:
        raise BagError(f"{path}: no window in it was planned by a policy")
    return found


def _array(numbers: object) -> FloatArray:
    actions = np.array(numbers, dtype=np.float64)
    if actions.ndim != 2 or actions.shape[1] != ACTION_SIZE:
        raise ValueError(f"actions of shape {actions.shape}, (steps, {ACTION_SIZE}) is needed")
    return actions


def action_rows(here: Actions, other: Actions) -> list[ComparisonRow]:
    """Return mean differences over the windows that both have.

    The end point is the sum of a chunk's translations: where it would take the tool.

    Raises:
        BagError: They have no window in common.
    """
    common = [key for key in here if key in other and here[key].shape == other[key].shape]
    if not common:
        raise BagError("the two replay logs have no window in common: are they of one bag?")
    pairs = [(here[key], other[key]) for key in common]
    ends = [float(np.linalg.norm((a - b)[:, :3].sum(axis=0))) for a, b in pairs]
    differences = np.concatenate([np.abs(a - b) for a, b in pairs])  # (N T, 7)
    cosines = [_cosine(a[:, :6].ravel(), b[:, :6].ravel()) for a, b in pairs]
    count = f"over {len(common)} windows"
    return [
        _row(f"translation, mean L1 per axis [mm], {count}", 1e3 * differences[:, :3].mean()),
        _row("rotation, mean L1 per axis [mrad]", 1e3 * differences[:, 3:6].mean()),
        _row("gripper, mean L1", differences[:, 6].mean()),
        _row("end point of a chunk, median distance [mm]", 1e3 * float(np.median(ends))),
        _row("end point of a chunk, 95th percentile [mm]", 1e3 * float(np.percentile(ends, 95))),
        ComparisonRow("direction of motion, mean cosine", f"{np.mean(cosines):.4f}", "1"),
    ]


def _row(quantity: str, value: float) -> ComparisonRow:
    return ComparisonRow(f"difference of the actions: {quantity}", f"{value:.3g}", "0")


def _cosine(a: FloatArray, b: FloatArray) -> float:
    """Return the cosine of two vectors; two that are zero agree."""
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / lengths if lengths > 0 else float(not a.any() and not b.any())
