"""Forward kinematics, Jacobian and gravity torques from one pass along the chain."""

from dataclasses import dataclass
from math import cos, sin
from typing import Final

import numpy as np

from ..types import FloatArray, Pose
from .model import JOINTS, ArmModel

GRAVITY: Final = 9.81  # [m/s^2], downwards along the base frame's z


@dataclass(frozen=True, slots=True)
class Chain:
    """Frames of the arm at one set of joint angles, all in the base frame.

    Attributes:
        origin: Origins of the six joints and of the end effector, shape (7, 3), in [m].
        rotation: Orientations of the six links and of the end effector, shape (7, 3, 3).
    """

    origin: FloatArray
    rotation: FloatArray

    @classmethod
    def at(cls, model: ArmModel, joints: FloatArray) -> "Chain":
        """Walk along the chain.

        Args:
            model: The arm.
            joints: Joint angles, shape (6,), in [rad].
        """
        origin, rotation = np.empty((JOINTS + 1, 3)), np.empty((JOINTS + 1, 3, 3))
        position, orientation = np.zeros(3), np.eye(3)
        for i in range(JOINTS + 1):
            position = position + orientation @ model.offset[i]
            orientation = orientation @ model.rotation[i]
            if i < JOINTS:
                orientation = _turn_about_z(orientation, float(joints[i]))
            origin[i], rotation[i] = position, orientation
        return cls(origin, rotation)

    @property
    def tool(self) -> Pose:
        """Pose of the end effector."""
        return Pose(self.origin[-1], self.rotation[-1])

    @property
    def axes(self) -> FloatArray:
        """Joint axes, shape (6, 3)."""
        return self.rotation[:JOINTS, :, 2]

    def point_jacobian(self, link: int, point: FloatArray) -> FloatArray:
        """Velocity of a point fixed to a link per joint speed.

        Args:
            link: 0 for the first moving link to 5 for the hand.
            point: In the base frame, shape (3,), in [m].

        Returns:
            Shape (3, 6); zero for the joints behind the link.
        """
        columns = np.zeros((3, JOINTS))
        arm = point - self.origin[: link + 1]
        columns[:, : link + 1] = np.cross(self.axes[: link + 1], arm).T
        return columns

    def jacobian(self) -> FloatArray:
        """Tool velocity (linear over angular, base frame) per joint speed, shape (6, 6)."""
        linear = self.point_jacobian(JOINTS - 1, self.origin[-1])
        return np.concatenate([linear, self.axes.T])

    def gravity_torque(self, model: ArmModel) -> FloatArray:
        """Torque about each joint axis that holds the arm against gravity, shape (6,), [N m]."""
        centers = self.origin[:JOINTS] + np.einsum(
            "lij,lj->li", self.rotation[:JOINTS], model.inertia.center
        )
        # What joint i carries: all links from i outwards, as one mass at their common centre.
        mass = np.cumsum(model.inertia.mass[::-1])[::-1]
        moment = np.cumsum((model.inertia.mass[:, None] * centers)[::-1], axis=0)[::-1]
        arm = moment - mass[:, None] * self.origin[:JOINTS]
        lifted = np.cross(arm, np.array([0.0, 0.0, GRAVITY]))
        return np.asarray(np.einsum("ij,ij->i", lifted, self.axes))


def _turn_about_z(orientation: FloatArray, angle: float) -> FloatArray:
    c, s = cos(angle), sin(angle)
    turned = orientation.copy()
    turned[:, 0] = c * orientation[:, 0] + s * orientation[:, 1]
    turned[:, 1] = c * orientation[:, 1] - s * orientation[:, 0]
    return turned


def forward(model: ArmModel, joints: FloatArray) -> Pose:
    """Return the tool pose in the base frame.

    Args:
        model: The arm.
        joints: Joint angles, shape (6,), in [rad].
    """
    return Chain.at(model, joints).tool


def jacobian(model: ArmModel, joints: FloatArray) -> FloatArray:
    """Return tool velocity (linear over angular, base frame) per joint speed, shape (6, 6)."""
    return Chain.at(model, joints).jacobian()


def gravity_torque(model: ArmModel, joints: FloatArray) -> FloatArray:
    """Return the torques that hold the arm against gravity, shape (6,), in [N m]."""
    return Chain.at(model, joints).gravity_torque(model)
