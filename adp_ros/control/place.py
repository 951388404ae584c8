"""One posture of the arm, with what limits need to know of it."""

from dataclasses import dataclass
from math import inf
from typing import Final

import numpy as np

from ..robots.kinematics import ArmModel, Chain
from ..types import FloatArray, Pose
from .capsules import Clearances

_DAMPING: Final = 1e-3  # of the least squares; joint speeds stay bounded at a singularity
FIRST_FREE_LINK: Final = 2  # elbow; the joints before it stand on the base


@dataclass(frozen=True, slots=True)
class Place:
    """One posture of the arm.

    Attributes:
        model: The arm.
        joints: Joint angles, shape (6,), in [rad].
        pose: Measured tool pose.
        chain: Frames of the links.
        jacobian: Tool velocity per joint speed, shape (6, 6).
        condition: Condition number of the Jacobian.
        solver: Joint speeds per tool velocity, damped least squares, shape (6, 6).
        sinking: Vertical velocity of elbow and wrist joints per joint speed, shape (4, 6), in [m].
        clearances: Distances to what the arm could touch; None where its shape does not count.
    """

    model: ArmModel
    joints: FloatArray
    pose: Pose
    chain: Chain
    jacobian: FloatArray
    condition: float
    solver: FloatArray
    sinking: FloatArray
    clearances: Clearances | None = None

    @classmethod
    def at(cls, model: ArmModel, joints: FloatArray, pose: Pose) -> "Place":
        """Compute frames and Jacobian at measured joints and tool pose."""
        chain = Chain.at(model, joints)
        jacobian = chain.jacobian()
        left, sizes, right = np.linalg.svd(jacobian)
        solver = (right.T * (sizes / (sizes**2 + _DAMPING**2))) @ left.T
        condition = float(sizes[0] / sizes[-1]) if sizes[-1] > 0.0 else inf
        sinking = chain.height_jacobian()[FIRST_FREE_LINK:]
        return cls(model, joints, pose, chain, jacobian, condition, solver, sinking)

    def joint_speeds(self, twist: FloatArray) -> FloatArray:
        """Return the joint speeds of a tool velocity, shape (6,), in [rad/s].

        Args:
            twist: Linear over angular velocity in the base frame, shape (6,).
        """
        return np.asarray(self.solver @ twist)

    def condition_after(self, speeds: FloatArray, time: float) -> float:
        """Return the condition number after moving with joint speeds for a time in [s]."""
        moved = Chain.at(self.model, self.joints + speeds * time)
        return float(np.linalg.cond(moved.jacobian()))

    def link_heights(self, speeds: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return heights of elbow and wrist joints and how fast they change.

        Args:
            speeds: Joint speeds, shape (6,), in [rad/s].

        Returns:
            Heights in the base frame in [m] and their rates in [m/s], shape (4,) each.
        """
        return self.chain.origin[FIRST_FREE_LINK:6, 2], self.sinking @ speeds
