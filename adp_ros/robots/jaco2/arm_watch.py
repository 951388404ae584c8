"""What the arm says of its own state, and which of it must stop the motion.

The headers describe some flags the other way round than one would read their names, so that a
flag that must not change while the arm moves is compared with what it was when the arm was
connected.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

from ...errors import ConfigError
from .sdk_types import (
    ARM_KINDS,
    TYPES_OF_WRIST,
    ControlModule,
    JoystickCommand,
    QuickStatus,
    Retract,
    SensorsInfo,
)

_FLAGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ControlEnableStatus": "the arm's control was switched",
        "CartesianFaultState": "the arm reports a Cartesian fault: near a singularity or a limit, "
        "move it away with the joystick",
        "ForceControlStatus": "force control was switched",
        "TorqueSensorsStatus": "the torque sensors were switched",
    }
)
_OTHERS_MOVE: Final = MappingProxyType(
    {
        ControlModule.RETRACT: "the arm moves to its home or retract position",
        ControlModule.PREDEFINED: "the arm moves to a predefined position",
    }
)
_AXIS: Final = 0.1  # of the joystick's full deflection
VOLTAGE: Final = (20.0, 29.0)  # [V] of the 24 V supply
HOT: Final = 65.0  # [degrees Celsius]
_AXES: Final = (
    *("InclineLeftRight", "InclineForwardBackward", "Rotate"),
    *("MoveLeftRight", "MoveForwardBackward", "PushPull"),
)


def check_kind(robot_type: str, status: QuickStatus) -> None:
    """Refuse an arm of another type than the settings say.

    Raises:
        ConfigError: Names both.
    """
    allowed = TYPES_OF_WRIST[robot_type[2]]
    if status.RobotType not in allowed:
        found = ARM_KINDS.get(status.RobotType, "unknown")
        raise ConfigError(
            f"robot_type is {robot_type!r}, and the arm found is of type {status.RobotType} "
            f"({found}), allowed: {' or '.join(f'{n} ({ARM_KINDS[n]})' for n in allowed)}"
        )


class ArmWatch:
    """Compares the arm's state with what it was at the beginning.

    Args:
        first: State when the arm was connected.
    """

    def __init__(self, first: QuickStatus) -> None:
        self._first = first
        self.status = first

    def take(self, status: QuickStatus) -> str:
        """Return why the motion must stop, empty when it may go on."""
        before, self.status = self.status, status
        first, now = _flags(self._first), _flags(status)
        for name, words in _FLAGS.items():
            if now[name] != first[name]:
                return f"{words} ({name} is {now[name]}, was {first[name]})"
        module = status.ControlActiveModule
        if module in _OTHERS_MOVE and module != self._first.ControlActiveModule:
            return f"{_OTHERS_MOVE[ControlModule(module)]}: somebody pressed a button"
        moving = (Retract.READY_TO_RETRACT, Retract.RETRACT_TO_READY)
        if status.RetractType != before.RetractType and status.RetractType in moving:
            return "the arm moves between its home and retract positions"
        return ""

    def notes(self) -> list[str]:
        """Return what to know of the present state, in words."""
        s, found = self.status, []
        if s.RetractType == Retract.NOT_INITIALISED:
            found.append("not homed since it was switched on (adp-ros arm home)")
        if not s.TorqueSensorsStatus:
            found.append("says that it has no torque sensors")
        if not (s.Finger1Status and s.Finger2Status):
            found.append("fingers not initialised (adp-ros arm fingers; opens the hand)")
        return found


def _flags(status: QuickStatus) -> dict[str, int]:
    values = (
        *(status.ControlEnableStatus, status.CartesianFaultState),
        *(status.ForceControlStatus, status.TorqueSensorsStatus),
    )
    return dict(zip(_FLAGS, values, strict=True))


def joystick_used(command: JoystickCommand) -> bool:
    """Tell whether somebody moves the joystick or presses one of its buttons."""
    axes = np.frombuffer(bytes(command), np.float32, count=len(_AXES), offset=32)
    return any(command.ButtonValue) or bool(np.abs(axes).max() > _AXIS)


def sensor_problems(info: SensorsInfo) -> list[str]:
    """Return what is wrong with supply and temperatures, in words."""
    found = []
    low, high = VOLTAGE
    if not low <= info.Voltage <= high:
        found.append(f"supply {info.Voltage:.1f} V, {low:.0f} to {high:.0f} V is right")
    found += [f"{name} {value:.0f} C" for name, value in temperatures(info).items() if value > HOT]
    return found


def temperatures(info: SensorsInfo) -> dict[str, float]:
    """Return the temperatures of joints and fingers by name, in [degrees Celsius]."""
    values = np.frombuffer(bytes(info), np.float32)[5:].tolist()
    names = [f"joint_{i}" for i in range(1, 8)] + [f"finger_{i}" for i in range(1, 4)]
    return dict(zip(names, values, strict=True))
