"""Proof that an arm did what its name says: tokens counted, output computed a second time."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from ..policy.forward import FrameTokens
from ..policy.openvla import OpenVlaPolicy
from ..policy.result import Prediction
from ..pruning import Pruner
from ..types import Observation
from .reference import Pruned, reference_chunk

# Largest |difference| of normalised actions (they span about -1 to 1) to the float32 reference.
TOLERANCE: Final = {torch.float32: 1e-3, torch.bfloat16: 1e-1}


@dataclass(frozen=True, slots=True)
class Audit:
    """Result of checking one arm.

    Attributes:
        kept: Patches that went on.
        kept_expected: Patches that the pruner's budget allows.
        lengths: Tokens that entered the first and the last layer.
        lengths_expected: Tokens that should have.
        difference: Largest absolute difference of the normalised actions to the reference with
            the same kept patches.
        tolerance: Largest difference allowed.
        failures: What does not fit, in words; empty when all does.
    """

    kept: int
    kept_expected: int
    lengths: tuple[int, int]
    lengths_expected: tuple[int, int]
    difference: float
    tolerance: float
    failures: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """True when everything fits."""
        return not self.failures


@torch.inference_mode()
def audit(
    policy: OpenVlaPolicy,
    observation: Observation,
    prediction: Prediction,
    pruner: Pruner | None,
) -> Audit:
    """Check one prediction.

    Args:
        policy: What made it.
        observation: What it was made from.
        prediction: What came out.
        pruner: Pruner that was used, None for full vision.
    """
    tokens = policy.tokens(observation)
    views, patches = tokens.views, tokens.patches.shape[1]
    per_view = (patches // views,) * views
    if pruner is not None:
        per_view = pruner.kept_per_view(views, patches // views)
    kept = _kept(prediction, patches)
    pruned = None
    if prediction.kept is not None and pruner is not None:
        chosen = torch.from_numpy(prediction.kept).to(policy.device)
        pruned = Pruned(chosen, pruner.cut_layer, pruner.positions == "kept")
    expected = reference_chunk(policy.model, tokens, pruned, policy.row_offset).cpu().numpy()
    difference = float(np.abs(expected - prediction.normalized_actions).max())
    return _judged(
        kept=len(kept),
        distinct=len(np.unique(kept)),
        kept_expected=sum(per_view),
        lengths=prediction.sequence_lengths,
        lengths_expected=_lengths(policy, tokens, sum(per_view), pruner),
        difference=difference,
        tolerance=TOLERANCE[policy.dtype],
    )


def _kept(prediction: Prediction, patches: int) -> np.ndarray:
    return np.arange(patches) if prediction.kept is None else prediction.kept


def _lengths(
    policy: OpenVlaPolicy, tokens: FrameTokens, kept: int, pruner: Pruner | None
) -> tuple[int, int]:
    others = tokens.text.shape[1] + (tokens.proprio is not None) + policy.model.slots
    whole = pruner is not None and pruner.cut_layer > 0
    first = others + (tokens.patches.shape[1] if whole else kept)
    return first, others + kept


def _judged(
    *,
    kept: int,
    distinct: int,
    kept_expected: int,
    lengths: tuple[int, int],
    lengths_expected: tuple[int, int],
    difference: float,
    tolerance: float,
) -> Audit:
    failures = []
    if kept != kept_expected or distinct != kept:
        failures.append(f"{kept} patches kept ({distinct} distinct), {kept_expected} expected")
    if lengths != lengths_expected:
        failures.append(f"{lengths} tokens entered first and last layer, not {lengths_expected}")
    if not difference <= tolerance:
        failures.append(f"actions differ by {difference:.2g} from the reference, over {tolerance}")
    return Audit(
        kept, kept_expected, lengths, lengths_expected, difference, tolerance, tuple(failures)
    )
