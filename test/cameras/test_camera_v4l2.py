"""The V4L2 source against a device that is faked below OpenCV's interface."""

import threading
from collections.abc import Callable
from time import monotonic

import cv2
import numpy as np
import pytest
from camera_fakes import FakeCapture, FakeClock

from adp_ros.cameras.camera import CameraSettings
from adp_ros.cameras.v4l2 import V4l2Camera
from adp_ros.errors import CameraError

SETTINGS = CameraSettings(source="v4l2", video_device="/dev/v4l/by-id/stick")


def bgr(value: int, shape: tuple[int, int] = (480, 640)) -> np.ndarray:
    """Return a picture whose red channel is ``value``."""
    picture = np.zeros((*shape, 3), np.uint8)
    picture[:, :, 2] = value
    return picture


def opened(
    capture: FakeCapture, settings: CameraSettings = SETTINGS, clock: FakeClock | None = None
) -> V4l2Camera:
    """Return an open source on the fake device."""
    source = V4l2Camera(settings, clock or FakeClock(), open_capture=lambda device: capture)
    source.open()
    return source


def wait_for(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait for a condition with a deadline."""
    deadline = monotonic() + seconds
    pause = threading.Event()
    while not condition():
        assert monotonic() < deadline, "condition not met in time"
        pause.wait(0.002)


def test_properties_are_asked_in_the_order_v4l2_needs() -> None:
    """Format first, then size, rate and buffers."""
    capture = FakeCapture()
    settings = CameraSettings(source="v4l2", pixel_format="mjpeg2rgb", buffer_size=1)
    opened(capture, settings).close()
    assert capture.asked == [
        (cv2.CAP_PROP_FOURCC, float(cv2.VideoWriter.fourcc(*"MJPG"))),
        (cv2.CAP_PROP_FRAME_WIDTH, 640.0),
        (cv2.CAP_PROP_FRAME_HEIGHT, 480.0),
        (cv2.CAP_PROP_FPS, 30.0),
        (cv2.CAP_PROP_BUFFERSIZE, 1.0),
    ]


def test_controls_are_set_only_where_asked() -> None:
    """A fixed exposure turns the automatic one off before; what is -1 isn't touched."""
    capture = FakeCapture(grants={cv2.CAP_PROP_GAIN: 0.0})
    settings = CameraSettings(source="v4l2", exposure=157, gain=20)
    source = V4l2Camera(settings, FakeClock(), open_capture=lambda device: capture)
    assert source.open() == ("gain is 0, asked for 20",)
    assert capture.asked[5:] == [
        (cv2.CAP_PROP_GAIN, 20.0),
        (cv2.CAP_PROP_AUTO_EXPOSURE, 1.0),
        (cv2.CAP_PROP_EXPOSURE, 157.0),
    ]
    source.close()


def test_what_the_device_did_not_take_is_reported() -> None:
    """Each property that reads back differently is one sentence with both values."""
    capture = FakeCapture(
        grants={
            cv2.CAP_PROP_FPS: 15.0,
            cv2.CAP_PROP_FOURCC: float(cv2.VideoWriter.fourcc(*"MJPG")),
        }
    )
    source = V4l2Camera(SETTINGS, FakeClock(), open_capture=lambda device: capture)
    assert source.open() == (
        "pixel_format is MJPG, asked for YUYV",
        "framerate is 15, asked for 30",
    )
    source.close()


def test_absent_device_is_named() -> None:
    """The error says which device, and what to check."""
    source = V4l2Camera(
        SETTINGS, FakeClock(), open_capture=lambda device: FakeCapture(opened=False)
    )
    with pytest.raises(CameraError, match=r"v4l2 camera /dev/v4l/by-id/stick cannot be opened"):
        source.open()


def test_real_opencv_names_an_absent_device() -> None:
    """The same with OpenCV's own backend and no fake."""
    source = V4l2Camera(CameraSettings(source="v4l2", video_device="/dev/video987"), FakeClock())
    with pytest.raises(CameraError, match=r"/dev/video987 cannot be opened"):
        source.open()


def test_only_the_newest_frame_is_kept_and_is_rgb() -> None:
    """While nobody reads, frames are drained; a read returns the last one, red first."""
    capture = FakeCapture()
    source = opened(capture)
    for value in (1, 2, 3, 4):
        capture.deliver(bgr(value))
    frames = []
    wait_for(
        lambda: (
            (f := source.read(0.05)) is not None
            and (frames.append(f) or True)
            and f.rgb[0, 0, 0] == 4
        )
    )
    assert frames[-1].rgb[5, 5].tolist() == [4, 0, 0]
    assert source.read(0.01) is None
    source.close()


def test_stamp_is_the_time_of_the_buffer() -> None:
    """With a monotonic buffer time 40 ms old, the stamp is 40 ms before now."""
    capture, clock = FakeCapture(), FakeClock()
    capture.buffer_msec = (clock.monotonic() - 0.040) * 1000
    source = opened(capture, clock=clock)
    capture.deliver(bgr(1))
    frame = source.read(5.0)
    assert frame is not None and frame.stamp == pytest.approx(clock.now() - 0.040)
    source.close()


def test_stamp_is_the_grab_when_the_driver_has_no_usable_time() -> None:
    """A buffer time of another clock isn't believed."""
    capture, clock = FakeCapture(), FakeClock()
    capture.buffer_msec = 5.0
    source = opened(capture, clock=clock)
    capture.deliver(bgr(1))
    frame = source.read(5.0)
    assert frame is not None and frame.stamp == clock.now()
    source.close()


def test_device_that_ends_is_an_error_and_is_released() -> None:
    """A failed grab (unplugged) ends in an error that names the device."""
    capture = FakeCapture()
    source = opened(capture)
    capture.deliver(None)
    with pytest.raises(CameraError, match=r"stick stopped delivering frames"):
        source.read(5.0)
    assert capture.released.wait(5.0)
    source.close()


def test_silent_device_is_lost_after_the_stall_timeout() -> None:
    """A device that blocks is an error once the timeout has passed, not before."""
    capture, clock = FakeCapture(), FakeClock()
    source = opened(capture, clock=clock)
    clock.time += 2.9
    assert source.read(0.01) is None
    clock.time += 0.2
    with pytest.raises(CameraError, match=r"has delivered no frame for 3\.1 s"):
        source.read(0.01)
    source.close()


def test_broken_frames_are_skipped() -> None:
    """A frame that doesn't decode is left out, the next one is returned."""
    capture = FakeCapture()
    source = opened(capture)
    capture.deliver(np.zeros((0, 0, 3), np.uint8))
    capture.deliver(bgr(9))
    frame = source.read(5.0)
    assert frame is not None and frame.rgb[0, 0, 0] == 9
    source.close()


def test_wide_capture_is_cropped() -> None:
    """A 16:9 device with fit crop is asked for its own size and published at ours."""
    capture = FakeCapture()
    settings = CameraSettings(source="v4l2", capture_width=1280, capture_height=720, fit="crop")
    source = opened(capture, settings)
    assert (cv2.CAP_PROP_FRAME_WIDTH, 1280.0) in capture.asked
    capture.deliver(bgr(9, (720, 1280)))
    frame = source.read(5.0)
    assert frame is not None and frame.rgb.shape == (480, 640, 3)
    source.close()


def test_wrong_size_is_refused_by_default() -> None:
    """Geometry is part of what a policy was trained on: nothing is resized unasked."""
    capture = FakeCapture()
    source = opened(capture)
    capture.deliver(bgr(9, (600, 800)))
    with pytest.raises(CameraError, match=r"delivers 800x600, 640x480 is needed"):
        source.read(5.0)
    source.close()


def test_close_releases_the_device_once_the_thread_has_ended() -> None:
    """The thread that grabs is the one that releases."""
    capture = FakeCapture()
    source = opened(capture)
    source.close()
    assert not capture.released.is_set()  # still inside grab
    capture.deliver(bgr(1))
    assert capture.released.wait(5.0)
