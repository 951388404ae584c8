"""The driver's loop over the stand-in: points, reads, stops, faults, the arm lost and found."""

import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest

from adp_ros.errors import AdpError, ConfigError
from adp_ros.health import Level
from adp_ros.robots.jaco2.arm_driver import ArmDriver, ArmMode
from adp_ros.robots.jaco2.arm_health import arm_components
from adp_ros.robots.jaco2.driver_settings import ArmDriverSettings
from adp_ros.robots.jaco2.sdk import Sdk
from adp_ros.robots.jaco2.sdk_errors import CODES, SdkError
from adp_ros.robots.jaco2.sdk_library import find_library
from adp_ros.robots.jaco2.sdk_types import cartesian_velocity

STILL = (0.0, 0.0, 0.0)
FORWARD = cartesian_velocity((0.0, 0.05, 0.0), STILL, None)


class Bench:
    """A driver that runs in a thread, and what it said and delivered."""

    def __init__(self, arm, folder, **settings):
        self.arm = arm
        self.delivered, self.said = [], []
        quick = {"reconnect_delay": 0.05, "reconnect_delay_max": 0.1, "stream_timeout": 1.0}
        self.driver = ArmDriver(
            Sdk(find_library(str(folder), ethernet=False)),
            ArmDriverSettings(**{**quick, **settings}),
            lambda name, value, at: self.delivered.append((name, value, at)),
            lambda level, words: self.said.append((level, words)),
            time.monotonic,
        )
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def start(self):
        self.driver.start()
        self._thread.start()

    def close(self):
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join()
        self.driver.close()

    def _run(self):
        while not self._ending.is_set():
            self.driver.work()

    def stream(self, seconds, period=0.01005, point=FORWARD):
        began = time.monotonic()
        for number in range(round(seconds / period)):
            self.driver.submit(point)
            time.sleep(max(0.0, began + (number + 1) * period - time.monotonic()))

    def until(self, condition, seconds=5.0):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"in vain: {self.driver.mode} {self.said[-3:]}"
            time.sleep(0.001)
        return time.monotonic()

    def moves(self):
        """Whether the arm moved in its last tick."""
        return self.arm.moved[-1][1] > 0.0

    def values(self, name):
        return [value for kind, value, _ in self.delivered if kind == name]


@pytest.fixture
def make(arm, stand_in):
    """Makes a running driver."""

    @contextmanager
    def running(**settings):
        bench = Bench(arm, stand_in, **settings)
        bench.start()
        try:
            yield bench
        finally:
            bench.close()

    return running


def test_connecting_moves_nothing_and_leaves_the_fingers_alone(make, arm, call_counts):
    """Kinova-ros' sequence: start, stop and erase, start, one zero velocity; no InitFingers."""
    with make() as bench:
        assert bench.driver.mode is ArmMode.READY
        assert (call_counts("StartControlAPI"), call_counts("StopControlAPI")) == (2, 1)
        assert call_counts("EraseAllTrajectories") == 1
        assert call_counts("SendAdvanceTrajectory") == 1
        assert (
            call_counts("InitFingers")
            == call_counts("MoveHome")
            == call_counts("SetTorqueZero")
            == 0
        )
        np.testing.assert_array_equal(arm.joints, arm.model.home)


def test_fingers_are_initialised_only_when_asked(make, call_counts):
    """By the setting, or by the request; Cartesian control comes back after it."""
    with make(init_fingers=True):
        assert (call_counts("InitFingers"), call_counts("SetCartesianControl")) == (1, 1)
    with make() as bench:
        assert call_counts("InitFingers") == 1
        assert bench.driver.ask_fingers().result(2.0) == "fingers initialised, the hand is open"
        assert (call_counts("InitFingers"), call_counts("SetCartesianControl")) == (2, 2)


def test_steady_stream_moves_the_arm_and_never_fills_its_queue(make, arm):
    """Most points of a busy machine's 99.5 Hz are used; the queue holds 3 at most."""
    with make() as bench:
        bench.stream(2.0)
        assert sum(speed > 0.0 for _, speed in arm.moved) > 100
        assert arm.arm.largest <= 3


