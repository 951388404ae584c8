"""The controller's settings out of a bag."""

from collections.abc import Mapping
from typing import Any, TypeVar

from ..chunk import ChunkConfig
from ..control import ArmConfig, ControllerSettings, StopConfig, StreamConfig
from ..envelope import EnvelopeConfig
from ..safety import FeedConfig, SafetyConfig, TorqueConfig, WatchConfig
from ..settings import config_from_mapping, setting_names
from ..velocity import VelocityConfig

T = TypeVar("T")


def controller_settings(parameters: Mapping[str, Any], robot_type: str) -> ControllerSettings:
    """Return the settings that a controller node had.

    Args:
        parameters: Of the node, names with dots; what is missing keeps its default.
        robot_type: Of the recorded arm, for bags without parameters.

    Raises:
        ConfigError: A value is not allowed.
    """

    def part(cls: type[T], prefix: str = "") -> T:
        dot = f"{prefix}." if prefix else ""
        known = setting_names(cls)
        values = {name: parameters[dot + name] for name in known if dot + name in parameters}
        return config_from_mapping(cls, values, "controller_node of the bag")

    return ControllerSettings(
        arm=part(ArmConfig) if parameters else ArmConfig(robot_type=robot_type),
        chunk=part(ChunkConfig, "chunk"),
        velocity=part(VelocityConfig, "velocity"),
        envelope=part(EnvelopeConfig, "envelope"),
        safety=SafetyConfig(
            torque=part(TorqueConfig, "torque"),
            feed=part(FeedConfig, "feed"),
            watch=part(WatchConfig, "watch"),
        ),
        stream=part(StreamConfig, "stream"),
        stop=part(StopConfig, "stop"),
    )
