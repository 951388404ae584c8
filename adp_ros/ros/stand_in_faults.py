"""Faults between driver and SDK, ordered in the memory that stand-in and twin share."""

import time
from pathlib import Path
from typing import Final

import numpy as np

from ..faults.plan import Fault
from ..robots.jaco2.sdk_errors import CODES, GONE, OK
from ..robots.jaco2.stand_in import StandInMemory, function_names

_SLOW_US: Final = 2500
_CODES: Final = tuple(code for code in CODES if code not in (0, OK))
_MILD: Final = tuple(code for code in _CODES if code not in GONE)
_LOOP: Final = (
    *("GetAngularForce", "GetAngularPosition", "GetCartesianPosition"),
    *("GetGlobalTrajectoryInfo", "GetQuickStatus", "SendAdvanceTrajectory"),
)
_OTHERS: Final = (
    *("GetGlobalTrajectoryInfo", "GetQuickStatus", "GetAngularVelocity"),
    *("GetCartesianForce", "GetJoystickValue", "GetSensorsInfo"),
)
_FAILING: Final = {
    "sdk_torques_fail": "GetAngularForce",
    "sdk_joints_fail": "GetAngularPosition",
    "sdk_pose_fails": "GetCartesianPosition",
    "sdk_points_fail": "SendAdvanceTrajectory",
    "sdk_stop_fails": "StopControlAPI",
}


class StandInFaults:
    """Orders faults of the stand-in. Times are monotonic, in [s].

    Args:
        memory: File that twin and library share.
        folder: Of the library.
    """

    def __init__(self, memory: Path, folder: Path) -> None:
        self._path = memory
        self._numbers = {name: number for number, name in enumerate(function_names(folder))}
        self._memory: StandInMemory | None = None
        self._call_us = 0

    def order(self, fault: Fault) -> float:
        """Bring a fault about; return when."""
        arm, rng = self._opened().arm, np.random.default_rng(fault.seed)
        name, at = fault.kind, time.monotonic()
        if name in _FAILING:
            codes = _MILD if name == "sdk_stop_fails" else _CODES
            arm.fails[self._numbers[_FAILING[name]]] = int(rng.choice(codes))
        elif name == "sdk_others_fail":
            arm.fails[self._numbers[str(rng.choice(_OTHERS))]] = int(rng.choice(_MILD))
        elif name == "sdk_hang":
            arm.hangs[self._numbers[str(rng.choice(_LOOP))]] = 1
        elif name == "sdk_slow":
            self._call_us, arm.call_us = arm.call_us, _SLOW_US
        elif name != "sdk_driver_kill":
            setattr(arm, name.removeprefix("sdk_"), 1)
        return at

    def clear(self) -> None:
        """Take every fault away."""
        if self._memory is None:
            return
        arm = self._memory.arm
        for number in self._numbers.values():
            arm.fails[number] = arm.hangs[number] = 0
        arm.old_data = arm.unplugged = arm.joystick = 0
        arm.call_us, self._call_us = self._call_us or arm.call_us, 0

    def stop_call(self, at: float) -> float | None:
        """Return the time from a moment to the newest StopControlAPI in [s], None before one."""
        called = float(self._opened().arm.last_call[self._numbers["StopControlAPI"]])
        return called - at if called >= at else None

    @property
    def queue_largest(self) -> int:
        """Most points that the arm's queue held."""
        return int(self._opened().arm.largest)

    def close(self) -> None:
        """Let go of the memory."""
        if self._memory is not None:
            self._memory.close()

    def _opened(self) -> StandInMemory:
        if self._memory is None:
            self._memory = StandInMemory(self._path)
        return self._memory
