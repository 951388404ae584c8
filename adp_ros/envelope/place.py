"""What the envelope needs to know of one posture, computed once per tick."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from ..kinematics import ArmModel, Chain
from ..types import FloatArray, Pose

_DAMPING: Final = 1e-3  # of the least squares; joint speeds stay bounded at a singularity
_FIRST_FREE_LINK: Final = 2  # elbow; the joints before it stand on the base


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
    """

    model: ArmModel
    joints: FloatArray
    pose: Pose
    chain: Chain
    jacobian: FloatArray
    condition: float

    @classmethod
    def at(cls, model: ArmModel, joints: FloatArray, pose: Pose) -> "Place":
        """Compute frames and Jacobian at measured joints and tool pose."""
        chain = Chain.at(model, joints)
        jacobian = chain.jacobian()
        return cls(model, joints, pose, chain, jacobian, float(np.linalg.cond(jacobian)))

    def joint_speeds(self, twist: FloatArray) -> FloatArray:
        """Return the joint speeds of a tool velocity, shape (6,), in [rad/s].

        Args:
            twist: Linear over angular velocity in the base frame, shape (6,).
        """
        j = self.jacobian
        return np.asarray(j.T @ np.linalg.solve(j @ j.T + _DAMPING**2 * np.eye(6), twist))

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
        rates = self.chain.height_jacobian() @ speeds
        return self.chain.origin[_FIRST_FREE_LINK:6, 2], rates[_FIRST_FREE_LINK:]
