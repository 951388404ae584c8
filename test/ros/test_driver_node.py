"""The driver's process over the stand-in: topics, services, and every way that it can end."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import rclpy
from geometry_msgs.msg import PoseStamped
from kinova_msgs.msg import JointAngles, PoseVelocityWithFingers
from kinova_msgs.srv import Start, Stop
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import JointState
from spinner import Spinner

sys.path.insert(0, str(Path(__file__).parents[1] / "robots"))
from stand_in_twin import ideal_arm

from adp_ros.robots.jaco2.messages import joints_from_angles, pose_from_message
from adp_ros.robots.jaco2.stand_in import VARIABLE, build_stand_in, function_names

DRIVER = "/j2n6s300_driver"
PROGRAM = "import sys; from adp_ros.ros.driver_node import main; sys.exit(main())"
DOMAIN = 20 + os.getpid() % 80


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The stand-in's libraries."""
    return build_stand_in(tmp_path_factory.mktemp("sdk"))


@pytest.fixture
def arm(tmp_path):
    """An arm that moves as told."""
    with ideal_arm(tmp_path / "arm") as moving:
        yield moving


def _environment(**more):
    environment = {**os.environ, "ROS_DOMAIN_ID": str(DOMAIN)}
    environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    environment.pop(VARIABLE, None)
    return {**environment, **more}


def _start(folder, *parameters, **more):
    words = [word for p in (f"sdk_path:={folder}", *parameters) for word in ("-p", p)]
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "--ros-args", *words],
        env=_environment(**more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def _driver(folder, arm, *parameters):
    process = _start(folder, *parameters, **{VARIABLE: str(arm.memory.path)})
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


class Probe(Node):
    """Hears the driver and commands it."""

    def __init__(self, context):
        super().__init__("probe", context=context)
        self.newest, self.count = {}, {}
        for name, kind in (
            ("joint_torques", JointAngles),
            ("joint_angles", JointAngles),
            ("joint_state", JointState),
            ("tool_pose", PoseStamped),
        ):
            self.create_subscription(kind, f"{DRIVER}/out/{name}", self._keep(name), 10)
        self.velocity = self.create_publisher(
            PoseVelocityWithFingers, f"{DRIVER}/in/cartesian_velocity_with_fingers", 1
        )
        self.stop = self.create_client(Stop, f"{DRIVER}/in/stop")
        self.start = self.create_client(Start, f"{DRIVER}/in/start")

    def _keep(self, name):
        def take(message):
            self.newest[name] = message
            self.count[name] = self.count.get(name, 0) + 1

        return take


@pytest.fixture
def probe():
    """A node of its own context, spun in a thread."""
    context = rclpy.Context()
    before = os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE")
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    rclpy.init(args=[], context=context, domain_id=DOMAIN)
    node = Probe(context)
    spinning = Spinner(SingleThreadedExecutor(context=context), node)
    yield node
    spinning.end()
    node.destroy_node()
    rclpy.try_shutdown(context=context)
    if before is None:
        del os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"]


def _until(condition, what, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.005)


@contextmanager
def _stream(probe, speed):
    """Send a velocity at 99.5 Hz while the context lasts."""
    ending = threading.Event()

    def send():
        while not ending.wait(0.01005):
            probe.velocity.publish(PoseVelocityWithFingers(twist_linear_y=speed))

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


def _moves(arm):
    return arm.moved[-1][1] > 0.0


def test_arm_is_read_moved_and_stopped(folder, arm, probe):
    """Topics carry the arm's values; a stream moves it; stop holds until start."""
    with _driver(folder, arm, "stream_timeout:=1.0") as process:
        _until(lambda: len(probe.count) == 4 and min(probe.count.values()) > 5, "samples")
        joints = joints_from_angles(probe.newest["joint_angles"])
        np.testing.assert_allclose(joints, arm.model.home, atol=1e-5)
        pose = pose_from_message(probe.newest["tool_pose"])
        np.testing.assert_allclose(pose.position, (0.2127, -0.2566, 0.507), atol=2e-4)
        assert probe.newest["joint_state"].name[:2] == ["j2n6s300_joint_1", "j2n6s300_joint_2"]
        with _stream(probe, 0.05):
            _until(lambda: _moves(arm), "motion")
            stopped = probe.stop.call_async(Stop.Request())
            _until(stopped.done, "the stop", 5.0)
            assert stopped.result().stop_result.startswith("stopped")
            assert arm.arm.control == 0
            _until(lambda: not _moves(arm), "standstill", 1.0)
            started = probe.start.call_async(Start.Request())
            _until(started.done, "the start", 5.0)
            _until(lambda: _moves(arm), "motion again", 5.0)
        assert arm.arm.largest <= 3
        process.send_signal(signal.SIGTERM)
        assert process.wait(15.0) == 0
        assert arm.arm.control == 0


def test_stream_that_ends_stops_the_arm(folder, arm, probe):
    """The controller's end is a stop, not only an empty queue."""
    with _driver(folder, arm, "stream_timeout:=0.3"):
        _until(lambda: probe.count.get("tool_pose", 0) > 5, "samples")
        with _stream(probe, 0.05):
            _until(lambda: _moves(arm), "motion")
        _until(lambda: arm.arm.control == 0, "StopControlAPI", 2.0)


def test_killed_driver_leaves_an_arm_that_stands(folder, arm, probe):
    """SIGKILL in motion: the arm's queue runs out within 60 ms, in a process of its own."""
    with _driver(folder, arm, "stream_timeout:=1.0") as process:
        _until(lambda: probe.count.get("tool_pose", 0) > 5, "samples")
        with _stream(probe, 0.05):
            _until(lambda: _moves(arm), "motion")
            process.kill()
            at = time.monotonic()
            process.wait(5.0)
            time.sleep(0.3)
        late = [t for t, speed in arm.moved if speed > 0.0 and t > at + 0.06]
        assert late == []


def test_call_that_hangs_ends_the_process_in_one_line(folder, arm, probe):
    """Exit status 2; the arm stands because nothing is sent any more."""
    number = function_names(folder).index("GetAngularForce")
    with _driver(folder, arm) as process:
        _until(lambda: probe.count.get("tool_pose", 0) > 5, "samples")
        arm.arm.hangs[number] = 1
        assert process.wait(10.0) == 2
        _, said = process.communicate()
        errors = [line for line in said.splitlines() if line.startswith("error: ")]
        assert re.match(
            r"error: GetAngularForce of the SDK hangs: 0\.\d+ s, allowed: 0.25 s", errors[0]
        )
        assert "Traceback" not in said


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, "error: InitAPI returned 1015: no arm was found"),
        ({"robot_ip": "127.0.0.1"}, "error: InitEthernetAPI returned 1015: no arm was found"),
        ({"sdk_path": "/no/such"}, "error: sdk_path is '/no/such': no such folder"),
    ],
)
def test_no_arm_is_one_line_and_status_2(folder, change, message):
    """Nothing else is said, no traceback; what the library prints is not either."""
    process = _start(folder, *(f"{name}:={value}" for name, value in change.items()))
    said, errors = process.communicate(timeout=30.0)
    assert process.returncode == 2
    assert said == ""
    (line,) = errors.splitlines()
    assert line.startswith(message)


