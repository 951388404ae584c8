"""Pictures of another size are refused, cropped, padded or stretched; frozen ones are noticed."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from adp_ros.cameras.camera_health import FrozenDetector
from adp_ros.cameras.picture_geometry import fit_frame
from adp_ros.errors import CameraError


def wide_picture() -> np.ndarray:
    """Return 1280x720: grey, a white disc of radius 200 px in the centre."""
    picture = Image.new("RGB", (1280, 720), (90, 90, 90))
    ImageDraw.Draw(picture).ellipse((440, 160, 840, 560), fill=(255, 255, 255))
    return np.asarray(picture)


def disc_box(rgb: np.ndarray) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom of the white pixels."""
    rows, columns = np.nonzero(rgb[:, :, 0] > 200)
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def test_right_size_is_returned_as_it_is() -> None:
    """A picture of the published size isn't copied or changed."""
    rgb = np.zeros((480, 640, 3), np.uint8)
    assert fit_frame(rgb, (640, 480), "exact", "camera") is rgb


def test_exact_refuses_and_says_what_is_needed() -> None:
    """The error names the camera, both sizes and the way out."""
    with pytest.raises(CameraError, match=r"stick delivers 1280x720, 640x480 is needed; set fit"):
        fit_frame(wide_picture(), (640, 480), "exact", "stick")


def test_crop_keeps_the_aspect_ratio_and_fills_the_picture() -> None:
    """A disc stays round at scale 480/720, centred, with no border."""
    rgb = fit_frame(wide_picture(), (640, 480), "crop", "stick")
    assert rgb.shape == (480, 640, 3)
    assert rgb.min() >= 89
    np.testing.assert_allclose(disc_box(rgb), (187, 107, 453, 373), atol=1)


def test_pad_keeps_the_whole_picture() -> None:
    """Everything is kept at scale 640/1280; 60 black rows above and below."""
    rgb = fit_frame(wide_picture(), (640, 480), "pad", "stick")
    assert not rgb[:60].any() and not rgb[420:].any()
    assert rgb[60:420].min() >= 89
    np.testing.assert_allclose(disc_box(rgb), (220, 140, 420, 340), atol=1)


def test_stretch_distorts() -> None:
    """Width and height are scaled each on its own: 1/2 and 2/3."""
    rgb = fit_frame(wide_picture(), (640, 480), "stretch", "stick")
    np.testing.assert_allclose(disc_box(rgb), (220, 107, 420, 373), atol=1)


def test_odd_size_up_and_down() -> None:
    """Any size comes out at the published size."""
    for shape in ((1, 1, 3), (37, 999, 3), (2000, 3, 3)):
        for how in ("crop", "pad", "stretch"):
            assert fit_frame(np.full(shape, 7, np.uint8), (64, 48), how, "x").shape == (48, 64, 3)


def test_equal_pictures_are_frozen_and_one_change_ends_it() -> None:
    """The time is counted from the first of the equal pictures."""
    detector = FrozenDetector(threshold=0.05)
    still = np.full((480, 640, 3), 20, np.uint8)
    assert [detector.update(still, t) for t in (10.0, 10.5, 12.0)] == [0.0, 0.5, 2.0]
    changed = still.copy()
    changed[100:200, 100:200] = 90
    assert detector.update(changed, 12.1) == 0.0
    assert detector.update(changed, 13.1) == pytest.approx(1.0)


def test_sensor_noise_is_no_freeze() -> None:
    """A noise of one grey level, as of the quietest cameras, counts as a change."""
    rng = np.random.default_rng(0)
    detector = FrozenDetector(threshold=0.05)
    scene = rng.integers(20, 230, (480, 640, 3))
    for i in range(30):
        noisy = np.clip(scene + rng.normal(0, 1, scene.shape), 0, 255).astype(np.uint8)
        assert detector.update(noisy, i / 30) == 0.0
