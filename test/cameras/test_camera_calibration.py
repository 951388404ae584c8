"""Calibration files as ROS's calibrators write them."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from adp_ros.cameras.picture_geometry import Calibration, load_calibration
from adp_ros.errors import ConfigError

DATA = {
    "image_width": 640,
    "image_height": 480,
    "camera_name": "camera",
    "camera_matrix": {"rows": 3, "cols": 3, "data": [600.0, 0, 320, 0, 601, 240, 0, 0, 1]},
    "distortion_model": "plumb_bob",
    "distortion_coefficients": {"rows": 1, "cols": 5, "data": [0.1, -0.2, 0, 0, 0]},
    "rectification_matrix": {"rows": 3, "cols": 3, "data": [1, 0, 0, 0, 1, 0, 0, 0, 1]},
    "projection_matrix": {
        "rows": 3,
        "cols": 4,
        "data": [590, 0, 321, 0, 0, 595, 241, 0, 0, 0, 1, 0],
    },
}


def written(tmp_path: Path, **changes: object) -> Path:
    """Write the file with some entries changed; None leaves one out."""
    data = {k: v for k, v in {**DATA, **changes}.items() if v is not None}
    file = tmp_path / "camera.yaml"
    file.write_text(yaml.safe_dump(data))
    return file


def test_matrices_are_read_row_by_row(tmp_path: Path) -> None:
    """Focal lengths and centre are where they belong."""
    found = load_calibration(written(tmp_path), (640, 480))
    assert (found.matrix[0, 0], found.matrix[1, 1], found.matrix[1, 2]) == (600, 601, 240)
    assert found.projection.shape == (3, 4) and found.projection[1, 2] == 241
    assert found.model == "plumb_bob"
    np.testing.assert_array_equal(found.distortion, [0.1, -0.2, 0, 0, 0])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"image_width": 1280}, r"is for 1280x480, pictures are 640x480"),
        ({"camera_matrix": None}, r"is no camera calibration: 'camera_matrix'"),
        ({"projection_matrix": {"data": [1, 2]}}, r"is no camera calibration"),
        ({"distortion_coefficients": 5}, r"is no camera calibration"),
    ],
)
def test_unusable_files_are_named(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    """The message names the parameter, the file and what is wrong."""
    file = written(tmp_path, **changes)
    with pytest.raises(ConfigError, match=rf"camera_info_url: {file} {words}"):
        load_calibration(file, (640, 480))


def test_missing_or_garbled_file(tmp_path: Path) -> None:
    """No such file, and a file that is no YAML."""
    with pytest.raises(ConfigError, match=r"none\.yaml can't be read: No such file"):
        load_calibration(tmp_path / "none.yaml", (640, 480))
    (tmp_path / "bad.yaml").write_text("{{{")
    with pytest.raises(ConfigError, match=r"bad\.yaml is not YAML"):
        load_calibration(tmp_path / "bad.yaml", (640, 480))


def test_uncalibrated_is_zero() -> None:
    """K[0] = 0 is how CameraInfo says that a camera isn't calibrated."""
    unknown = Calibration.unknown((640, 480))
    assert unknown.size == (640, 480) and not unknown.matrix.any() and unknown.model == ""
