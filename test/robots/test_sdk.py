"""Kinova's SDK by ctypes: layout, errors, where the libraries are, what a call costs."""

import ctypes
import statistics
import threading
import time

import numpy as np
import pytest
from stand_in_twin import ideal_arm

from adp_ros.errors import ConfigError
from adp_ros.robots.jaco2 import sdk_types
from adp_ros.robots.jaco2.sdk import CallWatch, EthernetAddress, Sdk
from adp_ros.robots.jaco2.sdk_errors import CODES, SdkError
from adp_ros.robots.jaco2.sdk_library import SdkLibrary, find_library
from adp_ros.robots.jaco2.sdk_types import (
    AngularPosition,
    QuickStatus,
    cartesian_velocity,
    joint_velocity,
    moves,
)
from adp_ros.robots.jaco2.stand_in import StandInArm, StandInPoint

# Printed by a C++ program from Kinova's own header (API 5.2.0, x86-64): size, then offsets.
LAYOUT = {
    "AngularInfo": (28, {"Actuator1": 0, "Actuator7": 24}),
    "CartesianInfo": (24, {"X": 0, "ThetaX": 12, "ThetaZ": 20}),
    "FingersPosition": (12, {"Finger3": 8}),
    "AngularPosition": (40, {"Actuators": 0, "Fingers": 28}),
    "CartesianPosition": (36, {"Coordinates": 0, "Fingers": 24}),
    "Limitation": (
        36,
        {"speedParameter1": 0, "forceParameter1": 12, "accelerationParameter1": 24},
    ),
    "UserPosition": (
        76,
        {"Type": 0, "Delay": 4, "CartesianPosition": 8, "Actuators": 32, "HandMode": 60}
        | {"Fingers": 64},
    ),
    "TrajectoryPoint": (
        120,
        {"Position": 0, "LimitationsActive": 76, "SynchroType": 80, "Limitations": 84},
    ),
    "TrajectoryFIFO": (12, {"TrajectoryCount": 0, "UsedPercentage": 4, "MaxSize": 8}),
    "SensorsInfo": (60, {"Voltage": 0, "AccelerationX": 8, "ActuatorTemp1": 20, "FingerTemp1": 48}),
    "QuickStatus": (
        14,
        {"RetractType": 3, "ControlActiveModule": 6, "RobotType": 11, "TorqueSensorsStatus": 13},
    ),
    "KinovaDevice": (
        60,
        {"SerialNumber": 0, "Model": 20, "VersionMajor": 40, "DeviceType": 52, "DeviceID": 56},
    ),
    "EthernetCommConfig": (
        40,
        {"localIpAddress": 0, "subnetMask": 8, "robotIpAddress": 16, "localCmdport": 24}
        | {"localBcastPort": 26, "robotPort": 28, "rxTimeOutInMs": 32},
    ),
    "SystemError": (236, {"ErrorType": 4, "LayerErrorStatus": 20, "DataCount": 32, "Data": 36}),
    "JoystickCommand": (56, {"ButtonValue": 0, "InclineLeftRight": 32, "PushPull": 52}),
}


@pytest.mark.parametrize("name", LAYOUT)
def test_structures_lie_in_memory_as_in_kinovas_header(name):
    """Size and offsets are those that the header has in C++."""
    structure = vars(sdk_types)[name]
    size, offsets = LAYOUT[name]
    assert ctypes.sizeof(structure) == size
    assert {field: vars(structure)[field].offset for field in offsets} == offsets


def test_stand_in_and_module_share_one_layout(stand_in):
    """C and Python mean the same bytes."""
    library = ctypes.CDLL(str(stand_in / "USBCommandLayerUbuntu.so"))
    assert library.StandInSize() == ctypes.sizeof(StandInArm)


@pytest.mark.parametrize("code", CODES)
def test_every_code_is_an_error_with_meaning_and_fix(code):
    """One line: the function, the code, what it means, what to do."""
    text = str(SdkError("GetQuickStatus", code))
    head, meaning, fix = text.partition(": ")[0], *text.partition(": ")[2].rsplit("; ", 1)
    assert head == f"GetQuickStatus returned {code}"
    assert meaning
    assert fix
    assert "\n" not in text


