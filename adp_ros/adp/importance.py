"""How concentrated the text's interest in the patches is, layer by layer (ADP paper Eq. 26).

From the scores of a layer come weights that sum to 1, and from them two numbers: the
participation ratio (sum w)^2 / sum w^2, the number of patches that share the weight, and the
entropy -sum w log w, as the share of its maximum log V. Both are high where the layer is
indifferent and low where it singles patches out.

The mean text-to-patch scores are no probabilities and may be negative. Which normalisation the
paper's figures use is not stated where we could read it, so three are offered.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from ..types import FloatArray

Scores = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class LayerStatistics:
    """One layer, mean and standard deviation over the frames.

    Attributes:
        layer: Layer whose input is scored.
        participation: Participation ratio, 1 to V patches.
        participation_deviation: Its standard deviation.
        entropy: Entropy as share of log V, 0 to 1.
        entropy_deviation: Its standard deviation.
        patches_for_half: Patches that hold half of the weight, mean.
        agreement: Share of the best half of the patches that layer 0 would choose too.
    """

    layer: int
    participation: float
    participation_deviation: float
    entropy: float
    entropy_deviation: float
    patches_for_half: float
    agreement: float


def weights_of(scores: Scores, kind: str = "softmax") -> FloatArray:
    """Turn scores into weights that sum to 1.

    Args:
        scores: Shape (..., V).
        kind: ``softmax``; ``shifted`` subtracts the minimum; ``absolute`` drops the sign. Equal
            scores get equal weights.

    Raises:
        ConfigError: The kind is unknown, or there are no patches or scores that are not finite.
    """
    values = np.asarray(scores, dtype=np.float64)
    if kind not in _WEIGHTS:
        raise ConfigError(f"weights is {kind!r}, allowed: {', '.join(_WEIGHTS)}")
    if values.ndim < 1 or values.shape[-1] < 1 or not np.isfinite(values).all():
        raise ConfigError(f"scores of shape {values.shape} are empty or not finite")
    raw = _WEIGHTS[kind](values)
    total = raw.sum(axis=-1, keepdims=True)
    even = np.full_like(raw, 1.0 / values.shape[-1])
    return np.asarray(np.divide(raw, total, out=even, where=total > 0.0))


def participation_ratio(weights: FloatArray) -> FloatArray:
    """Return (sum w)^2 / sum w^2 over the last axis, 1 (one patch) to V (all alike)."""
    return np.asarray(weights.sum(axis=-1) ** 2 / np.square(weights).sum(axis=-1))


def normalized_entropy(weights: FloatArray) -> FloatArray:
    """Return -sum w log w over the last axis as share of log V, 0 (one patch) to 1 (all alike)."""
    patches = weights.shape[-1]
    if patches == 1:
        return np.zeros(weights.shape[:-1])
    logs = np.log(weights, out=np.zeros_like(weights), where=weights > 0.0)
    return np.asarray(-(weights * logs).sum(axis=-1) / np.log(patches))


def mass_curve(weights: FloatArray) -> FloatArray:
    """Return the weight that the best 1, 2, ... V patches hold together, shape (..., V)."""
    return np.asarray(np.cumsum(-np.sort(-weights, axis=-1), axis=-1))


def layer_statistics(scores: Scores, kind: str = "softmax") -> tuple[LayerStatistics, ...]:
    """Summarise the scores of every layer over some frames.

    Args:
        scores: Shape (F, L, V): frames, layers, patches.
        kind: See :func:`weights_of`.

    Raises:
        ConfigError: The shape has not three axes, or see :func:`weights_of`.
    """
    if scores.ndim != 3:
        raise ConfigError(f"scores have shape {scores.shape}, (frames, layers, patches) is needed")
    weights = weights_of(scores, kind)  # (F, L, V)
    shared = participation_ratio(weights)  # (F, L)
    entropy = normalized_entropy(weights)  # (F, L)
    half = (mass_curve(weights) < 0.5).sum(axis=-1) + 1  # (F, L)
    agreement = _agreement(scores)  # (F, L)
    return tuple(
        LayerStatistics(
            layer=layer,
            participation=float(shared[:, layer].mean()),
            participation_deviation=float(shared[:, layer].std()),
            entropy=float(entropy[:, layer].mean()),
            entropy_deviation=float(entropy[:, layer].std()),
            patches_for_half=float(half[:, layer].mean()),
            agreement=float(agreement[:, layer].mean()),
        )
        for layer in range(scores.shape[1])
    )


@dataclass(frozen=True, slots=True)
class PruningLook:
    """What one way of pruning does to attention and to the chunk, mean over the frames.

    Attributes:
        name: The way.
        mass: Share of the action rows' attention that goes to vision tokens, per layer.
        flops_share: FLOPs of those with full vision.
        path: Distance between this chunk's and full vision's position, mean over the steps, in
            [mm].
        turn: The same of the summed rotation increments, in [deg].
        gripper: Share of the steps in which the gripper is on the other side of half open.
    """

    name: str
    mass: tuple[float, ...]
    flops_share: float
    path: float
    turn: float
    gripper: float


def pruning_look(
    name: str, mass: FloatArray, actions: FloatArray, full: FloatArray, flops_share: float
) -> PruningLook:
    """Compare one way of pruning with full vision on the same frames.

    Args:
        name: The way.
        mass: Attention on vision, shape (F, L).
        actions: Its chunks, shape (F, T, 7), see :class:`adp_ros.types.Chunk`.
        full: Full vision's, of the same shape.
        flops_share: FLOPs of those with full vision.
    """
    error = np.cumsum(actions - full, axis=1)  # (F, T, 7): where the arm would be
    return PruningLook(
        name=name,
        mass=tuple(mass.mean(axis=0).tolist()),
        flops_share=flops_share,
        path=float(1e3 * np.linalg.norm(error[..., :3], axis=-1).mean()),
        turn=float(np.degrees(np.linalg.norm(error[..., 3:6], axis=-1)).mean()),
        gripper=float(((actions[..., 6] > 0.5) != (full[..., 6] > 0.5)).mean()),
    )


def _agreement(scores: Scores) -> FloatArray:
    count = max(1, scores.shape[-1] // 2)
    best = np.argsort(-scores, axis=-1, kind="stable")[..., :count]  # (F, L, k)
    chosen = np.zeros(scores.shape, dtype=bool)
    np.put_along_axis(chosen, best, True, axis=-1)
    return np.asarray((chosen & chosen[:, :1]).sum(axis=-1) / count)


_WEIGHTS: Final[Mapping[str, Callable[[FloatArray], FloatArray]]] = {
    "softmax": lambda values: np.exp(values - values.max(axis=-1, keepdims=True)),
    "shifted": lambda values: values - values.min(axis=-1, keepdims=True),
    "absolute": np.abs,
}
WEIGHT_KINDS: Final = tuple(_WEIGHTS)
