"""Random dropping of vision tokens at training, for comparison with training on all of them."""

import numpy as np
import torch
from torch import Tensor

from .recipe import Stage

_STREAM = 7  # keeps these draws apart from those of examples and augmentation


def surviving_tokens(stage: Stage, total: int, key: tuple[int, ...]) -> Tensor | None:
    """Draw which vision tokens enter the decoder in a step.

    Args:
        stage: How often and how many are dropped.
        total: Vision tokens of a picture.
        key: Of the step, the same in all processes.

    Returns:
        Ascending indices, shape (k,), int64; None where none is dropped.
    """
    rng = np.random.default_rng([_STREAM, *key])
    if rng.random() >= stage.drop_share:
        return None
    count = max(1, round(rng.uniform(stage.drop_keep[0], stage.drop_keep[1]) * total))
    return torch.from_numpy(np.sort(rng.choice(total, count, replace=False)))
