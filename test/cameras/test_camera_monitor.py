"""Health of the camera in every state, and the lines that the log gets."""

import pytest

from adp_ros.cameras.camera import CameraSettings
from adp_ros.cameras.camera_health import CameraMonitor
from adp_ros.cameras.reconnect import Link
from adp_ros.health import Level

SETTINGS = CameraSettings(source="v4l2", frozen_warn=1.0, frozen_error=5.0)


def fed(rate: float = 30.0, seconds: float = 3.0, frozen_for: float = 0.0) -> CameraMonitor:
    """Return a monitor that saw pictures at this rate from time 0 on, each 20 ms old."""
    monitor = CameraMonitor(SETTINGS, "camera X")
    for i in range(int(rate * seconds)):
        monitor.delivered(i / rate, 0.020, frozen_for)
    return monitor


def test_good_camera_is_ok_with_its_rate() -> None:
    """30 pictures a second, 20 ms from capture to publication."""
    health = fed().health(3.0)
    assert (health.level, health.message) == (Level.OK, "30.0 Hz")
    assert health.values["capture_to_publish_ms_p50"] == pytest.approx(20.0)
    assert health.values["published"] == 90


@pytest.mark.parametrize(
    ("monitor", "now", "level", "message"),
    [
        (fed(20.0), 3.0, Level.WARN, "20.0 Hz, 30 Hz asked"),
        (fed(), 10.0, Level.ERROR, "camera X delivers no pictures"),
        (fed(frozen_for=2.0), 3.0, Level.WARN, "picture frozen for 2.0 s"),
        (fed(frozen_for=6.0), 3.0, Level.ERROR, "picture frozen for 6.0 s, not published"),
        (CameraMonitor(SETTINGS, "camera X"), 3.0, Level.WARN, "camera X has delivered no picture"),
    ],
)
def test_what_is_wrong_is_said(
    monitor: CameraMonitor, now: float, level: Level, message: str
) -> None:
    """Level and words of each trouble."""
    health = monitor.health(now)
    assert health.level == level
    assert health.message.startswith(message)


def test_frozen_pictures_are_withheld() -> None:
    """A picture that has not changed for the error time is not published; a changed one is."""
    monitor = CameraMonitor(SETTINGS, "camera X")
    assert monitor.delivered(0.0, 0.02, 4.9)
    assert not monitor.delivered(0.1, 0.02, 5.0)
    assert monitor.delivered(0.2, 0.02, 0.0)
    assert monitor.health(0.2).values["withheld"] == 1


def test_log_gets_one_line_per_change() -> None:
    """Lost, gone for good, back: one line each, nothing in between."""
    monitor = fed()
    links = [
        Link(),
        Link("camera X stopped", 0.0, 0),
        Link("camera X stopped", 1.0, 1),
        Link("camera X cannot be opened", 61.0, 9, 0, True),
        Link("camera X cannot be opened", 70.0, 10, 0, True),
        Link(reconnects=1),
        Link(reconnects=1),
    ]
    lines = [monitor.news(link) for link in links]
    assert lines[0] is lines[2] is lines[4] is lines[6] is None
    assert lines[1] == (Level.ERROR, "camera X stopped; reconnecting")
    assert lines[3][1] == (
        "camera X cannot be opened; gone for 61 s, tries: 9, still trying; check cable and power"
    )
    assert lines[5] == (Level.OK, "camera X is back after 70.0 s, tries: 10")


def test_lost_camera_is_an_error_with_time_and_tries() -> None:
    """The connection comes first in the message."""
    monitor = fed()
    monitor.news(Link("camera X stopped", 4.0, 2))
    health = monitor.health(3.0)
    assert (health.level, health.message) == (
        Level.ERROR,
        "camera X stopped; gone for 4 s, tries: 2",
    )