def test_burst_is_dropped_not_queued(make, arm):
    """200 points at once: 3 reach the arm at most, and it stands 60 ms later."""
    with make() as bench:
        for _ in range(200):
            bench.driver.submit(FORWARD)
        bench.until(lambda: bench.driver.sent >= 1)
        time.sleep(0.1)
        assert bench.driver.sent <= 3
        assert bench.driver.sent + bench.driver.dropped == 200
        assert arm.arm.largest <= 3
        assert not bench.moves()


def test_points_faster_than_the_arm_are_dropped(make, arm):
    """At 200 Hz half of them are too much: the arm stops with the stream all the same."""
    with make() as bench:
        bench.stream(1.0, period=0.005)
        assert arm.arm.largest <= 3
        began = time.monotonic()
        assert bench.until(lambda: not bench.moves()) - began < 0.1


def test_point_that_is_not_a_number_is_dropped(make, call_counts):
    """It never reaches the arm."""
    with make() as bench:
        before = call_counts("SendAdvanceTrajectory")
        bench.driver.submit(cartesian_velocity((0.0, float("nan"), 0.0), STILL, None))
        bench.until(lambda: bench.driver.dropped == 1)
        assert call_counts("SendAdvanceTrajectory") == before


def test_stop_reaches_the_arm_at_once_and_holds(make, call_counts):
    """StopControlAPI and EraseAllTrajectories within 30 ms; points are dropped until start."""
    with make() as bench:
        bench.stream(0.2)
        stops, began = call_counts("StopControlAPI"), time.monotonic()
        done = bench.driver.ask_stop()
        assert done.result(1.0).startswith("stopped")
        assert time.monotonic() - began < 0.03
        assert call_counts("StopControlAPI") == stops + 1
        assert bench.driver.mode is ArmMode.STOPPED
        sent = bench.driver.sent
        bench.stream(0.1)
        assert bench.driver.sent == sent
        assert bench.driver.ask_start().result(1.0) == "started"
        bench.stream(0.1)
        assert bench.driver.sent > sent


def test_stop_wins_over_a_start_that_waits(make):
    """Stop, start, stop without a pause end stopped."""
    with make() as bench:
        futures = [bench.driver.ask_start(), bench.driver.ask_stop()]
        results = [future.result(2.0) for future in futures]
        assert results[1].startswith("stopped")
        if results[0] != "started":
            assert bench.driver.mode is ArmMode.STOPPED


def test_end_of_a_moving_stream_stops_the_arm(make, call_counts):
    """50 ms after the last point; a stream that ends with zeros needs no stop."""
    with make(stream_timeout=0.05) as bench:
        bench.stream(0.2)
        last = time.monotonic()
        assert bench.until(lambda: bench.driver.mode is ArmMode.STOPPED) - last < 0.12
        assert any("stream of velocities has ended" in words for _, words in bench.said)
        bench.driver.ask_start().result(1.0)
        bench.stream(0.1, point=cartesian_velocity(STILL, STILL, None))
        time.sleep(0.1)
        assert bench.driver.mode is ArmMode.READY


def test_values_are_delivered_in_si_units_each_once(make, arm):
    """Joints in rad, torques of the arm's own sensors, the pose of the model."""
    with make() as bench:
        bench.until(lambda: len(bench.values("pose")) > 3 and len(bench.values("torques")) > 3)
    joints = bench.values("joints")[-1]
    np.testing.assert_allclose(joints.joints, arm.model.home, atol=1e-5)
    assert joints.fingers.tolist() == [3000.0] * 3
    pose = bench.values("pose")[-1]
    np.testing.assert_allclose(pose.position, (0.2127, -0.2566, 0.507), atol=2e-4)
    times = [at for name, _, at in bench.delivered if name == "torques"]
    assert np.all(np.diff(times) > 0.0)


def test_torque_and_joints_are_read_often_enough_beside_the_stream(make, arm):
    """With 1.5 ms a call, as on USB: torques at 50 Hz or more while the arm is streamed to."""
    arm.arm.call_us = 1500
    with make() as bench:
        bench.stream(2.0)
        rates = {
            name: meter.rate(time.monotonic()) for name, meter in bench.driver.reads.rates.items()
        }
    assert rates["torques"] > 50.0
    assert rates["joints"] > 30.0
    assert rates["pose"] > 25.0


