"""Pictures, calibration and the twin's state: ROS messages <-> the library's types.

Pixels travel as ``array.array("B")``: assigning a numpy array to a uint8[] field makes rclpy
check every element, which takes 180 ms for one 640x480 picture.
"""

from array import array
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
import simplejpeg
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from ..cameras.picture_geometry import Calibration
from ..errors import ObservationError
from ..types import Rgb

_CHANNELS: Final[Mapping[str, int]] = MappingProxyType({"rgb8": 3, "bgr8": 3, "mono8": 1})

ImageConverter = Callable[[Image], Rgb]


def pixel_array(rgb: Rgb) -> "array[int]":
    """Return the bytes of a picture in the form that rclpy takes without a check."""
    data = array("B")
    data.frombytes(np.ascontiguousarray(rgb).data)
    return data


def image_message(rgb: Rgb, stamp: Time, frame_id: str) -> Image:
    """Pack a picture as rgb8.

    Args:
        rgb: Shape (H, W, 3), uint8.
        stamp: Capture time.
        frame_id: Frame of the header.
    """
    message = Image(height=rgb.shape[0], width=rgb.shape[1], encoding="rgb8")
    message.header.stamp = stamp
    message.header.frame_id = frame_id
    message.step = rgb.shape[1] * 3
    message.data = pixel_array(rgb)
    return message


def jpeg_message(rgb: Rgb, stamp: Time, frame_id: str, quality: int) -> CompressedImage:
    """Pack a picture as JPEG, 4:2:0, quality 1 to 100."""
    message = CompressedImage(format="rgb8; jpeg compressed bgr8")
    message.header.stamp = stamp
    message.header.frame_id = frame_id
    jpeg = simplejpeg.encode_jpeg(
        np.ascontiguousarray(rgb), quality=quality, colorspace="RGB", colorsubsampling="420"
    )
    message.data = array("B", jpeg)
    return message


def image_to_rgb(message: Image) -> Rgb:
    """Unpack a picture with numpy alone.

    Returns:
        Shape (H, W, 3), uint8, red first.

    Raises:
        ObservationError: The encoding is unknown or the data do not fit the stated size.
    """
    channels = _check_image(message)
    row_bytes = message.width * channels
    rows = np.frombuffer(message.data, dtype=np.uint8)[: message.height * message.step]
    pixels = rows.reshape(message.height, message.step)[:, :row_bytes]
    pixels = pixels.reshape(message.height, message.width, channels)
    if message.encoding == "mono8":
        return np.repeat(pixels, 3, axis=2)
    return np.ascontiguousarray(pixels[:, :, ::-1] if message.encoding == "bgr8" else pixels)


def make_image_converter() -> ImageConverter:
    """Return cv_bridge's conversion where it works, else :func:`image_to_rgb`.

    Some builds of cv_bridge import and then fail or err in every conversion, so one picture is
    converted both ways before it is trusted.
    """
    try:
        from cv_bridge import CvBridge

        bridge = CvBridge()
    except (ImportError, AttributeError, RuntimeError):
        return image_to_rgb

    def with_bridge(message: Image) -> Rgb:
        _check_image(message)
        return np.asarray(bridge.imgmsg_to_cv2(message, "rgb8"), dtype=np.uint8)

    return with_bridge if _agrees(with_bridge) else image_to_rgb


def _agrees(convert: ImageConverter) -> bool:
    sample = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    message = image_message(sample, Time(), "")
    try:
        for encoding in ("rgb8", "bgr8"):
            message.encoding = encoding
            if not np.array_equal(convert(message), image_to_rgb(message)):
                return False
    except (AttributeError, ImportError, KeyError, RuntimeError, TypeError, ValueError):
        return False
    return True


def _check_image(message: Image) -> int:
    if message.encoding not in _CHANNELS:
        raise ObservationError(
            f"picture has encoding {message.encoding!r}, allowed: {', '.join(_CHANNELS)}"
        )
    channels = _CHANNELS[message.encoding]
    size = f"{message.width}x{message.height}"
    if message.width < 1 or message.height < 1:
        raise ObservationError(f"picture is {size}, at least 1x1 is needed")
    if message.step < message.width * channels:
        raise ObservationError(
            f"picture of {size} {message.encoding} has rows of {message.step} bytes, "
            f"at least {message.width * channels} are needed"
        )
    needed = message.height * message.step
    if len(message.data) < needed:
        raise ObservationError(
            f"picture of {size} {message.encoding} has {len(message.data)} bytes, "
            f"{needed} are needed"
        )
    return channels


def camera_info_message(calibration: Calibration, frame_id: str) -> CameraInfo:
    """Pack a calibration; the stamp is left to the caller."""
    message = CameraInfo(width=calibration.size[0], height=calibration.size[1])
    message.header.frame_id = frame_id
    message.distortion_model = calibration.model
    message.d = calibration.distortion.tolist()
    message.k = calibration.matrix.ravel()
    message.r = calibration.rectification.ravel()
    message.p = calibration.projection.ravel()
    return message
