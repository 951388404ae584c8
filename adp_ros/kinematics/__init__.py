"""Kinematics of the 6-DoF Jaco2 arms: forward, Jacobian, gravity torques. numpy only."""

from .chain import Chain, forward, gravity_torque, jacobian
from .model import ROBOT_TYPES, ArmModel, Inertia, arm_model

__all__ = [
    "ROBOT_TYPES",
    "ArmModel",
    "Chain",
    "Inertia",
    "arm_model",
    "forward",
    "gravity_torque",
    "jacobian",
]