def test_code_without_a_name_is_an_error_too():
    """Whatever is not 1 is a failure."""
    assert str(SdkError("MoveHome", 4711)).startswith("MoveHome returned 4711: a code that")


def test_each_read_function_fails_with_the_code_it_returned(arm, sdk, numbers):
    """No value comes from a call that failed, whatever its code."""
    sdk.open()
    for name in ("GetAngularForce", "GetAngularPosition", "GetQuickStatus"):
        for code in (0, 1022, 2005, 9999):
            arm.arm.fails[numbers[name]] = code or 666
            kind = QuickStatus if name == "GetQuickStatus" else AngularPosition
            with pytest.raises(SdkError) as caught:
                sdk.read(name, kind)
            assert (caught.value.call, caught.value.code) == (name, code or 666)
        arm.arm.fails[numbers[name]] = 0
    assert sdk.read("GetAngularPosition", AngularPosition).Fingers.Finger1 == 3000.0


def test_values_pass_unchanged_in_both_directions(arm, sdk):
    """A point arrives in the arm's queue as it was made; joints are read as they are."""
    sdk.open()
    sdk.call("StartControlAPI")
    read = sdk_types.numbers(sdk.read("GetAngularPosition", AngularPosition).Actuators)
    np.testing.assert_allclose(read[:6], np.degrees(arm.model.home), rtol=1e-6)
    sdk.send(cartesian_velocity((0.0, 0.04, 0.0), (0.0, 0.0, 0.1), (100.0, 200.0, 300.0)))
    head = arm.arm.head
    point = StandInPoint.from_buffer_copy(arm.arm.points[head - 1])
    assert (head, point.type, point.hand) == (1, 7, 2)
    np.testing.assert_allclose(point.values[:6], (0.0, 0.04, 0.0, 0.0, 0.0, 0.1), rtol=1e-6)
    assert list(point.fingers) == [100.0, 200.0, 300.0]


def test_point_without_motion_is_told_from_one_with():
    """What the stream's end is judged by."""
    still = (0.0, 0.0, 0.0)
    assert not moves(cartesian_velocity(still, still, still))
    assert moves(cartesian_velocity(still, still, (0.0, 0.0, 5.0)))
    assert moves(joint_velocity((0.0, 0.0, 0.0, 0.0, 0.0, -1.0)))


def test_no_arm_and_no_communication_layer_have_their_own_codes(stand_in, sdk, monkeypatch):
    """Without an arm 1015, as Kinova's library returns it."""
    monkeypatch.delenv("ADP_ROS_STAND_IN", raising=False)
    with pytest.raises(SdkError, match="InitAPI returned 1015: no arm was found"):
        sdk.open()


def test_ethernet_functions_have_their_prefix(tmp_path, stand_in, monkeypatch):
    """The same calls, over the other library."""
    monkeypatch.setenv("ADP_ROS_STAND_IN", str(tmp_path / "arm"))
    with ideal_arm(tmp_path / "arm"):
        sdk = Sdk(find_library(str(stand_in), ethernet=True))
        sdk.open(EthernetAddress(robot_ip="127.0.0.1"))
        (device,) = sdk.devices()
        assert device.serial_number == "STAND-IN-1"
        sdk.call("CloseAPI")


def test_addresses_are_in_network_order():
    """As ``inet_addr`` gives them: the first byte of the address is the lowest."""
    config = EthernetAddress(robot_ip="192.168.100.11", local_ip="10.0.0.1").config()
    assert config.robotIpAddress == 192 + (168 << 8) + (100 << 16) + (11 << 24)
    assert (config.localIpAddress, config.robotPort) == (10 + (1 << 24), 55000)


@pytest.mark.parametrize("address", ["arm", "192.168.100", ""])
def test_address_that_is_none_is_refused(address):
    """By name."""
    with pytest.raises(ConfigError, match="robot_ip is"):
        EthernetAddress(robot_ip=address, local_ip="10.0.0.1").config()