@pytest.mark.parametrize("function", ["GetAngularForce", "GetAngularPosition"])
def test_failed_read_is_not_published_again(make, arm, numbers, function):
    """While a read fails nothing of it is delivered, and the arm is not given up."""
    name = {"GetAngularForce": "torques", "GetAngularPosition": "joints"}[function]
    with make() as bench:
        bench.until(lambda: bench.values(name))
        arm.arm.fails[numbers[function]] = 1022
        time.sleep(0.05)
        count = len(bench.values(name))
        others = len(bench.values("pose"))
        bench.until(lambda: len(bench.values("pose")) > others + 5)
        assert len(bench.values(name)) == count
        assert bench.driver.mode is ArmMode.READY
        arm.arm.fails[numbers[function]] = 0
        bench.until(lambda: len(bench.values(name)) > count)


def test_gravity_free_torques_are_read_where_asked_for(make, call_counts):
    """The other function, and only it."""
    with make(torque_source="gravity_free") as bench:
        bench.until(lambda: bench.values("torques"))
        assert call_counts("GetAngularForceGravityFree") > 0
        assert call_counts("GetAngularForce") == 0


@pytest.mark.parametrize("code", [code for code in CODES if code])
def test_stop_that_fails_is_not_confirmed_and_tried_again(make, arm, numbers, code):
    """Whatever the code: the answer comes when the arm has stopped, not before."""
    with make() as bench:
        arm.arm.fails[numbers["StopControlAPI"]] = code
        done = bench.driver.ask_stop()
        time.sleep(0.02)
        assert not done.done()
        arm.arm.fails[numbers["StopControlAPI"]] = 0
        assert done.result(5.0).startswith("stopped")
        assert bench.driver.mode is ArmMode.STOPPED


def test_unplugged_arm_is_found_again_and_stands_until_start(make, arm, call_counts):
    """It is looked for with a growing delay; afterwards nothing moves by itself."""
    with make() as bench:
        bench.stream(0.1)
        arm.arm.unplugged = 1
        bench.until(lambda: bench.driver.mode is ArmMode.LOST)
        refused = bench.driver.ask_start()
        with pytest.raises(AdpError, match="the arm is lost"):
            refused.result(1.0)
        stopped = bench.driver.ask_stop()
        arm.arm.unplugged = 0
        assert stopped.result(5.0).startswith("stopped")
        assert bench.driver.mode is ArmMode.STOPPED
        sent = bench.driver.sent
        bench.stream(0.1)
        assert bench.driver.sent == sent
        bench.driver.ask_start().result(1.0)
        bench.stream(0.1)
        assert bench.driver.sent > sent


def test_joystick_stops_the_arm_until_start(make, arm):
    """Somebody else drives: the driver gives way, says so, and does not go on by itself."""
    with make() as bench:
        bench.stream(0.1)
        arm.arm.joystick = 1
        bench.until(lambda: bench.driver.mode is ArmMode.STOPPED)
        assert bench.driver.trouble == "somebody uses the joystick"
        health = arm_components(bench.driver, find_library_of(bench), time.monotonic)["arm"]()
        assert (health.level, health.message) == (Level.ERROR, "somebody uses the joystick")
        arm.arm.joystick = 0
        bench.driver.ask_start().result(1.0)
        assert bench.driver.trouble == ""


def find_library_of(bench):
    """The library that a bench's driver uses."""
    return bench.driver._sdk.library


def test_retract_button_stops_the_arm(make, arm):
    """A way to its home or retract position that nobody asked the driver for."""
    with make() as bench:
        arm.arm.homing = 1
        bench.until(lambda: bench.driver.mode is ArmMode.STOPPED)
        assert "somebody pressed a button" in bench.driver.trouble


def test_home_is_kinovas_own_way_and_opens_the_hand(make, call_counts):
    """Stop, start, MoveHome, InitFingers; ready afterwards."""
    with make() as bench:
        assert bench.driver.ask_home().result(5.0) == "arm is home"
        assert (call_counts("MoveHome"), call_counts("InitFingers")) == (1, 1)
        assert bench.driver.mode is ArmMode.READY


