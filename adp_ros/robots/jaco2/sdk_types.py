"""Structures and numbers of Kinova's SDK (API 5.2.0, x86-64), as its header declares them.

Names of structures and fields are the header's. ``float`` is 32 bits; angles are in degrees,
Cartesian values in metres and radians, fingers in ticks.
"""

import ctypes
from collections.abc import Mapping, Sequence
from ctypes import Structure, c_bool, c_char, c_float, c_int, c_uint, c_uint8, c_uint16, c_ulong
from enum import IntEnum
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from ...types import FloatArray

MAX_DEVICES: Final = 20
JOINTS: Final = 6
_STRING: Final = 20

_Fields = list[tuple[str, Any]]


def _floats(*names: str) -> _Fields:
    return [(name, c_float) for name in names]


class AngularInfo(Structure):
    """One number per actuator."""

    _fields_ = _floats(*(f"Actuator{i}" for i in range(1, 8)))


class CartesianInfo(Structure):
    """Position and Euler angles (x-y'-z''), or their speeds."""

    _fields_ = _floats("X", "Y", "Z", "ThetaX", "ThetaY", "ThetaZ")


class FingersPosition(Structure):
    """One number per finger, in ticks or ticks per second."""

    _fields_ = _floats("Finger1", "Finger2", "Finger3")


class AngularPosition(Structure):
    """What the angular reads return."""

    _fields_ = [("Actuators", AngularInfo), ("Fingers", FingersPosition)]


class CartesianPosition(Structure):
    """What the Cartesian reads return."""

    _fields_ = [("Coordinates", CartesianInfo), ("Fingers", FingersPosition)]


class Limitation(Structure):
    """Limits of a point; not used with velocities."""

    _fields_ = _floats(
        *(f"{kind}Parameter{i}" for kind in ("speed", "force", "acceleration") for i in (1, 2, 3))
    )


class UserPosition(Structure):
    """What a point asks for."""

    _fields_ = [
        ("Type", c_int),
        ("Delay", c_float),
        ("CartesianPosition", CartesianInfo),
        ("Actuators", AngularInfo),
        ("HandMode", c_int),
        ("Fingers", FingersPosition),
    ]


class TrajectoryPoint(Structure):
    """One point of the arm's queue, good for 10 ms."""

    _fields_ = [
        ("Position", UserPosition),
        ("LimitationsActive", c_int),
        ("SynchroType", c_int),
        ("Limitations", Limitation),
    ]


class TrajectoryFIFO(Structure):
    """How full the arm's queue is."""

    _fields_ = [
        ("TrajectoryCount", c_uint),
        ("UsedPercentage", c_float),
        ("MaxSize", c_uint),
    ]


class SensorsInfo(Structure):
    """Supply in V and A, acceleration in G, temperatures in degrees Celsius."""

    _fields_ = _floats(
        *("Voltage", "Current", "AccelerationX", "AccelerationY", "AccelerationZ"),
        *(f"ActuatorTemp{i}" for i in range(1, 8)),
        *(f"FingerTemp{i}" for i in range(1, 4)),
    )


class QuickStatus(Structure):
    """State of the arm's controller, one byte each."""

    _fields_ = [
        (name, c_uint8)
        for name in (
            *("Finger1Status", "Finger2Status", "Finger3Status", "RetractType"),
            *("RetractComplexity", "ControlEnableStatus", "ControlActiveModule"),
            *("ControlFrameType", "CartesianFaultState", "ForceControlStatus"),
            *("CurrentLimitationStatus", "RobotType", "RobotEdition", "TorqueSensorsStatus"),
        )
    ]


class KinovaDevice(Structure):
    """One arm that was found."""

    _fields_ = [
        ("SerialNumber", c_char * _STRING),
        ("Model", c_char * _STRING),
        ("VersionMajor", c_int),
        ("VersionMinor", c_int),
        ("VersionRelease", c_int),
        ("DeviceType", c_int),
        ("DeviceID", c_int),
    ]


class EthernetCommConfig(Structure):
    """Addresses in network order, as ``inet_addr`` gives them."""

    _fields_ = [
        ("localIpAddress", c_ulong),
        ("subnetMask", c_ulong),
        ("robotIpAddress", c_ulong),
        ("localCmdport", c_uint16),
        ("localBcastPort", c_uint16),
        ("robotPort", c_uint16),
        ("rxTimeOutInMs", c_ulong),
    ]


