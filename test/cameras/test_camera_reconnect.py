"""A camera that vanishes is reopened with growing pauses."""

import pytest
from camera_fakes import FakeClock, ScriptedSource

from adp_ros.cameras.camera import CameraSettings
from adp_ros.cameras.reconnect import ReconnectingCamera
from adp_ros.errors import CameraError

SETTINGS = CameraSettings(
    source="v4l2", reconnect_delay=1.0, reconnect_delay_max=4.0, reconnect_limit=10.0
)


def wrapped(source: ScriptedSource, clock: FakeClock) -> ReconnectingCamera:
    """Return the open wrapper."""
    camera = ReconnectingCamera(source, SETTINGS, clock)
    camera.open()
    return camera


def test_error_before_the_first_picture_passes_through() -> None:
    """A camera that never worked is the user's to fix: the error isn't hidden by retries."""
    source = ScriptedSource([None], [None, "wrong size"])
    camera = wrapped(source, FakeClock())
    assert camera.read(0.1) is None
    with pytest.raises(CameraError, match="wrong size"):
        camera.read(0.1)


def test_pauses_double_up_to_the_longest() -> None:
    """Tries come 1, 2, 4, 4 s after each failure."""
    clock = FakeClock()
    tries: list[float] = []

    class Source(ScriptedSource):
        def open(self) -> tuple[str, ...]:
            tries.append(clock.monotonic())
            return super().open()

    source = Source([None, *["no device"] * 4], [1.0, "unplugged"])
    camera = wrapped(source, clock)
    assert camera.read(0.1) is not None
    lost_at = clock.monotonic()
    while len(tries) < 5:
        assert camera.read(0.5) is None
    steps = [b - a for a, b in zip([lost_at, *tries[1:]], tries[1:], strict=False)]
    assert steps == pytest.approx([1.0, 2.0, 4.0, 4.0])


def test_link_tells_what_happened() -> None:
    """Error, time gone and tries while away; the count of returns afterwards."""
    clock = FakeClock()
    camera = wrapped(ScriptedSource([None, None], [1.0, "unplugged", 2.0]), clock)
    camera.read(0.1)
    assert camera.current_link().error is None and camera.current_link().reconnects == 0
    assert camera.read(0.1) is None
    assert camera.current_link().error == "unplugged"
    clock.time += 1.0
    frame = camera.read(0.1)
    assert frame is not None and frame.stamp == 2.0
    assert camera.current_link().error is None and camera.current_link().reconnects == 1


def test_reopened_device_without_a_picture_counts_as_gone() -> None:
    """An opened device that fails again before a picture goes on with the longer pause."""
    clock = FakeClock()
    camera = wrapped(ScriptedSource([], [1.0, "unplugged", "stalled", 2.0]), clock)
    camera.read(0.1)
    camera.read(0.1)
    clock.time += 1.0
    assert camera.read(0.1) is None
    assert camera.current_link().error == "stalled" and camera.current_link().attempts == 1
    assert camera.current_link().gone_for == pytest.approx(1.0)
    clock.time += 1.9
    assert camera.read(0.05) is None and camera.current_link().attempts == 1
    clock.time += 0.1
    assert camera.read(0.05) is not None and camera.current_link().reconnects == 1


def test_after_the_limit_it_says_so_and_goes_on() -> None:
    """Over the limit is part of the state; a device that comes back later still returns."""
    clock = FakeClock()
    camera = wrapped(ScriptedSource([None, "no", "no", "no", "no"], [1.0, "gone", 2.0]), clock)
    camera.read(0.1)
    camera.read(0.1)
    while clock.time < 112.0:
        camera.read(0.5)
    assert camera.current_link().over_limit
    while camera.current_link().error is not None:
        camera.read(0.5)
    assert camera.current_link().reconnects == 1
