"""Pruned patches are drawn where the towers' patches really are."""

import numpy as np
import pytest

from adp_ros.adp.overlay import draw_pruned, patch_edges, pruned_patches
from adp_ros.policies.openvla.preprocess import CROP_AREA, crop, resize


def towers_view(rgb: np.ndarray) -> np.ndarray:
    """Squash to 224 and crop 90 % of the area, by sampling each output pixel on its own."""
    height, width = rgb.shape[:2]
    side = np.sqrt(0.9)
    at = (1 - side) / 2 * 223 + np.arange(224) * side  # centre of output pixel i before the crop
    x = np.rint((at + 0.5) * width / 224 - 0.5).astype(int)
    y = np.rint((at + 0.5) * height / 224 - 0.5).astype(int)
    return rgb[np.ix_(y, x)]


def test_masked_pixels_are_those_of_the_pruned_patches() -> None:
    """Seen through squash and crop, exactly the pruned 14x14 blocks are coloured."""
    pruned = np.random.default_rng(1).random((16, 16)) < 0.5
    drawn = draw_pruned(np.zeros((480, 640, 3), np.uint8), pruned, 0.9, alpha=255)
    seen = towers_view(drawn)[:, :, 2] > 0
    share = seen.reshape(16, 14, 16, 14).mean(axis=(1, 3))
    assert share[pruned].min() > 0.85  # a border may be off by one pixel of 14
    assert share[~pruned].max() < 0.15
    np.testing.assert_allclose(share, pruned, atol=0.15)


def test_masks_lie_where_the_real_preprocessing_puts_the_patches() -> None:
    """Through the policy's own resize and crop, pruned patches arrive coloured, others grey."""
    pruned = np.random.default_rng(2).random((16, 16)) < 0.5
    drawn = draw_pruned(np.full((480, 640, 3), 128, np.uint8), pruned, CROP_AREA, alpha=255)
    seen = crop(resize(drawn)).astype(float)  # (224, 224, 3)
    blue = seen[:, :, 2] - seen[:, :, 0]  # 255 where masked, 0 where not
    inner = blue.reshape(16, 14, 16, 14)[:, 2:-2, :, 2:-2].mean(axis=(1, 3))  # without edges
    assert inner[pruned].min() > 240
    assert inner[~pruned].max() < 15


def test_edges_without_crop_divide_the_picture_evenly() -> None:
    """With no crop the grid spans the whole picture: 40 px columns, 30 px rows."""
    np.testing.assert_array_equal(patch_edges(640, 1.0), np.arange(17) * 40)
    np.testing.assert_array_equal(patch_edges(480, 1.0), np.arange(17) * 30)


def test_edges_with_crop_leave_the_border_out() -> None:
    """sqrt(0.9) of each side is seen: about 2.6 % is cut off on either side, symmetrically."""
    edges = patch_edges(640, 0.9)
    assert edges[0] == pytest.approx(640 * (1 - np.sqrt(0.9)) / 2, abs=1)
    assert edges[0] + edges[-1] == pytest.approx(640, abs=1)


def test_colour_and_opacity_are_those_of_table_14() -> None:
    """Colour (0, 0, 255) with alpha 120 of 255, rounded; other pixels aren't touched."""
    rgb = np.full((480, 640, 3), 200, np.uint8)
    pruned = np.zeros((16, 16), np.bool_)
    pruned[8, 8] = True
    drawn = draw_pruned(rgb, pruned, 0.9)
    changed = (drawn != rgb).any(axis=2)
    alpha = 120 / 255
    expected = [
        round(200 * (1 - alpha)),
        round(200 * (1 - alpha)),
        round(200 - alpha * (200 - 255)),
    ]
    assert drawn[changed].tolist() == [expected] * int(changed.sum())
    rows, columns = np.nonzero(changed)
    assert (rows.min(), columns.min()) == (240, 320)
    assert rgb.min() == rgb.max() == 200


def test_indices_are_those_of_the_concatenated_views() -> None:
    """Patch 256 is the first of the second view; row-major inside a view."""
    kept = np.array([17, 300, 256])
    first, second = pruned_patches(kept, 0), pruned_patches(kept, 1)
    assert np.argwhere(~first).tolist() == [[1, 1]]
    assert np.argwhere(~second).tolist() == [[0, 0], [2, 12]]
    assert not pruned_patches(None, 0).any()


def test_patches_tile_what_the_towers_see() -> None:
    """All 256 patches drawn one by one cover the seen area once and nothing else."""
    covered = np.zeros((48, 64), int)
    for patch in range(256):
        pruned = np.zeros(256, np.bool_)
        pruned[patch] = True
        drawn = draw_pruned(np.zeros((48, 64, 3), np.uint8), pruned.reshape(16, 16), 0.9)
        covered += drawn[:, :, 2] > 0
    assert set(np.unique(covered)) == {0, 1}
    assert covered.mean() == pytest.approx(0.9, abs=0.05)
