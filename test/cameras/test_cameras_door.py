"""Cameras by name: the package's own, and what is refused."""

import pytest
from camera_fakes import FakeClock

from adp_ros.cameras.camera import CAMERAS, CameraSettings
from adp_ros.cameras.camera_health import make_camera
from adp_ros.errors import ConfigError

MEMBERS = ("name", "live", "open", "read", "close")


def _no_twin():
    raise AssertionError("only the twin's camera listens to the twin")


@pytest.mark.parametrize("source", ["v4l2", "video", "images"])
def test_each_name_makes_a_camera(source):
    """Built-in names give cameras with the whole interface; only a device is watched as one."""
    settings = CameraSettings(source=source, path="/nowhere")
    made = make_camera(settings, FakeClock(), _no_twin)
    assert all(hasattr(made.camera, member) for member in MEMBERS)
    assert (made.frozen is not None) == made.camera.live == (source == "v4l2")


def test_twin_is_listened_to_for_its_camera_alone():
    """The twin's camera asks for the twin's states once, when it is made."""
    asked = []
    made = make_camera(
        CameraSettings(), FakeClock(), lambda: asked.append(1) or (lambda d, t: None)
    )
    assert asked == [1]
    assert made.camera.read(0.0) is None


def test_unknown_source_names_those_that_exist():
    """A wrong name is refused with what is allowed."""
    with pytest.raises(ConfigError, match="source is 'v4l', .*allowed: twin, v4l2, video, images"):
        CameraSettings(source="v4l")
    assert CAMERAS.problems() == ()


@pytest.mark.parametrize("name", ["", "2nd", "left/wrist", "a b"])
def test_camera_name_must_be_one_of_a_topic(name):
    """The camera's name becomes part of topics; what can't is refused by value."""
    with pytest.raises(ConfigError, match=f"camera_name is '{name}', allowed: a letter"):
        CameraSettings(camera_name=name)
