"""Demonstrations as training examples: one per kept picture."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..types import FloatArray, Rgb


@dataclass(frozen=True, slots=True)
class Examples:
    """All examples of one or more data sets.

    Attributes:
        pictures: Per episode, shape (F, 224, 224, 3), uint8, as the policy sees them before the
            crop.
        episode: Number of each example's episode, shape (N,).
        row: Row of its picture in the episode's, shape (N,).
        state: Proprioception in physical units, shape (N, P).
        chunk: Actions in physical units, shape (N, T, 7).
        instruction: Number of the instruction, shape (N,).
        instructions: The instructions.
        positions: Landmarks in the base frame, shape (N, L, 3), in [m]; NaN where unknown.
        pixels: Landmarks in the 224x224 picture, shape (N, L, 2), in [px]; NaN where unknown.
        corrective: True in episodes in which a policy moved the arm, shape (N,).
        held_out: True in episodes that are only validated on, shape (N,).
    """

    pictures: Sequence[Rgb]
    episode: NDArray[np.int64]
    row: NDArray[np.int64]
    state: FloatArray
    chunk: FloatArray
    instruction: NDArray[np.int64]
    instructions: tuple[str, ...]
    positions: FloatArray
    pixels: FloatArray
    corrective: NDArray[np.bool_]
    held_out: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.episode)

    def picture(self, index: int) -> Rgb:
        """Return the picture of an example, shape (224, 224, 3), uint8."""
        return np.asarray(self.pictures[self.episode[index]][self.row[index]])

    def spread_held_out(self, count: int) -> NDArray[np.int64]:
        """Return at most so many held-out examples, evenly spread, ascending."""
        held_out = np.flatnonzero(self.held_out)
        if not len(held_out):
            return held_out
        return held_out[np.unique(np.linspace(0, len(held_out) - 1, count).astype(np.int64))]


class Sampler:
    """Draws the examples of each step, from seed, stage and step alone.

    Args:
        examples: Where to draw from; held-out ones are never drawn.
        seed: Of the run.
        corrective_share: Share of the draws from corrective episodes, 0 for all alike.
    """

    def __init__(self, examples: Examples, seed: int, corrective_share: float) -> None:
        self._seed = seed
        self._all = np.flatnonzero(~examples.held_out)
        self._corrective = np.flatnonzero(~examples.held_out & examples.corrective)
        self._share = corrective_share if len(self._corrective) else 0.0

    def draw(self, stage: int, step: int, count: int) -> NDArray[np.int64]:
        """Return the numbers of the examples of a step, shape (count,)."""
        rng = np.random.default_rng([self._seed, stage, step])
        chosen = rng.choice(self._all, count)
        if self._share:
            use = rng.random(count) < self._share
            chosen = np.where(use, rng.choice(self._corrective, count), chosen)
        return chosen
