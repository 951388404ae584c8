"""Builds the camera that the settings ask for."""

from collections.abc import Callable
from dataclasses import dataclass

from ..sim.task import SceneConfig
from ..sim.tasks import find_task
from .camera import CameraSettings, CameraSource, Clock
from .camera_health import FrozenDetector
from .files import ImagesSource, VideoSource
from .reconnect import Link, ReconnectingSource
from .twin_camera import Renderer, StateProvider, TwinSource
from .v4l2 import V4l2Source


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera and what watches it.

    Attributes:
        source: The camera.
        link: Returns the state of the connection.
        frozen: Notices pictures that stay equal; None where they may (a standing twin).
    """

    source: CameraSource
    link: Callable[[], Link]
    frozen: FrozenDetector | None = None


def make_camera(settings: CameraSettings, clock: Clock, states: StateProvider) -> Camera:
    """Build the camera; nothing is opened yet.

    Args:
        settings: Which camera.
        clock: Time of the process.
        states: States of the twin, for its camera only.
    """
    if settings.source == "v4l2":
        device = ReconnectingSource(V4l2Source(settings, clock), settings, clock)
        return Camera(device, device.current_link, FrozenDetector(settings.frozen_threshold))
    if settings.source == "video":
        return Camera(VideoSource(settings, clock), Link)
    if settings.source == "images":
        return Camera(ImagesSource(settings, clock), Link)
    return Camera(TwinSource(settings, states, make_twin_renderer), Link)


def make_twin_renderer(task: str, seed: int, settings: CameraSettings) -> Renderer:
    """Build the renderer of the simulated scene."""
    from ..sim.render import TwinRenderer  # MuJoCo is not needed with a real camera

    scene = SceneConfig(
        find_task(task), seed, settings.robot_type, settings.distractors, settings.randomisation
    )
    return TwinRenderer(scene, *settings.size)
