"""Pictures in and out of messages, against cv2 and PIL; whether cv_bridge may be used."""

import io
import sys
from array import array
from types import ModuleType

import cv2
import numpy as np
import pytest
from PIL import Image as PilImage

pytest.importorskip("rclpy")

from builtin_interfaces.msg import Time
from sensor_msgs.msg import Image

from adp_ros.cameras.picture_geometry import Calibration
from adp_ros.errors import ConfigError, ObservationError
from adp_ros.ros.parameters import resolve_url
from adp_ros.ros.picture_messages import (
    camera_info_message,
    image_message,
    image_to_rgb,
    jpeg_message,
    make_image_converter,
)

RGB = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)


def message(pixels: np.ndarray, encoding: str, padding: int = 0) -> Image:
    """Pack pixels by hand, with some bytes at the end of each row."""
    height, width = pixels.shape[:2]
    rows = pixels.reshape(height, -1)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=99)
    return Image(
        height=height,
        width=width,
        encoding=encoding,
        step=padded.shape[1],
        data=array("B", padded.tobytes()),
    )


@pytest.mark.parametrize("padding", [0, 5])
def test_encodings_agree_with_opencv(padding: int) -> None:
    """rgb8, bgr8 and mono8, with and without padded rows, give what cv2's conversion gives."""
    bgr = cv2.cvtColor(RGB, cv2.COLOR_RGB2BGR)
    grey = cv2.cvtColor(RGB, cv2.COLOR_RGB2GRAY)
    np.testing.assert_array_equal(image_to_rgb(message(RGB, "rgb8", padding)), RGB)
    np.testing.assert_array_equal(image_to_rgb(message(bgr, "bgr8", padding)), RGB)
    np.testing.assert_array_equal(
        image_to_rgb(message(grey, "mono8", padding)), cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
    )


def test_round_trip_keeps_every_pixel_and_stamp() -> None:
    """Also for a view of a larger array; the bytes are an array that rclpy takes unchecked."""
    view = np.tile(RGB, (2, 2, 1))[::2, ::2]
    packed = image_message(view, Time(sec=5, nanosec=7), "camera")
    assert isinstance(packed.data, array) and packed.data.typecode == "B"
    assert (packed.width, packed.height, packed.step, packed.encoding) == (64, 48, 192, "rgb8")
    assert (packed.header.stamp.sec, packed.header.stamp.nanosec) == (5, 7)
    np.testing.assert_array_equal(image_to_rgb(packed), view)


def test_jpeg_is_read_by_others() -> None:
    """PIL decodes the compressed picture to nearly the same, red where red was."""
    smooth = cv2.GaussianBlur(RGB, (0, 0), 4)
    smooth[:, :, 0] = 250
    packed = jpeg_message(smooth, Time(), "camera", 95)
    assert packed.format == "rgb8; jpeg compressed bgr8"
    decoded = np.asarray(PilImage.open(io.BytesIO(packed.data.tobytes())).convert("RGB"))
    assert np.abs(decoded.astype(int) - smooth).mean() < 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"encoding": "16UC1"}, r"encoding '16UC1', allowed: rgb8, bgr8, mono8"),
        ({"width": 0}, r"picture is 0x48, at least 1x1"),
        ({"step": 100}, r"64x48 rgb8 has rows of 100 bytes, at least 192"),
        ({"height": 50}, r"64x50 rgb8 has 9216 bytes, 9600 are needed"),
    ],
)
def test_bad_pictures_are_refused_with_numbers(change: dict[str, object], words: str) -> None:
    """What is wrong with a message is said before a pixel is read."""
    broken = message(RGB, "rgb8")
    for name, value in change.items():
        setattr(broken, name, value)
    with pytest.raises(ObservationError, match=words):
        image_to_rgb(broken)


def fake_bridge(convert) -> ModuleType:
    """Return a module cv_bridge whose conversion is ``convert(message, encoding)``."""
    module = ModuleType("cv_bridge")
    module.CvBridge = type("CvBridge", (), {"imgmsg_to_cv2": staticmethod(convert)})
    return module


def test_working_cv_bridge_is_used(monkeypatch) -> None:
    """One that converts the sample as we do is trusted from then on."""
    calls = []

    def convert(msg, encoding):
        calls.append(encoding)
        return image_to_rgb(msg)

    monkeypatch.setitem(sys.modules, "cv_bridge", fake_bridge(convert))
    converter = make_image_converter()
    tried = len(calls)
    np.testing.assert_array_equal(converter(message(RGB, "rgb8")), RGB)
    assert len(calls) == tried + 1


def _swapped(msg, encoding):
    return image_to_rgb(msg)[:, :, ::-1]


def _broken(msg, encoding):
    raise AttributeError("'numpy.ndarray' object has no attribute 'tostring'")


@pytest.mark.parametrize("convert", [_swapped, _broken])
def test_broken_cv_bridge_is_not_used(monkeypatch, convert) -> None:
    """One that swaps colours or raises is left alone: pictures come out right."""
    monkeypatch.setitem(sys.modules, "cv_bridge", fake_bridge(convert))
    np.testing.assert_array_equal(make_image_converter()(message(RGB, "rgb8")), RGB)


def test_without_cv_bridge_numpy_does_it(monkeypatch) -> None:
    """An import error means our own converter."""
    monkeypatch.setitem(sys.modules, "cv_bridge", None)
    assert make_image_converter() is image_to_rgb


def test_calibration_is_packed_row_by_row() -> None:
    """K, R, P and D of the message are those of the file."""
    k, p = np.arange(9.0).reshape(3, 3), np.arange(12.0).reshape(3, 4)
    packed = camera_info_message(
        Calibration((640, 480), "plumb_bob", np.arange(5.0), k, np.eye(3), p), "camera"
    )
    assert (packed.width, packed.height) == (640, 480)
    assert list(packed.k) == list(range(9)) and list(packed.p) == list(range(12))
    assert list(packed.d) == [0, 1, 2, 3, 4] and list(packed.r) == np.eye(3).ravel().tolist()


def test_urls() -> None:
    """A path and file:// are taken as they are; other kinds and packages are refused by name."""
    assert str(resolve_url("/a/b.yaml")) == "/a/b.yaml"
    assert str(resolve_url("file:///a/b%20c.yaml")) == "/a/b c.yaml"
    assert resolve_url("package://adp_ros/config/camera.yaml").is_file()
    with pytest.raises(ConfigError, match=r"package 'no_such_package' is not installed"):
        resolve_url("package://no_such_package/camera.yaml")
    with pytest.raises(ConfigError, match=r"'http://x/y' is not allowed"):
        resolve_url("http://x/y")
