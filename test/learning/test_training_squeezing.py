"""Positions of a pruned sequence, without pruning."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from adp_ros.errors import ConfigError
from adp_ros.learning.batch import squeezed_places
from adp_ros.learning.network import _positions
from adp_ros.learning.recipe import Stage

STAGE = Stage(squeeze_share=1.0, squeeze_to=(0.3, 0.9))


def test_counted_tokens_stand_where_pruning_would_put_them():
    """Each token has as many places before it as tokens that count; the same key, the same draw."""
    for step in range(20):
        places = squeezed_places(STAGE, 256, (0, 0, step))
        steps = places.diff()
        assert places[0] == 0 and len(places) == 257
        assert set(steps.tolist()) <= {0, 1}
        kept = steps.nonzero().flatten()  # those that count
        np.testing.assert_array_equal(places[kept], np.arange(len(kept)))
        assert torch.equal(places, squeezed_places(STAGE, 256, (0, 0, step)))
    shares = [int(squeezed_places(STAGE, 256, (1, 0, i))[-1]) / 256 for i in range(300)]
    assert 0.4 < np.mean(shares) < 0.6  # rows that would count more than fully are cut off


def test_share_of_batches_is_the_setting():
    """None where every token counts."""
    half = replace(STAGE, squeeze_share=0.5)
    drawn = [squeezed_places(half, 64, (0, 0, i)) is None for i in range(1000)]
    assert 0.45 < np.mean(drawn) < 0.55
    assert squeezed_places(Stage(), 64, (0, 0, 0)) is None


def test_rows_after_the_pictures_follow_the_last_counted_token():
    """Begin, three tokens of which the second does not count, state and text."""
    places = torch.tensor([0, 1, 1, 2])
    assert _positions(places, 8).tolist() == [0, 1, 2, 2, 3, 4, 5, 6]
    full = torch.arange(4)
    assert _positions(full, 8).tolist() == list(range(8))
    assert _positions(None, 8) is None


def test_wrong_order_is_named():
    """The smaller share comes first."""
    with pytest.raises(ConfigError, match=r"squeeze_to is \(0.9, 0.3\), the smaller comes first"):
        Stage(squeeze_to=(0.9, 0.3))
