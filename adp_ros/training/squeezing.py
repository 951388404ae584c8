"""Vision tokens closer together than they stand: what is left after pruning is counted anew.

No token is dropped. Only the rotary positions are those that a pruned sequence would have, so that
a small model, which has seen no other length of sequence, is not put off by the shift.
"""

import numpy as np
import torch
from torch import Tensor

from .recipe import Stage

_STREAM = 8  # keeps these draws apart from those of examples, augmentation and dropping
_STRETCH = 16  # tokens that are thinned out alike: a row of patches


def squeezed_places(stage: Stage, total: int, key: tuple[int, ...]) -> Tensor | None:
    """Draw where the vision tokens of a step stand.

    Args:
        stage: How often, and how far they are squeezed.
        total: Vision tokens of a picture, V.
        key: Of the step, the same in all processes.

    Returns:
        Place of each token among those counted, ascending from 0, and at last their number, shape
        (V + 1,), int64; None where every token counts.
    """
    rng = np.random.default_rng([_STREAM, *key])
    if rng.random() >= stage.squeeze_share:
        return None
    share = rng.uniform(stage.squeeze_to[0], stage.squeeze_to[1])
    rows = rng.random(-(-total // _STRETCH))
    counted = np.clip(rows * share / rows.mean(), 0.0, 1.0).repeat(_STRETCH)[:total]
    drawn = rng.random(total) < counted
    return torch.from_numpy(np.concatenate([[0], np.cumsum(drawn)]).astype(np.int64))
