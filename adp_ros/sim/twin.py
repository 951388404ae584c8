"""The twin: a scene, the simulated arm in it, and the driver's emulation in front of the arm.

It knows no clock: every :meth:`Twin.step` is 10 ms, and the same commands before the same steps
give the same positions, bit for bit.
"""

from dataclasses import dataclass
from typing import Final

import mujoco
import numpy as np
from numpy.typing import NDArray

from ..arm.units import RADIANS_PER_TICK
from ..kinematics import arm_model
from ..types import FloatArray, Pose
from .contacts import ArmContacts
from .driver import TICK, ArmState, Driver, Reference
from .model import ARM_JOINTS, DAMPING, STIFFNESS, finger_joints
from .scene import Scene, build_scene
from .sensors import ArmReading, ArmSensors
from .settings import DriverConfig, SensorConfig
from .sponge import SPONGE
from .tasks import ItemState, SceneState
from .wiping import sponge_underside, wiped_cells

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
        task: str,
        seed: int,
        robot_type: str = "j2n6s300",
        driver: DriverConfig | None = None,
        sensors: SensorConfig | None = None,
        *,
        distractors: str = "auto",
        randomisation: str = "default",
    ) -> None:
        """Build a scene and put the arm at home.

        Args:
            task: Name of the task.
            seed: Seed of the placement and of the sensors' noise, at least 0.
            robot_type: ``j2n6s300`` or ``j2n6s200``.
            driver: How the emulated arm follows commands.
            sensors: Noise of the sensors.
            distractors: Whether another task's items share the table.
            randomisation: Level of the look; changes no motion.

        Raises:
            ConfigError: When there is no such task.
            TwinError: When the scene cannot be built.
        """
        self._sensor_config = sensors or SensorConfig()
        scene = build_scene(  # refuses the robot type before its kinematics
            task, seed, robot_type, distractors=distractors, randomisation=randomisation
        )
        self.driver = Driver(arm_model(robot_type), driver)
        self._enter(scene)

    @property
    def scene(self) -> Scene:
        """The scene at hand."""
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
        old = self._scene
        self._enter(
            build_scene(
                old.task.name,
                seed,
                old.robot_type,
                distractors=old.distractors,
                randomisation=old.randomisation,
            )
        )

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
        self._wipe()
        self._ticks += 1

    def read(self) -> ArmReading:
        """Measure with the arm's sensors; each call draws new noise."""
        return self._sensors.read(self._data, self._reference.joints, self._rng)

    def truth(self) -> TwinTruth:
        """Return the true state; arrays are copies."""
        state = self._scene_state()
        task = self._scene.task
        return TwinTruth(
            task=task.name,
            seed=self._scene.seed,
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
        model = scene.model
        self._data = mujoco.MjData(model)
        self._sensors = ArmSensors(model, scene.robot_type, self._sensor_config)
        self._rng = np.random.default_rng(scene.seed)
        self._contacts = ArmContacts(model)
        self._substeps = round(TICK / model.opt.timestep)
        self._arm_servos = [model.actuator(name).id for name in ARM_JOINTS]
        self._finger_servos = [model.actuator(n).id for n in finger_joints(scene.robot_type)]
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

    def _wipe(self) -> None:
        if not len(self._cleaned):
            return
        body = self._data.body(SPONGE)
        position, rotation = sponge_underside(body.xpos, body.xmat.reshape(3, 3))
        self._cleaned |= wiped_cells(position, rotation, self._scene.cells)

    def _scene_state(self) -> SceneState:
        touched = self._contacts.touched(self._data)
        items = {
            name: ItemState(start, self._position(name), name in touched)
            for name, start in self._start.items()
        }
        return SceneState(items, self._cleaned)

    def _position(self, item: str) -> FloatArray:
        return np.array(self._data.body(item).xpos)
