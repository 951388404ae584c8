"""Kinova's SDK: its functions by ctypes, one call at a time, each with a time limit.

A call can hang, and a thread that hangs in it can't be ended. So every call says when it began and
how long it may take, and :class:`CallWatch`, in a thread of its own, tells the owner of one that
is overdue. What the owner can do is to end the process: the arm then runs out of points.
"""

import ctypes
import socket
import threading
import time
from collections.abc import Callable, Mapping
from ctypes import POINTER, Structure, byref, c_int, c_uint
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, TypeVar

from ...errors import ConfigError
from ...types import FloatArray
from .sdk_errors import NO_COMM_LAYER, OK, SdkError
from .sdk_library import SdkLibrary
from .sdk_types import (
    JOINTS,
    MAX_DEVICES,
    AngularPosition,
    CartesianPosition,
    EthernetCommConfig,
    JoystickCommand,
    KinovaDevice,
    QuickStatus,
    SensorsInfo,
    SystemError,
    TrajectoryFIFO,
    TrajectoryPoint,
    numbers,
)

S = TypeVar("S", bound=Structure)

SLOW: Final = 10.0  # [s] for connecting
_GRAVITY_OPTIMAL: Final = 1

_OUT: Final[Mapping[str, type[Any]]] = MappingProxyType(
    {
        "GetAngularPosition": AngularPosition,
        "GetAngularVelocity": AngularPosition,
        "GetAngularForce": AngularPosition,
        "GetAngularForceGravityFree": AngularPosition,
        "GetAngularCurrent": AngularPosition,
        "GetCartesianPosition": CartesianPosition,
        "GetCartesianForce": CartesianPosition,
        "GetGlobalTrajectoryInfo": TrajectoryFIFO,
        "GetSensorsInfo": SensorsInfo,
        "GetQuickStatus": QuickStatus,
        "GetControlType": c_int,
        "GetSystemErrorCount": c_uint,
    }
)
_PLAIN: Final = (
    *("InitAPI", "CloseAPI", "RefresDevicesList", "StartControlAPI", "StopControlAPI"),
    *("SetCartesianControl", "SetAngularControl", "EraseAllTrajectories", "MoveHome"),
    *("InitFingers", "ClearErrorLog"),
)
_OTHERS: Final[Mapping[str, list[Any]]] = MappingProxyType(
    {
        "GetAPIVersion": [POINTER(c_int)],
        "GetDevices": [POINTER(KinovaDevice), POINTER(c_int)],
        "SetActiveDevice": [KinovaDevice],
        "SendAdvanceTrajectory": [TrajectoryPoint],
        "SetFrameType": [c_int],
        "SetTorqueZero": [c_int],
        "SetGravityType": [c_int],
        "SetTorqueSafetyFactor": [ctypes.c_float],
        "GetSystemError": [c_uint, POINTER(SystemError)],
    }
)
_OPTIONAL: Final[Mapping[str, type[Any]]] = MappingProxyType(
    {"GetJoystickValue": JoystickCommand}  # not in every version
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EthernetAddress:
    """How an arm is reached over Ethernet; defaults as in kinova-ros.

    Attributes:
        robot_ip: The arm's address.
        local_ip: This machine's; empty for the one that reaches the arm.
        subnet_mask: Of both.
        local_cmd_port: This machine's port for commands.
        local_broadcast_port: This machine's port for broadcasts.
        robot_port: The arm's port.
        timeout_ms: How long an answer may take, in [ms].
    """

    robot_ip: str
    local_ip: str = ""
    subnet_mask: str = "255.255.255.0"
    local_cmd_port: int = 25000
    local_broadcast_port: int = 25025
    robot_port: int = 55000
    timeout_ms: int = 1000

    def config(self) -> EthernetCommConfig:
        """Return it as the SDK takes it.

        Raises:
            ConfigError: An address is none.
        """
        robot = _address("robot_ip", self.robot_ip)
        local = self.local_ip or _own_address(self.robot_ip)
        return EthernetCommConfig(
            _address("local_ip", local),
            _address("subnet_mask", self.subnet_mask),
            robot,
            self.local_cmd_port,
            self.local_broadcast_port,
            self.robot_port,
            self.timeout_ms,
        )


def _address(name: str, text: str) -> int:
    try:
        return int.from_bytes(socket.inet_pton(socket.AF_INET, text), "little")
    except OSError:
        raise ConfigError(
            f"{name} is {text!r}, allowed: an IPv4 address such as 192.168.100.11"
        ) from None


def _own_address(robot_ip: str) -> str:
    """Return this machine's address on the way to the arm; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((robot_ip, 1))
        except OSError as error:
            raise ConfigError(
                f"robot_ip is {robot_ip!r}, and this machine has no way to it ({error.strerror}); "
                "give its network card an address of the arm's network"
            ) from error
        return str(probe.getsockname()[0])


@dataclass(frozen=True, slots=True)
class ArmDevice:
    """One arm that the SDK found.

    Attributes:
        serial_number: As printed on the arm.
        model: Kinova's name.
        version: Of its firmware.
        device: What the SDK wants to have back.
    """

    serial_number: str
    model: str
    version: str
    device: KinovaDevice

    @classmethod
    def read(cls, device: KinovaDevice) -> "ArmDevice":
        """Read what the SDK gave."""
        parts = (device.VersionMajor, device.VersionMinor, device.VersionRelease)
        words = [
            bytes(name).decode(errors="replace").strip()
            for name in (device.SerialNumber, device.Model)
        ]
        return cls(words[0], words[1], ".".join(map(str, parts)), device)

    def __str__(self) -> str:
        return f"{self.model or 'arm'} {self.serial_number} (version {self.version})"


@dataclass(frozen=True, slots=True)
class CallInFlight:
    """A call that has not returned.

    Attributes:
        name: Function.
        began: In [s], on the clock of the :class:`Sdk`.
        limit: How long it may take, in [s].
    """

    name: str
    began: float
    limit: float


class Sdk:
    """The functions of one library.

    Args:
        library: Which one; checked.
        limit: How long a call may take that says nothing else, in [s].
        clock: Returns the time in [s].

    Raises:
        ConfigError: It can't be loaded, or lacks a function.
    """

    def __init__(
        self,
        library: SdkLibrary,
        limit: float = 0.25,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.library = library
        self._limit = limit
        self._clock = clock
        self._lock = threading.Lock()
        self.in_flight: CallInFlight | None = None
        try:
            loaded = ctypes.CDLL(str(library.command_layer))
        except OSError as error:
            raise ConfigError(
                f"{library.command_layer} can't be loaded: {error}; apt install libusb-1.0-0 "
                "libudev1"
            ) from error
        self._functions = {name: self._bound(loaded, name, []) for name in _PLAIN}
        for name, kind in _OUT.items():
            self._functions[name] = self._bound(loaded, name, [POINTER(kind)])
        for name, arguments in _OTHERS.items():
            self._functions[name] = self._bound(loaded, name, arguments)
        for name, kind in _OPTIONAL.items():
            if library.prefix + name in _exported(loaded, library.prefix + name):
                self._functions[name] = self._bound(loaded, name, [POINTER(kind)])
        if library.ethernet:
            arguments = [POINTER(EthernetCommConfig)]
            self._functions["InitEthernetAPI"] = self._bound(loaded, "InitEthernetAPI", arguments)

    def _bound(self, loaded: ctypes.CDLL, name: str, arguments: list[Any]) -> Any:
        try:
            function = loaded[self.library.prefix + name]
        except AttributeError:
            raise ConfigError(
                f"{self.library.command_layer} has no function {self.library.prefix}{name}: "
                "another version of the SDK, 5.2 or newer is needed"
            ) from None
        function.argtypes, function.restype = arguments, c_int
        return function

    def has(self, name: str) -> bool:
        """Tell whether the library has an optional function."""
        return name in self._functions

    def call(self, name: str, *arguments: Any, limit: float | None = None) -> None:
        """Call a function.

        Args:
            name: Without the prefix for Ethernet.
            arguments: As its prototype says.
            limit: How long it may take, in [s]; None for the limit of all.

        Raises:
            SdkError: It did not return 1.
        """
        with self._lock:
            code = self._timed(name, self._limit if limit is None else limit, *arguments)
        if code != OK:
            raise SdkError(name, code)

    def _timed(self, name: str, limit: float, *arguments: Any) -> int:
        self.in_flight = CallInFlight(name, self._clock(), limit)
        try:
            return int(self._functions[name](*arguments))
        finally:
            self.in_flight = None

    def call_beside(self, name: str) -> None:
        """Call a function while another one runs: a stop must not wait for ``MoveHome``.

        Raises:
            SdkError: It did not return 1.
        """
        code = self._functions[name]()
        if code != OK:
            raise SdkError(name, code)

    def read(self, name: str, kind: type[S]) -> S:
        """Call a function that fills one structure, and return it."""
        result = kind()
        self.call(name, byref(result))
        return result

    def version(self) -> str:
        """Return the version of the library; works without an arm."""
        parts = (c_int * 3)()
        self.call("GetAPIVersion", parts)
        return ".".join(map(str, parts))

    def open(self, address: EthernetAddress | None = None) -> None:
        """Initialise the SDK.

        Args:
            address: Of the arm, for Ethernet.

        Raises:
            SdkError: It refuses; 2002 names the folder.
        """
        try:
            if address is None:
                self.call("InitAPI", limit=SLOW)
            else:
                self.call("InitEthernetAPI", byref(address.config()), limit=SLOW)
        except SdkError as error:
            if error.code != NO_COMM_LAYER:
                raise
            library = self.library
            more = (
                f" {library.comm_layer.name}; it looks in LD_LIBRARY_PATH as the process started, "
                f"which needs {library.folder}"
            )
            raise SdkError(error.call, error.code, more) from None

    def devices(self) -> tuple[ArmDevice, ...]:
        """Return the arms that are there."""
        self.call("RefresDevicesList", limit=SLOW)
        found, result = (KinovaDevice * MAX_DEVICES)(), c_int(OK)
        with self._lock:
            count = self._timed("GetDevices", SLOW, found, byref(result))
        if result.value != OK:
            raise SdkError("GetDevices", result.value)
        return tuple(ArmDevice.read(device) for device in found[: max(0, count)])

    def select(self, device: ArmDevice) -> None:
        """Use one of the arms."""
        self.call("SetActiveDevice", device.device, limit=SLOW)

    def prepare_torques(self) -> None:
        """Let the arm take its own estimate of gravity, as kinova-ros does at its start."""
        self.call("SetGravityType", _GRAVITY_OPTIMAL, limit=SLOW)
        self.call("SetTorqueSafetyFactor", 1.0, limit=SLOW)

    def stop(self) -> None:
        """Stop the control and erase the arm's queue; the second is tried even if the first fails.

        Raises:
            SdkError: One of the two failed.
        """
        try:
            self.call("StopControlAPI")
        finally:
            self.call("EraseAllTrajectories")

    def send(self, point: TrajectoryPoint) -> None:
        """Append a point to the arm's queue."""
        self.call("SendAdvanceTrajectory", point)

    def torques(self, *, gravity_free: bool) -> FloatArray:
        """Return the joint torques, shape (6,), in [N m], with or without gravity."""
        name = "GetAngularForceGravityFree" if gravity_free else "GetAngularForce"
        return numbers(self.read(name, AngularPosition).Actuators)[:JOINTS]

    def control_type(self) -> int:
        """Return 0 where the arm is controlled in Cartesian space, 1 joint by joint."""
        result = c_int()
        self.call("GetControlType", byref(result))
        return result.value

    def zero_torque(self, joint: int) -> None:
        """Take the present torque of a joint, 1 to 6, for zero."""
        self.call("SetTorqueZero", 15 + joint, limit=SLOW)

    def errors(self, count: int) -> list[SystemError]:
        """Return the newest entries of the arm's own error log, at most `count`."""
        total = c_uint()
        self.call("GetSystemErrorCount", byref(total))
        entries = []
        for index in range(min(count, total.value)):
            entry = SystemError()
            self.call("GetSystemError", c_uint(index), byref(entry))
            entries.append(entry)
        return entries


def _exported(loaded: ctypes.CDLL, name: str) -> tuple[str, ...]:
    try:
        loaded[name]
    except AttributeError:
        return ()
    return (name,)


_LOOK: Final = 0.02  # [s] between two looks


class CallWatch:
    """Watches the calls of an :class:`Sdk` in a thread of its own.

    Args:
        sdk: What is watched.
        overdue: Called once, with the call and its duration in [s], when two looks in a row find
            the same call beyond its limit: one look alone would take a pause of the process for a
            call that hangs.
    """

    def __init__(self, sdk: Sdk, overdue: Callable[[CallInFlight, float], None]) -> None:
        self._sdk = sdk
        self._overdue = overdue
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sdk watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the watch."""
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        suspect: CallInFlight | None = None
        while not self._ending.wait(_LOOK):
            call = self._sdk.in_flight
            duration = 0.0 if call is None else time.monotonic() - call.began
            if call is None or duration <= call.limit:
                suspect = None
            elif call is suspect:
                self._overdue(call, duration)
                return
            else:
                suspect = call
