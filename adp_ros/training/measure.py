"""How good a network is on held-out examples."""

from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .auxiliary import POSITION_SCALE
from .batch import Batch, Collator
from .network import TrainingNetwork
from .places import inside, patch_distances

_BATCH = 32
_SHOWN = 1.1  # [patches^2] within which a patch shows a landmark
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

    def as_dict(self) -> dict[str, float]:
        """Return name -> value."""
        return asdict(self)


@torch.no_grad()
def validate(
    network: TrainingNetwork, collator: Collator, indices: NDArray[np.int64], device: torch.device
) -> Scores:
    """Measure a network.

    Args:
        network: No layer of it behaves differently at training.
        collator: Makes batches.
        indices: Numbers of the examples, shape (n,).
        device: Where the network is.
    """
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
    near = (patch_distances(batch.places) < _SHOWN).float() * inside(batch.places)[..., None]
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
