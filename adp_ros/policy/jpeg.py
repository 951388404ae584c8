"""JPEG as training data of OpenVLA-OFT went through it: one encoder, one decoder."""

from typing import Final

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from ..errors import ObservationError
from ..types import Rgb

JPEG_QUALITY: Final = 95


def encode_jpeg(image: Rgb) -> NDArray[np.uint8]:
    """Encode a picture as JPEG (quality 95, 4:2:0).

    Args:
        image: Shape (H, W, 3), uint8.

    Returns:
        The file's bytes, shape (bytes,).
    """
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return np.asarray(data, dtype=np.uint8)


def decode_jpeg(data: NDArray[np.uint8]) -> Rgb:
    """Decode a JPEG as TensorFlow does.

    The decoder's fast integer DCT is the one TensorFlow uses; the accurate one changes most
    values by up to 18 grey levels.

    Args:
        data: The file's bytes, shape (bytes,).

    Returns:
        Shape (H, W, 3), uint8.

    Raises:
        ObservationError: It is no JPEG, or a damaged one.
    """
    try:
        decoded: Rgb = simplejpeg.decode_jpeg(data, "RGB", fastdct=True, fastupsample=False)
    except ValueError as error:
        raise ObservationError(f"picture of {len(data)} bytes is no good JPEG: {error}") from error
    return decoded
