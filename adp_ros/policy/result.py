"""What a policy gives for one observation. Needs numpy only."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..types import FloatArray


@dataclass(frozen=True, slots=True)
class StageTimes:
    """Duration of each stage of one call, in [s].

    Attributes:
        preprocess: Pictures, prompt and state to tensors on the device.
        vision: Towers and projector.
        scoring: Choice of the patches that go on; 0 when nothing is pruned.
        llm: Language model.
        head: Action head.
        total: Whole call, to the actions in physical units.
    """

    preprocess: float
    vision: float
    scoring: float
    llm: float
    head: float
    total: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """One chunk, and how it came about.

    Attributes:
        actions: Shape (T, 7), float64: dx dy dz in [m], rotation in [rad], gripper 0 (closed) to
            1 (open).
        normalized_actions: The same as the head gave it, shape (T, 7), float32.
        kept: Indices into the views' concatenated patches, in the order they entered the
            language model, shape (k,), int64; None when nothing was pruned.
        scores: Score of every patch, shape (V,), float32; None when the pruner does not score.
        sequence_lengths: Tokens that entered the first and the last layer of the language model,
            read off the tensors.
        timing: Duration of each stage.
        views: Number of views.
        vision_tokens: Patches of all views together (V).
    """

    actions: FloatArray
    normalized_actions: NDArray[np.float32]
    kept: NDArray[np.int64] | None
    scores: NDArray[np.float32] | None
    sequence_lengths: tuple[int, int]
    timing: StageTimes
    views: int
    vision_tokens: int

    @property
    def pruned(self) -> bool:
        """True when patches were dropped."""
        return self.kept is not None

    @property
    def kept_per_view(self) -> tuple[int, ...]:
        """Patches of each view that went on."""
        patches = self.vision_tokens // self.views
        if self.kept is None:
            return (patches,) * self.views
        counts = np.bincount(self.kept // patches, minlength=self.views)
        return tuple(int(count) for count in counts)
