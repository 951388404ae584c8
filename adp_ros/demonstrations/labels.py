"""What is learnt at each kept frame."""

import numpy as np

from ..types import FloatArray
from .episode import Demonstration


def chunk_labels(episode: Demonstration, length: int) -> FloatArray:
    """Return the chunk to learn at each kept frame, shape (F, length, 7).

    Labels that the episode carries, else the actions from the frame's step on; after the last
    action the arm stands still and the gripper stays as it is.

    Args:
        episode: A demonstration.
        length: Actions of a chunk; labels that are longer are cut, shorter ones go on in the same
            way.
    """
    if episode.chunk_label is not None:
        return np.stack([_extended(chunk, length) for chunk in episode.chunk_label[:, :length]])
    action = episode.action
    return np.stack([_extended(action[at : at + length], length) for at in episode.frames.step])


def _extended(actions: FloatArray, length: int) -> FloatArray:
    """Let a row of actions, shape (n, 7), go on with standstill up to a length."""
    rest = np.zeros((length - len(actions), actions.shape[1]))
    rest[:, 6] = actions[-1, 6]
    return np.concatenate([actions, rest])
