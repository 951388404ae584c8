"""From the library to an arm that takes commands, and back: kinova-ros' own sequence."""

from collections.abc import Callable
from dataclasses import dataclass

from ...errors import AdpError, ArmError, ConfigError
from .arm_watch import ArmWatch, check_kind
from .driver_settings import ArmDriverSettings
from .sdk import SLOW, ArmDevice, Sdk
from .sdk_errors import NO_DEVICE, SdkError
from .sdk_types import QuickStatus, cartesian_velocity

_FINGERS: float = 30.0  # [s] for the fingers to initialise
_STILL = (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class ArmConnection:
    """A connected arm.

    Attributes:
        device: Which one.
        watch: Compares its state with that at the beginning.
    """

    device: ArmDevice
    watch: ArmWatch


def connect(sdk: Sdk, settings: ArmDriverSettings) -> ArmConnection:
    """Find the arm and make it take commands. Nothing moves, unless the fingers are asked for.

    Raises:
        ConfigError: It is not the one that the settings name.
        SdkError: A call failed.
    """
    sdk.open(settings.address)
    try:
        device, status = find_arm(sdk, settings)
        sdk.call("StartControlAPI", limit=SLOW)
        sdk.stop()
        sdk.call("StartControlAPI", limit=SLOW)
        sdk.prepare_torques()
        sdk.send(cartesian_velocity(_STILL, _STILL, None))
        if settings.init_fingers:
            init_fingers(sdk)
    except AdpError as error:
        try:
            sdk.call("CloseAPI", limit=SLOW)
        except SdkError as closing:
            raise ArmError(f"{error}; and {closing}") from error
        raise
    return ArmConnection(device, ArmWatch(status))


def find_arm(sdk: Sdk, settings: ArmDriverSettings) -> tuple[ArmDevice, QuickStatus]:
    """Select the arm that the settings mean, look that it is of their type, return its status.

    Raises:
        ConfigError: It is not the one that the settings name.
        ArmError: There is none, or a call failed.
    """
    device = choose(sdk.devices(), settings)
    sdk.select(device)
    status = sdk.read("GetQuickStatus", QuickStatus)
    check_kind(settings.robot_type, status)
    return device, status


def choose(devices: tuple[ArmDevice, ...], settings: ArmDriverSettings) -> ArmDevice:
    """Return the arm that the settings mean.

    Raises:
        ConfigError: There are several and no serial number, or none has it.
        ArmError: There is none.
    """
    wanted = settings.serial_number
    if not devices and settings.robot_ip:
        raise ArmError(
            f"robot_ip is {settings.robot_ip!r}, and no arm answers there ({NO_DEVICE}: no "
            "device); check its power, cable and address, and that this machine is in its network"
        )
    if not devices:
        raise SdkError("GetDevices", NO_DEVICE)
    found = ", ".join(device.serial_number for device in devices)
    if not wanted and len(devices) > 1:
        raise ConfigError(f"serial_number is '' with {len(devices)} arms, allowed: {found}")
    for device in devices:
        if wanted in ("", device.serial_number):
            return device
    raise ConfigError(f"serial_number is {wanted!r}, connected: {found}")


def init_fingers(sdk: Sdk) -> None:
    """Initialise the fingers, which opens the hand, and return to Cartesian control."""
    sdk.call("InitFingers", limit=_FINGERS)
    sdk.call("SetCartesianControl", limit=SLOW)


def disconnect(sdk: Sdk, say: Callable[[str], None]) -> None:
    """Stop the arm and let go of it; what fails on the way is said."""
    for step in (sdk.stop, lambda: sdk.call("CloseAPI", limit=SLOW)):
        try:
            step()
        except SdkError as error:
            say(str(error))
