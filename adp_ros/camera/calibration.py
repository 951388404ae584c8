"""Camera calibration from the YAML file that ROS's calibrators write."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from ..errors import ConfigError
from ..types import FloatArray


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
    try:
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"camera_info_url: {file} cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"camera_info_url: {file} is not YAML") from error
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
