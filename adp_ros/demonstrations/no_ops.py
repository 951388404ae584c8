"""Frames in which nothing is commanded: few are enough, many teach a policy to stand still."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..settings import check_settings, setting
from .episode import Demonstration
from .labels import chunk_labels


@dataclass(frozen=True, slots=True, kw_only=True)
class NoOpFilter:
    """Which frames are left out.

    Raises:
        ConfigError: Names the setting, its value and what is allowed.
    """

    translation: float = setting(
        1e-4, "A step that moves the tool by less is none.", unit="m", low=0.0, high=0.1
    )
    rotation: float = setting(
        1e-3, "A step that turns the tool by less is none.", unit="rad", low=0.0, high=0.5
    )
    gripper: float = setting(
        0.05, "A change of the gripper number by less is none.", low=0.0, high=1.0
    )
    keep: int = setting(
        3, "Frames of each stand that are kept, its first ones.", unit="frames", low=0, high=1000
    )

    def __post_init__(self) -> None:
        check_settings(self)

    def kept(self, episode: Demonstration, length: int = 8) -> NDArray[np.bool_]:
        """Tell which frames are kept, shape (F,).

        A frame is left out when its chunk commands neither motion nor a change of the gripper
        against its measured opening and within the chunk.

        Args:
            episode: A demonstration.
            length: Actions of a chunk.
        """
        if not len(episode.frames):
            return np.zeros(0, dtype=bool)
        chunks = chunk_labels(episode, length)
        moves = np.linalg.norm(chunks[..., :3], axis=-1) >= self.translation
        turns = np.linalg.norm(chunks[..., 3:6], axis=-1) >= self.rotation
        return _first_of_each(moves.any(1) | turns.any(1) | self._grips(episode, chunks), self.keep)

    def _grips(self, episode: Demonstration, chunks: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell where the fingers are on their way: the command changes, or they still move."""
        command = chunks[..., 6]
        changes = np.ptp(command, axis=1) >= self.gripper
        at = episode.frames.step
        before = episode.gripper[np.maximum(at - 1, 0)]
        still_moving = np.abs(episode.gripper[at] - before) >= 0.2 * self.gripper
        return np.asarray(changes | still_moving)


def _first_of_each(active: NDArray[np.bool_], keep: int) -> NDArray[np.bool_]:
    kept, run = active.copy(), 0
    for index, moves in enumerate(active):
        run = 0 if moves else run + 1
        kept[index] = moves or run <= keep
    return kept
