"""The controller's settings as ROS parameters."""

from rclpy.node import Node

from ...chunk import ChunkConfig
from ...control import ArmConfig, ControllerSettings, StopConfig, StreamConfig
from ...envelope import EnvelopeConfig
from ...safety import FeedConfig, SafetyConfig, TorqueConfig, WatchConfig
from ...velocity import VelocityConfig
from ..process.params import declare_settings


def declare_controller_settings(node: Node) -> ControllerSettings:
    """Declare every parameter of the controller and read it.

    Raises:
        ConfigError: Names the parameter, its value and what is allowed.
    """
    return ControllerSettings(
        arm=declare_settings(node, ArmConfig),
        chunk=declare_settings(node, ChunkConfig, "chunk"),
        velocity=declare_settings(node, VelocityConfig, "velocity"),
        envelope=declare_settings(node, EnvelopeConfig, "envelope"),
        safety=SafetyConfig(
            torque=declare_settings(node, TorqueConfig, "torque"),
            feed=declare_settings(node, FeedConfig, "feed"),
            watch=declare_settings(node, WatchConfig, "watch"),
        ),
        stream=declare_settings(node, StreamConfig, "stream"),
        stop=declare_settings(node, StopConfig, "stop"),
    )