class SystemError(Structure):
    """One entry of the arm's own error log."""

    _fields_ = [
        ("ErrorHeader", c_uint),
        ("ErrorType", c_int),
        ("FirmwareVersion", c_int),
        ("KeosVersion", c_int),
        ("SystemTime", c_uint),
        ("LayerErrorStatus", c_bool * 7),
        ("LifeTime", c_int),
        ("DataCount", c_int),
        ("Data", c_uint * 50),
    ]


class JoystickCommand(Structure):
    """What the joystick asks for: buttons, then axes from -1 to 1."""

    _fields_ = [
        ("ButtonValue", ctypes.c_short * 16),
        *_floats("InclineLeftRight", "InclineForwardBackward", "Rotate"),
        *_floats("MoveLeftRight", "MoveForwardBackward", "PushPull"),
    ]


class PositionType(IntEnum):
    """What the numbers of a point mean."""

    CARTESIAN_VELOCITY = 7
    ANGULAR_VELOCITY = 8


class HandMode(IntEnum):
    """What a point does with the fingers."""

    NO_MOVEMENT = 0
    POSITION = 1
    VELOCITY = 2


class Retract(IntEnum):
    """``RetractType`` of :class:`QuickStatus`."""

    NORMAL_TO_READY = 0
    READY = 1
    READY_TO_RETRACT = 2
    RETRACTED = 3
    RETRACT_TO_READY = 4
    NORMAL = 5
    NOT_INITIALISED = 6


class ControlModule(IntEnum):
    """``ControlActiveModule`` of :class:`QuickStatus`."""

    NONE = 0
    ANGULAR_VELOCITY = 1
    ANGULAR_POSITION = 2
    CARTESIAN_VELOCITY = 3
    CARTESIAN_POSITION = 4
    RETRACT = 5
    TRAJECTORY = 6
    PREDEFINED = 7
    DELAY = 8


ARM_KINDS: Final[Mapping[int, str]] = MappingProxyType(
    {
        0: "Jaco 1, assistive",
        1: "Mico, 6 joints",
        2: "Mico, 4 joints",
        3: "Jaco 2, 6 joints",
        4: "Jaco 2, 4 joints",
        5: "Mico, 6 joints, assistive",
        6: "Jaco 2, 6 joints, assistive",
        7: "Jaco 2, 6 joints, spherical wrist",
        8: "Jaco 2, 7 joints, spherical wrist",
    }
)
"""``RobotType`` of :class:`QuickStatus` in words."""

TYPES_OF_WRIST: Final[Mapping[str, tuple[int, ...]]] = MappingProxyType({"n": (3, 6), "s": (7,)})
"""Third letter of a ``robot_type`` -> values of ``RobotType`` with six such joints."""


def cartesian_velocity(
    linear: Sequence[float], angular: Sequence[float], fingers: Sequence[float] | None
) -> TrajectoryPoint:
    """Make a point of tool velocity.

    Args:
        linear: In the base frame, 3 numbers in [m/s].
        angular: 3 numbers in [rad/s], in the frame that the arm reads.
        fingers: Speeds, 3 numbers in [ticks/s], positive closes; None leaves them alone.
    """
    point = _velocity(PositionType.CARTESIAN_VELOCITY, fingers)
    point.Position.CartesianPosition = CartesianInfo(*linear, *angular)
    return point


def joint_velocity(speeds: Sequence[float]) -> TrajectoryPoint:
    """Make a point of joint speeds, 6 numbers in [deg/s]."""
    point = _velocity(PositionType.ANGULAR_VELOCITY, None)
    point.Position.Actuators = AngularInfo(*speeds)
    return point


def _velocity(kind: PositionType, fingers: Sequence[float] | None) -> TrajectoryPoint:
    point = TrajectoryPoint()
    point.Position.Type = int(kind)
    if fingers is not None:
        point.Position.HandMode = int(HandMode.VELOCITY)
        point.Position.Fingers = FingersPosition(*fingers)
    return point


def is_finite(point: TrajectoryPoint) -> bool:
    """Tell whether all numbers of a point are."""
    # The integers among them are finite as floats too.
    return bool(np.isfinite(numbers(point.Position)).all())


def moves(point: TrajectoryPoint) -> bool:
    """Tell whether a point asks for any motion."""
    values = (
        numbers(point.Position.CartesianPosition),
        numbers(point.Position.Actuators),
        numbers(point.Position.Fingers),
    )
    return any(part.any() for part in values)


def numbers(structure: Structure) -> FloatArray:
    """Return the numbers of a structure that holds nothing but floats, in its order."""
    return np.frombuffer(bytes(structure), np.float32).astype(np.float64)
