"""Builds the camera that the settings ask for, and what watches it."""

from collections.abc import Callable
from dataclasses import dataclass

from .camera import CAMERAS, Camera, CameraSettings, Clock, StateProvider
from .camera_health import FrozenDetector
from .reconnect import Link, ReconnectingCamera


@dataclass(frozen=True, slots=True)
class WatchedCamera:
    """A camera and what watches it.

    Attributes:
        camera: The camera.
        link: Returns the state of the connection.
        frozen: Notices pictures that stay equal; None where they may (a standing twin).
    """

    camera: Camera
    link: Callable[[], Link]
    frozen: FrozenDetector | None = None


def make_camera(
    settings: CameraSettings, clock: Clock, twin: Callable[[], StateProvider]
) -> WatchedCamera:
    """Build the camera; nothing is opened yet.

    Args:
        settings: Which camera.
        clock: Time of the process.
        twin: Begins to listen to the twin; called for its camera only.

    Raises:
        ConfigError: There is no such source.
    """
    camera = CAMERAS.get(settings.source)(settings, clock, twin)
    if not camera.live:
        return WatchedCamera(camera, Link)
    device = ReconnectingCamera(camera, settings, clock)
    return WatchedCamera(device, device.current_link, FrozenDetector(settings.frozen_threshold))
