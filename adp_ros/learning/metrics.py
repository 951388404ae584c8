"""How good a network is on held-out examples, and the curves of a run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from ..errors import CheckpointError
from .batch import Batch, Collator
from .network import TrainingNetwork
from .relevance import POSITION_SCALE, SHOWN, inside, patch_distances
from .run_files import replacing

_BATCH = 32
_KEPT = (0.5, 0.3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Figures of one validation; NaN where the data do not tell.

    Attributes:
        action: Mean L1 of the normalised chunk.
        translation: The same of the translations alone.
        rotation: The same of the rotations.
        gripper: The same of the gripper.
        recall_50: Share of the landmarks' patches among the half with the best scores.
        recall_30: The same for the best 30 %.
        item_error: Median distance of the item read off the patches, in [m].
        receptacle_error: The same of the receptacle.
    """

    action: float
    translation: float
    rotation: float
    gripper: float
    recall_50: float
    recall_30: float
    item_error: float
    receptacle_error: float


@torch.no_grad()
def validate(
    network: TrainingNetwork, collator: Collator, indices: NDArray[np.int64], device: torch.device
) -> Scores:
    """Measure a network, no layer of which behaves differently at training, on examples (n,)."""
    rows: list[tuple[Tensor, Tensor, Tensor]] = []
    for start in range(0, len(indices), _BATCH):
        batch = collator.test(indices[start : start + _BATCH]).to(device)
        error = (network.actions(batch) - batch.chunk).abs().mean(1)  # (B, 7)
        rows.append((error, _recalls(network, batch), _errors(network, batch)))
    joined = [torch.cat(part).cpu().numpy() for part in zip(*rows, strict=True)]
    errors, recall, place = joined
    known = np.isfinite(recall[:, 0])
    return Scores(
        action=float(errors.mean()),
        translation=float(errors[:, :3].mean()),
        rotation=float(errors[:, 3:6].mean()),
        gripper=float(errors[:, 6].mean()),
        recall_50=float(recall[known, 0].mean()) if known.any() else float("nan"),
        recall_30=float(recall[known, 1].mean()) if known.any() else float("nan"),
        item_error=_median(place[:, 0]),
        receptacle_error=_median(place[:, 1]),
    )


def _median(values: NDArray[np.float32]) -> float:
    there = values[np.isfinite(values)]
    return float(np.median(there)) if len(there) else float("nan")


def _recalls(network: TrainingNetwork, batch: Batch) -> Tensor:
    """Return the share of the landmarks' patches that is kept, shape (B, kept shares)."""
    scores = network.scores(batch)  # (B, V)
    near = (patch_distances(batch.places) < SHOWN).float() * inside(batch.places)[..., None]
    count = near.sum((1, 2))  # (B,)
    recalls = []
    for share in _KEPT:
        best = scores.topk(round(share * scores.shape[1]), dim=1).indices
        kept = torch.zeros_like(scores).scatter_(1, best, 1.0)  # (B, V)
        recalls.append((near * kept[:, None]).sum((1, 2)) / count)
    return torch.stack(recalls, 1)


def _errors(network: TrainingNetwork, batch: Batch) -> Tensor:
    """Return how far off the patches place item and receptacle, shape (B, 2), in [m]."""
    patches = network.policy.see(batch.pixels)
    shown, place = network.patch_heads(patches, batch.instruction)
    best = shown.argmax(1)  # (B, L)
    rows = torch.arange(len(best), device=best.device)
    found = torch.stack([place[rows, best[:, i], i] for i in range(2)], 1)  # (B, 2, 3)
    away = (found - batch.positions[:, :2]).norm(dim=-1) * POSITION_SCALE
    return torch.where(batch.known[:, :2] > 0, away, torch.nan)


CURVES_FILE: Final = "curves.png"
_PANELS: Final = (
    ("losses while training", "trained", ("action", "relevance", "patches", "readout")),
    ("L1 of held-out chunks", "validated", ("action", "translation", "rotation", "gripper")),
    ("relevant patches kept", "validated", ("recall_50", "recall_30")),
    ("place read off the patches [m]", "validated", ("item_error", "receptacle_error")),
)


def draw_curves(entries: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw the record of a run as a PNG file.

    Entries have their ``kind``, ``samples`` and values, ascending in samples.

    Raises:
        CheckpointError: It can't be written.
    """
    figure = Figure(figsize=(11, 7), layout="constrained")
    axes = figure.subplots(2, 2).ravel()
    for axis, (title, kind, names) in zip(axes, _PANELS, strict=True):
        rows = [e for e in entries if e["kind"] == kind]
        for name in names:
            points = [(e["samples"], e[name]) for e in rows if name in e]
            if points:
                axis.plot(*zip(*points, strict=True), label=name)
        axis.set(title=title, xlabel="samples")
        axis.grid(alpha=0.3)
        if axis.lines:
            axis.legend()
    with replacing(path, CheckpointError) as work:
        figure.savefig(work, dpi=110, format="png")
