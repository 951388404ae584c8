"""The twin: a scene, the simulated arm in it, and the driver's emulation in front of the arm.

Torque is that of the link side of each joint, gravity included, as the real arm's sensors give
it: at rest it equals the gravity load, and rotor inertia and friction do not show.

It knows no clock: every :meth:`Twin.step` is 10 ms, and the same commands before the same steps
give the same positions, bit for bit.
"""

import hashlib
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..geometry import rotation_from_rotvec
from ..robots.jaco2.arms import arm_model
from ..robots.jaco2.interface import RADIANS_PER_TICK
from ..types import FloatArray, Pose
from .arm_model import ARM_JOINTS, DAMPING, SPONGE, STIFFNESS, TOOL_SITE, finger_joints
from .base_controller import TICK, ArmState, Driver, Reference
from .engine import mujoco
from .scene import Scene, build_scene
from .sim_settings import DriverConfig, SensorConfig
from .stain import sponge_underside, wiped_cells
from .task import ItemState, SceneConfig, SceneState

_ENGINE: Final = ("mujoco", "dm_control")  # physics, and the arm's model


def twin_fingerprint(source: Path = Path(__file__).parent) -> str:
    """Return a short hash of the twin's code and of the versions of physics and arm model."""
    digest = hashlib.sha256(" ".join(f"{name} {version(name)}" for name in _ENGINE).encode())
    for file in sorted(source.rglob("*.py")):
        digest.update(file.relative_to(source).as_posix().encode() + b"\0")
        digest.update(file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


class ArmContacts:
    """Looks at the contacts between the arm and the rest of a scene."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model = model
        self._is_arm = _subtree(model, "b_base")

    def touched(self, data: mujoco.MjData) -> set[str]:
        """Return the names of the bodies that the arm touches."""
        _, others = self._between(data)
        return {self._model.body(int(other)).name for other in others}

    def force(self, data: mujoco.MjData) -> float:
        """Return the sum of the forces between the arm and all else, in [N]."""
        total, wrench = 0.0, np.zeros(6)
        for number in self._between(data)[0]:
            mujoco.mj_contactForce(self._model, data, int(number), wrench)
            total += float(np.linalg.norm(wrench[:3]))
        return total

    def _between(self, data: mujoco.MjData) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the numbers of the contacts between arm and scene, and the other bodies."""
        bodies = self._model.geom_bodyid[data.contact.geom]  # (contacts, 2)
        arm = self._is_arm[bodies]
        numbers = np.flatnonzero(arm[:, 0] != arm[:, 1])
        others = np.where(arm[numbers, 0], bodies[numbers, 1], bodies[numbers, 0])
        return numbers, others


def _subtree(model: mujoco.MjModel, root: str) -> NDArray[np.bool_]:
    """Tell for each body whether it is or hangs on another. Shape (nbody,)."""
    inside = np.zeros(model.nbody, dtype=bool)
    inside[model.body(root).id] = True
    for body in range(model.nbody):
        inside[body] |= inside[model.body_parentid[body]]
    return inside


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


_SETTLE_TICKS: Final = 20


@dataclass(frozen=True, slots=True)
class TwinTruth:
    """True state of the scene, which no real robot knows.

    Attributes:
        task: Name of the task.
        seed: Seed of the scene.
        time: Simulated time since the start, in [s].
        qpos: Positions of the model, shape (nq,).
        cleaned: Per cell of the stain: wiped, shape (cells,).
        progress: Share of the task that is done, 0 to 1.
        success: True when the task is done.
        pose: Tool pose in the base frame.
        contact_force: Sum of the forces between the arm and the rest of the scene, in [N].
    """

    task: str
    seed: int
    time: float
    qpos: FloatArray
    cleaned: NDArray[np.bool_]
    progress: float
    success: bool
    pose: Pose
    contact_force: float


class Twin:
    """A simulated Jaco2 on its table."""

    def __init__(
        self,
        scene: SceneConfig,
        driver: DriverConfig | None = None,
        sensors: SensorConfig | None = None,
    ) -> None:
        """Build a scene and put the arm at home.

        Raises:
            TwinError: When the scene cannot be built.
        """
        self._sensor_config = sensors or SensorConfig()
        built = build_scene(scene)  # refuses the robot type before its kinematics
        self.driver = Driver(arm_model(scene.robot_type), driver)
        self._enter(built)

    @property
    def scene(self) -> Scene:
        """The present scene."""
        return self._scene

    @property
    def time(self) -> float:
        """Simulated time since the start, in [s]."""
        return self._ticks * TICK

    def reset(self, seed: int) -> None:
        """Start again in the scene of another seed, the arm at home and taking commands.

        Raises:
            TwinError: When the seed is negative; the twin is then unchanged.
        """
        self._enter(build_scene(replace(self._scene.config, seed=seed)))

    def step(self) -> None:
        """Let 10 ms pass: the driver takes one point, the arm follows, the stain is wiped."""
        reference = self.driver.tick(
            ArmState(
                self._data.qpos[:6].copy(),
                self._sensors.jacobian(self._data),
                self._sensors.pose(self._data).rotation,
                self._sensors.fingers(self._data),
            )
        )
        self._drive(reference)
        self._reference = reference
        if len(self._cleaned):
            body = self._data.body(SPONGE)
            rotation = body.xmat.reshape(3, 3)
            underside = sponge_underside(body.xpos, rotation)
            self._cleaned |= wiped_cells(underside, rotation, self._scene.cells)
        self._ticks += 1

    def read(self) -> ArmReading:
        """Measure with the arm's sensors; each call draws new noise."""
        return self._sensors.read(self._data, self._reference.joints, self._rng)

    def truth(self) -> TwinTruth:
        """Return the true state; arrays are copies."""
        config, touched = self._scene.config, self._contacts.touched(self._data)
        items = {
            name: ItemState(start, self._position(name), name in touched)
            for name, start in self._start.items()
        }
        task, state = config.task, SceneState(items, self._cleaned)
        return TwinTruth(
            task=task.name,
            seed=config.seed,
            time=self.time,
            qpos=self._data.qpos.copy(),
            cleaned=self._cleaned.copy(),
            progress=task.progress(state),
            success=task.success(state),
            pose=self._sensors.pose(self._data),
            contact_force=self._contacts.force(self._data),
        )

    def _enter(self, scene: Scene) -> None:
        self._scene = scene
        model, config = scene.model, scene.config
        self._data = mujoco.MjData(model)
        self._sensors = ArmSensors(model, config.robot_type, self._sensor_config)
        self._rng = np.random.default_rng(config.seed)
        self._contacts = ArmContacts(model)
        self._substeps = round(TICK / model.opt.timestep)
        self._arm_servos = [model.actuator(name).id for name in ARM_JOINTS]
        self._finger_servos = [model.actuator(n).id for n in finger_joints(config.robot_type)]
        self._lead = np.array(DAMPING) / np.array(STIFFNESS)
        self._cleaned = np.zeros(len(scene.cells), dtype=bool)
        self._data.qpos[:] = scene.start
        mujoco.mj_forward(model, self._data)
        fingers = self._sensors.fingers(self._data)
        self.driver.settle(self._data.qpos[:6], fingers)
        self._reference = Reference(self._data.qpos[:6].copy(), np.zeros(6), fingers)
        for _ in range(_SETTLE_TICKS):
            self._drive(self._reference)
        self._start = {item.name: self._position(item.name) for item, _ in scene.placement.items}
        self._ticks = 0

    def _drive(self, reference: Reference) -> None:
        """Move the servos' references to their new place in equal parts, one per physics step."""
        data, before = self._data, self._reference
        gap = reference.joints - before.joints
        data.ctrl[self._finger_servos] = reference.fingers * RADIANS_PER_TICK
        for i in range(1, self._substeps + 1):
            joints = before.joints + gap * (i / self._substeps)
            data.ctrl[self._arm_servos] = joints + self._lead * reference.speeds
            mujoco.mj_step(self._scene.model, data)

    def _position(self, item: str) -> FloatArray:
        return np.array(self._data.body(item).xpos)
