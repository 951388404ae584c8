"""Size and calibration of the published picture: the policy depends on both."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ..errors import CameraError, ConfigError
from ..settings import read_mapping
from ..types import FloatArray, Rgb


def fit_frame(rgb: Rgb, size: tuple[int, int], how: str, camera: str) -> Rgb:
    """Return the picture at the published size.

    Args:
        rgb: Shape (H, W, 3), uint8.
        size: Width and height needed, in [px].
        how: ``exact`` refuses other sizes, ``crop`` keeps the centre at the needed aspect ratio,
            ``pad`` adds black borders, ``stretch`` distorts.
        camera: Name for the message.

    Returns:
        Shape (height, width, 3), uint8; the same array when the size is right.

    Raises:
        CameraError: The picture has another size and ``how`` is ``exact``.
    """
    height, width = rgb.shape[:2]
    if (width, height) == size:
        return rgb
    if how == "exact":
        raise CameraError(
            f"{camera} delivers {width}x{height}, {size[0]}x{size[1]} is needed; "
            "set fit to crop, pad or stretch to convert it"
        )
    if how == "stretch":
        return _resize(rgb, size)
    return _crop(rgb, size) if how == "crop" else _pad(rgb, size)


def _resize(rgb: Rgb, size: tuple[int, int]) -> Rgb:
    shrinks = size[0] <= rgb.shape[1] and size[1] <= rgb.shape[0]
    resized = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(resized, dtype=np.uint8)


def _crop(rgb: Rgb, size: tuple[int, int]) -> Rgb:
    height, width = rgb.shape[:2]
    scale = min(width / size[0], height / size[1])  # source pixels per published pixel
    w, h = min(width, round(size[0] * scale)), min(height, round(size[1] * scale))
    left, top = (width - w) // 2, (height - h) // 2
    return _resize(np.ascontiguousarray(rgb[top : top + h, left : left + w]), size)


def _pad(rgb: Rgb, size: tuple[int, int]) -> Rgb:
    height, width = rgb.shape[:2]
    scale = min(size[0] / width, size[1] / height)  # published pixels per source pixel
    w, h = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = (size[0] - w) // 2, (size[1] - h) // 2
    padded = np.zeros((size[1], size[0], 3), np.uint8)
    padded[top : top + h, left : left + w] = _resize(rgb, (w, h))
    return padded


@dataclass(frozen=True, slots=True)
class Calibration:
    """Pinhole model of a camera.

    Attributes:
        size: Width and height in [px].
        model: Distortion model, ``plumb_bob`` for instance; empty when uncalibrated.
        distortion: Coefficients of the model.
        matrix: K, shape (3, 3), in [px].
        rectification: R, shape (3, 3).
        projection: P, shape (3, 4), in [px].
    """

    size: tuple[int, int]
    model: str
    distortion: FloatArray
    matrix: FloatArray
    rectification: FloatArray
    projection: FloatArray

    @classmethod
    def unknown(cls, size: tuple[int, int]) -> "Calibration":
        """Return an uncalibrated camera: zero matrices, as sensor_msgs/CameraInfo says."""
        zero = np.zeros((3, 3))
        return cls(size, "", np.zeros(0), zero, zero, np.zeros((3, 4)))


def load_calibration(file: Path, size: tuple[int, int]) -> Calibration:
    """Read a calibration file.

    Args:
        file: YAML with image_width, image_height, camera_matrix, distortion_model,
            distortion_coefficients, rectification_matrix and projection_matrix.
        size: Width and height of the published pictures, in [px].

    Raises:
        ConfigError: The file is missing, incomplete or made for another picture size.
    """
    data = read_mapping(file, "camera_info_url:")
    try:
        found = (int(data["image_width"]), int(data["image_height"]))
        calibration = Calibration(
            found,
            str(data["distortion_model"]),
            np.asarray(data["distortion_coefficients"]["data"], dtype=np.float64),
            _matrix(data, "camera_matrix", 3),
            _matrix(data, "rectification_matrix", 3),
            _matrix(data, "projection_matrix", 4),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"camera_info_url: {file} is no camera calibration: {error}") from error
    if found != size:
        raise ConfigError(
            f"camera_info_url: {file} is for {found[0]}x{found[1]}, "
            f"pictures are {size[0]}x{size[1]}"
        )
    return calibration


def _matrix(data: "dict[str, dict[str, list[float]]]", name: str, columns: int) -> FloatArray:
    return np.asarray(data[name]["data"], dtype=np.float64).reshape(3, columns)
