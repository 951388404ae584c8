"""The twin's end of the stand-in: what goes through the SDK's memory is what the twin is told."""

import ctypes
import os

import numpy as np
import pytest

pytest.importorskip("rclpy")

from adp_ros.robots.jaco2.stand_in import StandInMemory
from adp_ros.robots.robot import robot_named
from adp_ros.ros.library_output import LibraryOutput
from adp_ros.ros.stand_in_node import StandInLink
from adp_ros.sim.base_controller import DriverMode, VelocityPoint
from adp_ros.sim.shared_twin import SharedTwin
from adp_ros.sim.task import SceneConfig
from adp_ros.sim.tasks import find_task
from adp_ros.sim.twin import Twin

LINEAR, ANGULAR, FINGERS = (0.0, 0.0625, -0.03125), (0.0, 0.0, 0.125), (512.0, 512.0, 512.0)


def _mode(twin):
    with twin.driver() as driver:
        return driver.mode


def _twin():
    return SharedTwin(Twin(SceneConfig(find_task("cube_to_plate"), 1, "j2n6s300")))


class Far:
    """A twin behind the memory; its other side is written as the library writes it."""

    def __init__(self, path):
        self.twin = _twin()
        self.memory = StandInMemory(path, create=True)
        self.arm = self.memory.arm
        self.link = StandInLink(self.arm, self.twin, robot_named("j2n6s300"))
        self.arm.control = 1

    def put(self, kind, values, fingers=None):
        point = self.arm.points[self.arm.head % 2048]
        point.type, point.hand = kind, 0 if fingers is None else 2
        for i, value in enumerate(values):
            point.values[i] = value
        for i, value in enumerate(fingers or ()):
            point.fingers[i] = value
        self.arm.head += 1

    def step(self):
        self.link.take_commands()
        reading, _ = self.twin.step(read=True, truth=False)
        self.link.hand_out(reading)
        return reading

    def close(self):
        del self.arm, self.link
        self.memory.close()


@pytest.fixture
def far(tmp_path):
    """A twin that hears the memory only."""
    link = Far(tmp_path / "arm")
    yield link
    link.close()


def test_points_through_the_memory_move_the_twin_as_points_sent_to_it(far):
    """Forty Cartesian points with fingers, then ten of joints: the same joints, to 1e-12 rad."""
    near = _twin()
    speeds = np.array([0.0, 0.0, 8.0, 0.0, 4.0, 0.0])
    for i in range(50):
        if i < 40:
            told = VelocityPoint(
                linear=np.array(LINEAR), angular=np.array(ANGULAR), fingers=np.array(FINGERS)
            )
            far.put(7, (*LINEAR, *ANGULAR), FINGERS)
        else:
            told = VelocityPoint(joints=np.radians(speeds))
            far.put(8, speeds)
        with near.driver() as driver:
            driver.send(told)
        expected, _ = near.step(read=True, truth=False)
        found = far.step()
        np.testing.assert_allclose(found.joints, expected.joints, atol=1e-12)
    np.testing.assert_allclose(far.arm.joints[:6], np.degrees(found.joints), rtol=1e-6)
    np.testing.assert_allclose(far.arm.torques[:6], found.torques, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(far.arm.speeds[:6], np.degrees(found.speeds) / 2.0, atol=1e-4)


def test_one_point_is_taken_per_tick_and_the_rest_waits(far):
    """The queue lives in the memory: it is 5 long after 3 ticks of 8 points, then erased."""
    for _ in range(8):
        far.put(7, (*LINEAR, *ANGULAR))
    for _ in range(3):
        far.step()
    assert far.arm.head - far.arm.taken == 5
    far.arm.erased = far.arm.head
    far.step()
    assert far.arm.head == far.arm.taken


def test_stop_reaches_the_twin_and_start_releases_it(far):
    """StopControlAPI stands for the driver's stop, StartControlAPI for its start."""
    far.arm.control = 0
    far.step()
    assert _mode(far.twin) is DriverMode.STOPPED
    far.arm.control = 1
    far.step()
    assert _mode(far.twin) is DriverMode.READY


def test_way_home_is_done_when_the_arm_is_there(far):
    """At home already: at once. Elsewhere: after the way, which a stop ends."""
    far.arm.homes += 1
    far.step()
    assert far.arm.homes_done == far.arm.homes
    for _ in range(60):
        far.put(7, (0.0, -0.1, 0.0, 0.0, 0.0, 0.0))
        far.step()
    far.arm.homes += 1
    for _ in range(5):
        far.step()
    assert (far.arm.homing, far.arm.homes_done) == (1, far.arm.homes - 1)
    far.arm.control = 0
    far.step()
    far.step()
    assert far.arm.homes_done == far.arm.homes


def test_what_a_library_prints_comes_as_lines():
    """Written by C to standard output; Python's own output is as before afterwards."""
    lines = []
    output = LibraryOutput(lines.append)
    libc = ctypes.CDLL(None)
    libc.printf(b"sockets %d\n", 3)
    os.write(1, b"binding\n\n")
    libc.fflush(None)
    output.close()
    assert sorted(lines) == ["binding", "sockets 3"]
