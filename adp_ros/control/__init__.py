"""The controller without ROS: samples and chunks in, one command per tick out."""

from .controller import Controller
from .motion import Motion
from .output import Command, Output, WindowRequest
from .pacer import Pacer
from .settings import ArmConfig, ControllerSettings, StopConfig, StreamConfig
from .stopping import StopSequence

__all__ = [
    "ArmConfig",
    "Command",
    "Controller",
    "ControllerSettings",
    "Motion",
    "Output",
    "Pacer",
    "StopConfig",
    "StopSequence",
    "StreamConfig",
    "WindowRequest",
]
