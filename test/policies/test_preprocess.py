"""Pictures are prepared as TensorFlow did at training time; every unusable one is refused."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from adp_ros.errors import CheckpointError, ObservationError
from adp_ros.policies.openvla.preprocess import Preprocessor, crop, resize

GOLDEN = Path(__file__).parents[1] / "golden"
NAMES = ("frame_480x640", "odd_481x637", "up_100x150", "square_256x256", "exact_224x224")
MEAN = np.array([0.484375, 0.455078125, 0.40625, 0.5, 0.5, 0.5])
STD = np.array([0.228515625, 0.2236328125, 0.224609375, 0.5, 0.5, 0.5])
RANDOM = np.random.default_rng(0)


def picture(name, stage):
    """Read a picture that the original TensorFlow code took or gave, shape (H, W, 3)."""
    return cv2.cvtColor(
        cv2.imread(str(GOLDEN / "images" / f"{name}.{stage}.png")), cv2.COLOR_BGR2RGB
    )


def apart(ours, theirs):
    """Return the largest difference in grey levels, and the share of values that differ."""
    difference = np.abs(ours.astype(int) - theirs.astype(int))
    return difference.max(), (difference > 0).mean()


@pytest.fixture(scope="module")
def preprocessor():
    """Preprocessing of the recorded checkpoint."""
    return Preprocessor.from_checkpoint(GOLDEN / "checkpoint")


@pytest.mark.parametrize("name", NAMES[:-1])
def test_resize_agrees_with_tensorflow(name):
    """JPEG and Lanczos resize give TensorFlow's picture, but for one level on 1 value in 10^4."""
    largest, share = apart(resize(picture(name, "input")), picture(name, "resized"))
    assert largest <= 1
    assert share <= 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_crop_agrees_with_tensorflow(name):
    """The centre crop of TensorFlow's own resized picture gives its cropped picture exactly."""
    before = picture(name, "input" if name == "exact_224x224" else "resized")
    assert np.array_equal(crop(before), picture(name, "cropped"))


@pytest.mark.parametrize("name", NAMES)
def test_whole_chain_gives_the_normalised_picture(preprocessor, name):
    """From camera frame to pixel values: TensorFlow's cropped picture, normalised per tower."""
    pixels = preprocessor([picture(name, "input")])
    cropped = picture(name, "cropped").astype(np.float64).transpose(2, 0, 1) / 255
    expected = (np.concatenate([cropped, cropped]) - MEAN[:, None, None]) / STD[:, None, None]
    wrong = np.abs(pixels - expected) > 1e-6
    one_level = 1 / 255 / STD[:, None, None] + 1e-6
    assert pixels.dtype == np.float32
    assert wrong.mean() <= 1e-4
    assert (np.abs(pixels - expected) <= one_level).all()


def test_picture_of_the_right_size_passes_resize_unchanged():
    """A 224x224 picture meets neither JPEG nor resampling."""
    image = RANDOM.integers(0, 256, (224, 224, 3), dtype=np.uint8)
    assert resize(image) is image


def test_views_follow_one_another(preprocessor):
    """Two views give twelve channels, each view's six as if it were alone."""
    first, second = picture("up_100x150", "input"), picture("exact_224x224", "input")
    both = preprocessor([first, second])
    assert both.shape == (12, 224, 224)
    assert np.array_equal(both[:6], preprocessor([first]))
    assert np.array_equal(both[6:], preprocessor([second]))


def test_crop_can_be_left_out():
    """Without centre crop a 224x224 picture is only normalised."""
    image = picture("exact_224x224", "input")
    pixels = Preprocessor.from_checkpoint(GOLDEN / "checkpoint", center_crop=False)([image])
    assert np.allclose(pixels[5], image[:, :, 2] / 127.5 - 1, atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (5, 3), (223, 225), (2400, 3200)])
def test_any_size_is_accepted(preprocessor, size):
    """Pictures from one pixel to megapixels come out finite; a plain colour stays that colour."""
    pixels = preprocessor([np.full((*size, 3), 128, dtype=np.uint8)])
    assert pixels.shape == (6, 224, 224)
    assert np.abs(pixels - ((128 / 255 - MEAN) / STD)[:, None, None]).max() < 0.02


def test_memory_layout_does_not_matter(preprocessor):
    """Mirrored, transposed and read-only views of an array are read right."""
    image = RANDOM.integers(0, 256, (60, 80, 3), dtype=np.uint8)
    for view in (image[::-1, ::-1], image.transpose(1, 0, 2), image[:, :, ::-1]):
        copy = np.ascontiguousarray(view)
        view.setflags(write=False)
        assert np.array_equal(preprocessor([view]), preprocessor([copy]))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((48, 64), np.uint8), "image of view 0 has shape (48, 64)"),
        (np.zeros((48, 64, 1), np.uint8), "image of view 0 has shape (48, 64, 1)"),
        (np.zeros((48, 64, 4), np.uint8), "image of view 0 has shape (48, 64, 4)"),
        (np.zeros((0, 64, 3), np.uint8), "image of view 0 has shape (0, 64, 3)"),
        (np.zeros((48, 64, 3), np.float32), "image of view 0 is float32, a uint8 array"),
        ([[[0, 0, 0]]], "image of view 0 is list, a uint8 array is needed"),
        (np.broadcast_to(np.uint8(0), (1, 70000, 3)), "allowed sides: 1 to 65500 [px]"),
    ],
)
def test_anything_but_colour_pictures_is_refused(preprocessor, image, message):
    """Grey, RGBA, empty, float and oversized pictures are refused by name and shape."""
    with pytest.raises(ObservationError) as caught:
        preprocessor([image])
    assert message in str(caught.value)


@pytest.mark.parametrize("text", [None, "{", "{}", '{"tvf_normalize_params": [{"mean": [1]}]}'])
def test_broken_preprocessor_config_is_named(tmp_path, text):
    """A missing or broken preprocessor_config.json is an error that names the file."""
    if text is not None:
        (tmp_path / "preprocessor_config.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"preprocessor_config\.json"):
        Preprocessor.from_checkpoint(tmp_path)