def test_stop_does_not_wait_for_the_way_home(make, arm, numbers, call_counts):
    """It is sent beside the call that blocks; the hand stays as it is."""
    with make() as bench:
        arm.arm.hangs[numbers["MoveHome"]] = 1
        home = bench.driver.ask_home()
        bench.until(lambda: call_counts("MoveHome") == 1)
        stops = call_counts("StopControlAPI")
        done = bench.driver.ask_stop()
        assert call_counts("StopControlAPI") == stops + 1
        arm.arm.hangs[numbers["MoveHome"]] = 0
        assert done.result(2.0).startswith("stopped")
        assert home.result(2.0) == "stopped on the way home"
        assert call_counts("InitFingers") == 0


def test_torques_are_zeroed_only_on_request(make, arm, call_counts):
    """Six joints, once, and in the candle pose only: elsewhere gravity would become the zero."""
    with make() as bench:
        bench.until(lambda: bench.values("joints"))
        with pytest.raises(AdpError, match="joint 3 is 123 deg away from 180, allowed: 3"):
            bench.driver.ask_zero_torques().result(2.0)
        assert call_counts("SetTorqueZero") == 0
        arm.joints = np.full(6, np.pi)
        bench.until(lambda: np.allclose(bench.driver.reads.joints, np.pi, atol=1e-3))
        assert bench.driver.ask_zero_torques().result(2.0) == "present torques are zero now"
        assert call_counts("SetTorqueZero") == 6


@pytest.mark.parametrize(
    ("given", "memory", "message"),
    [
        (
            {"robot_type": "j2s6s300"},
            {},
            "robot_type is 'j2s6s300', and the arm found is of type 3",
        ),
        ({}, {"robot_type": 1}, "the arm found is of type 1 (Mico, 6 joints)"),
        ({}, {"devices": 2}, "serial_number is '' with 2 arms, allowed: STAND-IN-1, STAND-IN-2"),
        ({"serial_number": "PJ1"}, {}, "serial_number is 'PJ1', connected: STAND-IN-1"),
        ({}, {"devices": 0}, "GetDevices returned 1015: no arm was found"),
        ({}, {"unplugged": 1}, "InitAPI returned 1015: no arm was found"),
    ],
)
def test_wrong_arm_is_refused_at_the_start(arm, stand_in, given, memory, message):
    """In one line, with nothing started."""
    for name, value in memory.items():
        setattr(arm.arm, name, value)
    bench = Bench(arm, stand_in, **given)
    with pytest.raises(AdpError) as caught:
        bench.driver.start()
    assert message in str(caught.value)
    assert arm.arm.control == 0


def test_second_of_two_arms_is_chosen_by_its_number(make, arm):
    """By the whole serial number."""
    arm.arm.devices = 2
    with make(serial_number="STAND-IN-2") as bench:
        assert bench.driver.connection.device.serial_number == "STAND-IN-2"


@pytest.mark.parametrize(
    "function",
    ["InitAPI", "SetActiveDevice", "GetQuickStatus", "StartControlAPI", "StopControlAPI"],
)
def test_call_that_fails_at_the_start_ends_it(arm, stand_in, numbers, function):
    """By name and code."""
    arm.arm.fails[numbers[function]] = 2005
    with pytest.raises(SdkError, match=f"{function} returned 2005"):
        Bench(arm, stand_in).driver.start()


def test_end_of_the_driver_stops_the_arm(make, arm, call_counts):
    """Control is given back, the queue is erased, the SDK is closed."""
    with make() as bench:
        bench.stream(0.1)
    assert arm.arm.control == 0
    assert call_counts("CloseAPI") == 1
    assert not bench.moves() or bench.until(lambda: not bench.moves())


def test_health_says_what_is_wrong(make, arm, numbers):
    """Rates, queue and supply are reported; too few torques are a warning."""
    with make() as bench:
        bench.until(lambda: bench.driver.reads.sensors is not None)
        components = arm_components(bench.driver, find_library_of(bench), time.monotonic)
        assert components["supply"]().values["voltage"] == pytest.approx(24.1)
        assert components["arm"]().values["serial_number"] == "STAND-IN-1"
        arm.arm.fails[numbers["GetAngularForce"]] = 1022
        bench.until(lambda: components["reads"]().level is Level.WARN)
        assert "50 are needed" in components["reads"]().message


def test_settings_out_of_range_are_refused():
    """By name."""
    with pytest.raises(ConfigError, match="torque_source"):
        ArmDriverSettings(torque_source="none")
    with pytest.raises(ConfigError, match="stream_timeout"):
        ArmDriverSettings(stream_timeout=0.0)
