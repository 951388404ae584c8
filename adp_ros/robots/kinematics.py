"""Kinematics of arms with six turning joints: forward, Jacobian, gravity torques. numpy only."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from ..geometry import cross
from ..types import FloatArray, Pose

JOINTS: Final = 6


@dataclass(frozen=True, slots=True)
class Inertia:
    """Masses of the six moving links; what hangs on link 6 (hand, fingers) belongs to it.

    Attributes:
        mass: Shape (6,), in [kg].
        center: Centre of mass of each link in its own frame, shape (6, 3), in [m].
    """

    mass: FloatArray
    center: FloatArray

    def with_payload(self, mass: float, position: Sequence[float]) -> "Inertia":
        """Add a point mass to link 6.

        Args:
            mass: In [kg].
            position: In link 6's frame, shape (3,), in [m].
        """
        masses, centers = self.mass.copy(), self.center.copy()
        masses[-1] += mass
        if masses[-1] > 0.0:
            moment = self.mass[-1] * self.center[-1] + mass * np.asarray(position)
            centers[-1] = moment / masses[-1]
        return Inertia(masses, centers)


@dataclass(frozen=True, slots=True)
class ArmModel:
    """One arm with six turning joints, as far as motion and gravity are concerned.

    Attributes:
        robot_type: Name of the kind of arm.
        fingers: Number of fingers.
        offset: Joint origins and the end effector's in their parents, shape (7, 3), in [m].
        rotation: Their orientations, shape (7, 3, 3).
        lower: Lower joint limits, -inf for continuous joints, shape (6,), in [rad].
        upper: Upper joint limits, shape (6,), in [rad].
        max_joint_speed: Shape (6,), in [rad/s].
        home: Joint angles of the home pose, shape (6,), in [rad].
        inertia: Masses of the links.
    """

    robot_type: str
    fingers: int
    offset: FloatArray
    rotation: FloatArray
    lower: FloatArray
    upper: FloatArray
    max_joint_speed: FloatArray
    home: FloatArray
    inertia: Inertia

    def with_payload(self, mass: float, position: Sequence[float]) -> "ArmModel":
        """Add a point mass to the hand.

        Args:
            mass: In [kg].
            position: In the tool (end effector) frame, shape (3,), in [m].
        """
        in_link = self.offset[-1] + self.rotation[-1] @ np.asarray(position, dtype=np.float64)
        return replace(self, inertia=self.inertia.with_payload(mass, in_link))


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
        local = _local_rotations(model, joints)
        position, orientation = np.zeros(3), np.eye(3)
        for i in range(JOINTS + 1):
            position = position + orientation @ model.offset[i]
            orientation = orientation @ local[i]
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

    def jacobian(self) -> FloatArray:
        """Tool velocity (linear over angular, base frame) per joint speed, shape (6, 6)."""
        linear = cross(self.axes, self.origin[-1] - self.origin[:JOINTS])
        return np.concatenate([linear.T, self.axes.T])

    def height_jacobian(self) -> FloatArray:
        """Vertical velocity of each joint's origin per joint speed, shape (6, 6), in [m]."""
        arm = self.origin[:JOINTS, None, :2] - self.origin[None, :JOINTS, :2]  # (origin, joint, 2)
        x, y = self.axes[:, 0], self.axes[:, 1]
        return np.tril(x * arm[:, :, 1] - y * arm[:, :, 0], -1)

    def gravity_torque(self, model: ArmModel) -> FloatArray:
        """Torque about each joint axis that holds the arm against gravity, shape (6,), [N m]."""
        inertia = model.inertia
        offset = self.rotation[:JOINTS] @ inertia.center[:, :, None]  # (6, 3, 1)
        centers = self.origin[:JOINTS] + offset[:, :, 0]
        # What joint i carries: all links from i outwards, as one mass at their common centre.
        mass = np.cumsum(inertia.mass[::-1])[::-1]
        moment = np.cumsum((inertia.mass[:, None] * centers)[::-1], axis=0)[::-1]
        arm = moment - mass[:, None] * self.origin[:JOINTS]
        lifted = GRAVITY * np.stack([arm[:, 1], -arm[:, 0]], axis=1)  # arm x (0, 0, g), z is 0
        return np.asarray(np.sum(lifted * self.axes[:, :2], axis=1))


def _local_rotations(model: ArmModel, joints: FloatArray) -> FloatArray:
    """Return each frame's orientation in its parent, joints turned, shape (7, 3, 3)."""
    c, s = np.cos(joints)[:, None], np.sin(joints)[:, None]
    local = model.rotation.copy()
    x, y = model.rotation[:JOINTS, :, 0], model.rotation[:JOINTS, :, 1]
    local[:JOINTS, :, 0] = c * x + s * y
    local[:JOINTS, :, 1] = c * y - s * x
    return local


def forward(model: ArmModel, joints: FloatArray) -> Pose:
    """Return the tool pose in the base frame.

    Args:
        model: The arm.
        joints: Joint angles, shape (6,), in [rad].
    """
    return Chain.at(model, joints).tool


def way_home(model: ArmModel, joints: FloatArray) -> FloatArray:
    """Return how far each joint is from home, shape (6,), in [rad].

    A joint without limits takes the shorter way round.
    """
    way = model.home - joints
    turns = np.isinf(model.lower)
    return np.where(turns, np.remainder(way + np.pi, 2.0 * np.pi) - np.pi, way)


def jacobian(model: ArmModel, joints: FloatArray) -> FloatArray:
    """Return tool velocity (linear over angular, base frame) per joint speed, shape (6, 6)."""
    return Chain.at(model, joints).jacobian()


def gravity_torque(model: ArmModel, joints: FloatArray) -> FloatArray:
    """Return the torques that hold the arm against gravity, shape (6,), in [N m]."""
    return Chain.at(model, joints).gravity_torque(model)