def test_wrong_type_of_arm_is_refused(folder, arm):
    """By name, with both types."""
    with _driver(folder, arm, "robot_type:=j2s6s200") as process:
        _, errors = process.communicate(timeout=30.0)
        assert process.returncode == 2
        assert "error: robot_type is 'j2s6s200', and the arm found is of type 3" in errors
        assert "Traceback" not in errors


def _ask(*words):
    return subprocess.run(
        [sys.executable, "-m", "adp_ros.cli", "arm", *words, "--json"],
        capture_output=True,
        text=True,
        env=_environment(),
        timeout=60.0,
        check=False,
    )


def test_arm_is_asked_from_the_command_line(folder, arm, probe):
    """Status, stop, torques that can't be zeroed here, fingers that can't be without a start."""
    with _driver(folder, arm):
        _until(lambda: probe.count.get("tool_pose", 0) > 5, "samples")
        status = _ask("status")
        assert status.returncode == 0, status.stderr
        found = json.loads(status.stdout)
        assert found["arm"]["serial_number"] == "STAND-IN-1"
        stopped = _ask("stop")
        assert (stopped.returncode, json.loads(stopped.stdout)["success"]) == (0, True)
        assert arm.arm.control == 0
        refused = _ask("zero-torques")
        assert refused.returncode == 1
        assert "candle pose" in json.loads(refused.stdout)["message"]
        assert arm.arm.torque_zeros == 0
        assert _ask("fingers").returncode == 1


def test_without_a_driver_the_command_is_one_line():
    """Exit status 2, and what to do."""
    result = _ask("status")
    assert result.returncode == 2
    assert result.stderr.startswith("error: no driver_node reports on /diagnostics")
