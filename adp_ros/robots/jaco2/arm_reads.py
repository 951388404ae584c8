"""The reads of a real arm: each value with the time of its own read, none a second time."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from ...errors import ArmError
from ...geometry import rotation_from_euler_xyz
from ...health import RateMeter
from ...types import FloatArray, Pose
from .arm_connection import ArmConnection
from .arm_pace import PointGate
from .arm_watch import joystick_used
from .driver_settings import ArmDriverSettings
from .sdk import Sdk
from .sdk_types import (
    JOINTS,
    AngularPosition,
    CartesianPosition,
    JoystickCommand,
    QuickStatus,
    SensorsInfo,
    SystemError,
    TrajectoryFIFO,
    numbers,
)

_NEWEST: Final = 5  # entries of the arm's error log
_PERIODS: Final = {
    "queue": 0.025,
    "status": 0.05,
    "velocities": 0.1,
    "forces": 0.1,
    "control": 0.5,
    "sensors": 1.0,
    "errors": 5.0,
}
_JOYSTICK: Final = 0.05  # [s]


@dataclass(frozen=True, slots=True)
class JointReading:
    """What one read of the joints gave, and what else was read since the one before.

    Attributes:
        joints: Shape (6,), in [rad].
        fingers: Shape (3,), in [ticks].
        speeds: Shape (6,), in [rad/s]; None when they were not read since.
        torques: Shape (6,), in [N m]; None when they were not read since.
    """

    joints: FloatArray
    fingers: FloatArray
    speeds: FloatArray | None
    torques: FloatArray | None


Deliver = Callable[[str, Any, float], None]
"""(read, value in SI units, time of the read in [s]).

``torques``: shape (6,), in [N m]; ``joints``: :class:`JointReading`; ``pose``:
:class:`~adp_ros.types.Pose`; ``forces``: force and moment at the tool, shape (6,).
"""


def read_periods(settings: ArmDriverSettings, sdk: Sdk) -> dict[str, float]:
    """Return how often what is read, in [s]."""
    own = {
        "torques": settings.torque_period,
        "joints": settings.joints_period,
        "pose": settings.pose_period,
    }
    joystick = {"joystick": _JOYSTICK} if sdk.has("GetJoystickValue") else {}
    return {**own, **_PERIODS, **joystick}


class ArmReads:
    """Performs reads and hands on what they give.

    Args:
        sdk: The library.
        settings: Torque source and factors.
        deliver: Gets the values.
        gate: Learns how full the arm's queue is.
        clock: Returns the time in [s].
    """

    def __init__(
        self,
        sdk: Sdk,
        settings: ArmDriverSettings,
        deliver: Deliver,
        gate: PointGate,
        clock: Callable[[], float],
    ) -> None:
        self._sdk = sdk
        self._gravity_free = settings.torque_source == "gravity_free"
        self._speed_factor = settings.velocity_factor
        self._deliver = deliver
        self._gate = gate
        self._clock = clock
        self._new: dict[str, FloatArray] = {}  # read since joints were last handed on
        self.rates = {name: RateMeter() for name in read_periods(settings, sdk)}
        self.fingers: FloatArray = np.zeros(3)
        self.joints: FloatArray = np.full(JOINTS, np.inf)  # [rad]
        self.sensors: SensorsInfo | None = None
        self.errors: list[SystemError] = []
        self.control_type = -1
        self._perform = {
            "torques": self._torques,
            "joints": self._joints,
            "pose": self._pose,
            "velocities": self._velocities,
            "forces": self._forces,
            "queue": self._queue,
            "control": self._control,
            "sensors": self._sensors,
            "errors": self._errors,
        }

    def perform(self, name: str, connection: ArmConnection | None) -> str:
        """Do one read.

        Args:
            name: Which, as in :func:`read_periods`.
            connection: The arm.

        Returns:
            Why the motion must stop, empty when it may go on.

        Raises:
            SdkError: It failed; nothing is delivered then.
        """
        if connection is None:
            raise ArmError("no arm is connected")
        trouble = ""
        self._new.pop(name, None)  # if this read fails, the value before it is not published
        if name == "status":
            trouble = connection.watch.take(self._sdk.read("GetQuickStatus", QuickStatus))
        elif name == "joystick":
            if joystick_used(self._sdk.read("GetJoystickValue", JoystickCommand)):
                trouble = "somebody uses the joystick"
        else:
            self.measure(name)
        self.rates[name].add(self._clock())
        return trouble

    def measure(self, name: str) -> None:
        """Do a read that tells nothing of the arm's state, and hand on its value."""
        self._perform[name]()

    def _torques(self) -> None:
        values = self._sdk.torques(gravity_free=self._gravity_free)
        self._new["torques"] = values
        self._deliver("torques", values, self._clock())

    def _joints(self) -> None:
        read = self._sdk.read("GetAngularPosition", AngularPosition)
        at = self._clock()
        self.fingers = numbers(read.Fingers)
        self.joints = np.radians(numbers(read.Actuators)[:JOINTS])
        reading = JointReading(
            self.joints,
            self.fingers,
            self._new.pop("velocities", None),
            self._new.pop("torques", None),
        )
        self._deliver("joints", reading, at)

    def _pose(self) -> None:
        values = numbers(self._sdk.read("GetCartesianPosition", CartesianPosition).Coordinates)
        pose = Pose(values[:3], rotation_from_euler_xyz(values[3:]))
        self._deliver("pose", pose, self._clock())

    def _velocities(self) -> None:
        values = numbers(self._sdk.read("GetAngularVelocity", AngularPosition).Actuators)
        speeds = np.radians(values[:JOINTS]) * self._speed_factor
        self._new["velocities"] = speeds

    def _forces(self) -> None:
        values = numbers(self._sdk.read("GetCartesianForce", CartesianPosition).Coordinates)
        self._deliver("forces", values, self._clock())

    def _queue(self) -> None:
        info = self._sdk.read("GetGlobalTrajectoryInfo", TrajectoryFIFO)
        self._gate.found(int(info.TrajectoryCount), self._clock())

    def _control(self) -> None:
        self.control_type = self._sdk.control_type()

    def _sensors(self) -> None:
        self.sensors = self._sdk.read("GetSensorsInfo", SensorsInfo)

    def _errors(self) -> None:
        self.errors = self._sdk.errors(_NEWEST)