def test_folder_without_libraries_and_other_libraries_are_refused(tmp_path, stand_in):
    """Each in one line with the fix."""
    with pytest.raises(ConfigError, match="no such folder"):
        find_library(str(tmp_path / "nowhere"), ethernet=False)
    with pytest.raises(ConfigError, match="there is no USBCommandLayerUbuntu.so in it"):
        find_library(str(tmp_path), ethernet=False)
    elf = (stand_in / "USBCommandLayerUbuntu.so").read_bytes()
    (tmp_path / "USBCommandLayerUbuntu.so").write_bytes(elf)
    with pytest.raises(ConfigError, match=r"no USBCommLayerUbuntu.so in it \(2002: communication"):
        find_library(str(tmp_path), ethernet=False)
    for name in ("USBCommandLayerUbuntu.so", "USBCommLayerUbuntu.so"):
        (tmp_path / name).write_bytes(elf[:4] + b"\x01" + elf[5:])
    with pytest.raises(ConfigError, match="is a 32-bit library, x86-64 is needed"):
        find_library(str(tmp_path), ethernet=False)
    (tmp_path / "USBCommandLayerUbuntu.so").write_text("text")
    with pytest.raises(ConfigError, match="is no library"):
        find_library(str(tmp_path), ethernet=False)


def test_library_of_another_version_is_refused(tmp_path, stand_in):
    """One that lacks a function is named with it."""
    comm = (stand_in / "USBCommLayerUbuntu.so").read_bytes()
    for name in ("USBCommandLayerUbuntu.so", "USBCommLayerUbuntu.so"):
        (tmp_path / name).write_bytes(comm)
    with pytest.raises(ConfigError, match="has no function InitAPI: another version"):
        Sdk(find_library(str(tmp_path), ethernet=False))


def test_folder_comes_first_in_the_librarys_path(tmp_path):
    """And is set only where it is missing."""
    library = SdkLibrary(tmp_path, ethernet=False)
    assert library.environment({}) == {"LD_LIBRARY_PATH": str(tmp_path)}
    assert library.environment({"LD_LIBRARY_PATH": "/a:/b"}) == {
        "LD_LIBRARY_PATH": f"{tmp_path}:/a:/b"
    }
    assert library.environment({"LD_LIBRARY_PATH": f"/a:{tmp_path}"}) == {}


def test_hanging_call_is_told_while_it_hangs(arm, sdk, numbers):
    """The watch names the call, within 100 ms after its limit."""
    sdk.open()
    found, told = [], threading.Event()

    def overdue(call, duration):
        found.append((call.name, duration))
        told.set()

    watch = CallWatch(sdk, overdue)
    arm.arm.hangs[numbers["GetAngularForce"]] = 1
    caller = threading.Thread(target=lambda: sdk.torques(gravity_free=False))
    caller.start()
    assert told.wait(2.0)
    arm.arm.hangs[numbers["GetAngularForce"]] = 0
    caller.join()
    watch.close()
    ((name, duration),) = found
    assert name == "GetAngularForce"
    assert 0.25 < duration < 0.6


def test_calls_in_time_are_not_told(arm, sdk):
    """A thousand of them."""
    sdk.open()
    found = []
    watch = CallWatch(sdk, lambda *call: found.append(call))
    for _ in range(1000):
        sdk.torques(gravity_free=False)
    watch.close()
    assert found == []


def test_call_costs_little_over_the_library(arm, sdk, stand_in):
    """The median of what lock, clock and conversion add is under 50 us."""
    sdk.open()
    plain = ctypes.CDLL(str(stand_in / "USBCommandLayerUbuntu.so"))
    result = AngularPosition()

    def median(call):
        times = []
        for _ in range(2000):
            began = time.perf_counter()
            call()
            times.append(time.perf_counter() - began)
        return statistics.median(times)

    bare = median(lambda: plain.GetAngularForce(ctypes.byref(result)))
    ours = median(lambda: sdk.torques(gravity_free=False))
    assert ours - bare < 50e-6
