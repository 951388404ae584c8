"""Cameras behind one small interface: V4L2 device, video file, image folder, the twin."""

from .settings import CameraSettings
from .source import CameraSource, Clock

__all__ = ["CameraSettings", "CameraSource", "Clock"]
