"""What Kinova's SDK returns when it fails, in words, and what to do about it.

Source: the headers of the SDK (API 5.2.0), and what its libraries returned when they were run
without an arm.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ...errors import ArmError

OK: Final = 1
NO_DEVICE: Final = 1015
NO_COMM_LAYER: Final = 2002

_PLUG: Final = "check power and cable of the arm, and lsusb for 22cd:0000"
_RIGHTS: Final = "install the udev rule (adp-ros doctor --robot shows it)"
_ALONE: Final = "end the other program that uses the arm"
_AGAIN: Final = "switch the arm off and on"
_INSTALL: Final = "install Kinova's SDK again, or give another sdk_path"
_LAUNCH: Final = "start the driver by the launch, which sets LD_LIBRARY_PATH"

_MEANING: Final[Mapping[int, tuple[str, str]]] = MappingProxyType(
    {
        0: ("nothing was done", _PLUG),
        666: ("unknown error", _AGAIN),
        1001: ("libusb could not be loaded", "apt install libusb-1.0-0"),
        1002: ("the device could not be opened", _RIGHTS),
        1003: ("writing to the device failed", _PLUG),
        1004: ("reading from the device failed", _PLUG),
        1005: ("reading an interrupt from the device failed", _PLUG),
        1006: ("the library could not be released", _AGAIN),
        1007: ("the connection to the arm failed", _PLUG),
        1008: ("the device's interface is taken", _ALONE),
        1009: ("unknown device", _PLUG),
        1010: ("the communication layer is not initialised", _PLUG),
        1011: ("the device has gone", _PLUG),
        1012: ("the device is busy", _ALONE),
        1013: ("libusb does not support the device", _INSTALL),
        1014: ("a packet could not be sent", _PLUG),
        1015: ("no arm was found", f"{_PLUG}; then {_RIGHTS}"),
        1016: ("the operation was not completed", _AGAIN),
        1017: ("the RS-485 handle is invalid", _AGAIN),
        1018: ("RS-485 is waiting", _AGAIN),
        1019: ("RS-485 has no memory left", _AGAIN),
        1020: ("RS-485 did not answer in time", _AGAIN),
        1021: ("the function is not available on this connection", _INSTALL),
        1022: ("the arm did not answer in time", _PLUG),
        2001: ("the API could not be initialised", _INSTALL),
        2002: ("the SDK did not find its communication layer", _LAUNCH),
        2003: ("the arm refused the first packet", _AGAIN),
        2004: ("the communication with the arm failed", _PLUG),
        2005: ("the arm refused a packet", _AGAIN),
        2006: ("the communication layer lacks its start", _INSTALL),
        2007: ("the communication layer lacks its end", _INSTALL),
        2008: ("the communication layer lacks its count of devices", _INSTALL),
        2009: ("the communication layer lacks its sending", _INSTALL),
        2010: ("the active device could not be set", _PLUG),
        2011: ("the list of devices could not be read", _PLUG),
        2012: ("a lock of the SDK failed", _ALONE),
        2013: ("the search for devices failed", _PLUG),
        2014: ("the active device could not be read", _PLUG),
        2015: ("RS-485 could not be opened", _AGAIN),
        2100: ("an argument is not allowed", "report it: the driver must not send that"),
        2101: ("the API is not initialised", _AGAIN),
        2102: ("the SDK's data could not be initialised", _INSTALL),
        5001: ("unknown file", _INSTALL),
        5002: ("out of memory", "free memory"),
        5003: ("a file could not be read", _INSTALL),
        9999: ("the arm refused the command", _AGAIN),
        25000: ("the arm can't tell its retract state", _AGAIN),
    }
)
CODES: Final = tuple(_MEANING)
GONE: Final = frozenset((0, 1007, 1009, 1010, 1011, 1015, 2101))
"""Codes after which the arm must be connected again."""


class SdkError(ArmError):
    """A call of the SDK failed.

    Attributes:
        call: Name of the function.
        code: What it returned.
    """

    def __init__(self, call: str, code: int, more: str = "") -> None:
        meaning, fix = _MEANING.get(code, ("a code that the SDK's headers do not name", _AGAIN))
        super().__init__(f"{call} returned {code}: {meaning}{more}; {fix}")
        self.call = call
        self.code = code

    @property
    def gone(self) -> bool:
        """True when the arm is no longer there."""
        return self.code in GONE
