"""What the arm's own sensors report, with their noise.

Torque is that of the link side of each joint, gravity included, as the real arm's sensors give
it: at rest it equals the gravity load, and rotor inertia and friction do not show.
"""

from dataclasses import dataclass

import mujoco
import numpy as np

from ..arm.units import RADIANS_PER_TICK
from ..geometry import rotation_from_rotvec
from ..types import FloatArray, Pose
from .model import ARM_JOINTS, TOOL_SITE, finger_joints
from .settings import SensorConfig


@dataclass(frozen=True, slots=True)
class ArmReading:
    """One set of measurements in SI units.

    Attributes:
        joints: Shape (6,), in [rad].
        speeds: Shape (6,), in [rad/s].
        torques: Shape (6,), in [N m].
        pose: Tool pose in the base frame.
        fingers: Shape (n,), in [ticks].
        wrench: Force in the base frame and moment that the tool meets, shape (6,), in [N], [N m].
        commanded: Joint angles that the servos are told, shape (6,), in [rad].
    """

    joints: FloatArray
    speeds: FloatArray
    torques: FloatArray
    pose: Pose
    fingers: FloatArray
    wrench: FloatArray
    commanded: FloatArray


class ArmSensors:
    """Reads a simulated arm."""

    def __init__(self, model: mujoco.MjModel, robot_type: str, config: SensorConfig) -> None:
        self._model = model
        self._config = config
        self._site = model.site(TOOL_SITE).id
        self._fingers = [model.joint(name).qposadr[0] for name in finger_joints(robot_type)]
        # The z component: each sensor sits in its joint's frame, whose z is the axis.
        self._torques = [model.sensor(f"torque_{name}").adr[0] + 2 for name in ARM_JOINTS]
        self._jacobian = np.zeros((2, 3, model.nv))

    def fingers(self, data: mujoco.MjData) -> FloatArray:
        """Return the finger positions, shape (n,), in [ticks]."""
        return np.asarray(data.qpos[self._fingers] / RADIANS_PER_TICK)

    def pose(self, data: mujoco.MjData) -> Pose:
        """Return the true tool pose in the base frame."""
        rotation = data.site_xmat[self._site].reshape(3, 3).copy()
        return Pose(data.site_xpos[self._site].copy(), rotation)

    def jacobian(self, data: mujoco.MjData) -> FloatArray:
        """Return tool velocity per joint speed, linear over angular, base frame, shape (6, 6)."""
        linear, angular = self._jacobian
        mujoco.mj_jacSite(self._model, data, linear, angular, self._site)
        return np.concatenate([linear[:, :6], angular[:, :6]])

    def read(
        self, data: mujoco.MjData, commanded: FloatArray, rng: np.random.Generator
    ) -> ArmReading:
        """Measure everything once.

        Args:
            data: State of the simulation after a step.
            commanded: Joint angles that the servos are told, shape (6,), in [rad].
            rng: Source of the noise.
        """
        c = self._config
        raw = data.sensordata[self._torques]
        load = raw - data.qfrc_bias[:6]  # what gravity and motion do not explain
        pose = self.pose(data)
        turn = rotation_from_rotvec(rng.normal(0.0, c.joint_noise, 3))
        return ArmReading(
            joints=data.qpos[:6] + rng.normal(0.0, c.joint_noise, 6),
            speeds=data.qvel[:6] * c.speed_factor,
            torques=raw + rng.normal(0.0, c.torque_noise, 6),
            pose=Pose(pose.position + rng.normal(0.0, c.pose_noise, 3), turn @ pose.rotation),
            fingers=self.fingers(data),
            wrench=np.linalg.lstsq(self.jacobian(data).T, -load, rcond=1e-3)[0],
            commanded=commanded.copy(),
        )
