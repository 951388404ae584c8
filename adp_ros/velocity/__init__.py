"""From the policy's increments to tool velocities: path, feedback, speed and acceleration."""

from .config import VelocityConfig
from .path import PathFollower, limited_increment
from .ramp import Ramp, TwistRamp, scaled_to

__all__ = ["PathFollower", "Ramp", "TwistRamp", "VelocityConfig", "limited_increment", "scaled_to"]
