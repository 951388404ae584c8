"""Commands that stand in for ``ros2``: services are called, topics listed, shown and timed."""

import json
import os
import signal
import subprocess
import sys
import time
from array import array
from collections.abc import Iterator

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped
from sensor_msgs.msg import Image, JointState

from adp_ros.msg import SafetyState
from adp_ros.ros.client import plain

DOMAIN = "89"
SERVER = """
import rclpy
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger
from adp_ros.msg import SafetyState
from adp_ros.ros.node_process import complete_environment

complete_environment(pictures=False)
rclpy.init()
node = rclpy.create_node("server")

def answer(success, message):
    def call(_, response):
        response.success, response.message = success, message
        return response
    return call

node.create_service(Trigger, "/adp/start", answer(True, "running"))
node.create_service(Trigger, "/adp/reset", answer(False, "not quiet yet"))
latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
states = node.create_publisher(SafetyState, "/adp/safety_state", latched)
states.publish(SafetyState(message="once", armed=True))
joints = node.create_publisher(JointState, "/joints", qos_profile_sensor_data)
node.create_timer(0.05, lambda: joints.publish(JointState(name=["a", "b"], position=[1.0, 2.0])))
print("ready", flush=True)
rclpy.spin(node)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[None]:
    """A node of another process, in a domain of its own."""
    environment = {**os.environ, "ROS_DOMAIN_ID": DOMAIN}
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        yield
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def adp_ros(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the server's domain."""
    return subprocess.run(
        [sys.executable, "-m", "adp_ros.cli", *words],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "ROS_DOMAIN_ID": DOMAIN},
        check=False,
    )


def test_service_that_succeeds(server: None) -> None:
    """``adp-ros start`` says what the controller said, and ends with status 0."""
    result = adp_ros("start")
    assert (result.returncode, result.stdout, result.stderr) == (0, "done: running\n", "")


def test_service_that_refuses(server: None) -> None:
    """A refusal is status 1, with the reason, also as JSON."""
    result = adp_ros("reset", "--json")
    assert result.returncode == 1
    assert json.loads(result.stdout) == {"success": False, "message": "not quiet yet"}


def test_service_that_nobody_offers(server: None) -> None:
    """Status 2 and one line that names service, domain and what to start."""
    result = adp_ros("tare")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: no node offers /adp/tare in ROS domain {DOMAIN}; ")
    assert "adp-ros launch" in result.stderr and result.stderr.count("\n") == 1


def test_topics_are_listed(server: None) -> None:
    """Name, type and both ends, without those of the command itself."""
    result = adp_ros("topics", "list", "--json")
    topics = {topic["name"]: topic for topic in json.loads(result.stdout)}
    assert topics["/joints"] == {
        "name": "/joints",
        "types": ["sensor_msgs/msg/JointState"],
        "publishers": 1,
        "subscriptions": 0,
    }
    assert "/adp/safety_state" in topics


@pytest.mark.parametrize("topic", ["/adp/safety_state", "adp/safety_state"])
def test_latched_message_is_shown(topic: str, server: None) -> None:
    """A message from before the command is shown: the publisher's quality of service is taken."""
    result = adp_ros("topics", "echo", topic, "--count", "1", "--json", "--duration", "30")
    assert result.returncode == 0, result.stderr
    shown = json.loads(result.stdout)
    assert (shown["message"], shown["armed"]) == ("once", True)


def test_messages_are_shown_as_lines(server: None) -> None:
    """One field a line, nested ones indented, messages parted."""
    result = adp_ros("topics", "echo", "/joints", "--count", "2", "--duration", "30")
    assert result.returncode == 0
    assert result.stdout.count("---") == 2
    assert "\n  frame_id: \n" in result.stdout and "\nposition: [1.0, 2.0]\n" in result.stdout


def test_rate_is_that_of_the_publisher(server: None) -> None:
    """20 Hz are measured as 20 Hz on the average, within what a busy machine allows."""
    result = adp_ros("topics", "hz", "/joints", "--duration", "4", "--json")
    assert result.returncode == 0
    reports = [json.loads(text) for text in result.stdout.replace("}\n{", "}\0{").split("\0")]
    messages = sum(report["messages"] for report in reports)
    seconds = sum(r["messages"] / r["rate_hz"] for r in reports if r["messages"])
    assert messages / seconds == pytest.approx(20.0, rel=0.15)


def test_unknown_topic_names_the_nearest(server: None) -> None:
    """A misspelled topic is refused with the one that may be meant."""
    result = adp_ros("topics", "echo", "/jiont")
    assert (result.returncode, result.stdout) == (2, "")
    assert "no node publishes /jiont" in result.stderr and "'/joints'" in result.stderr


def test_interrupt_is_130(server: None) -> None:
    """Ctrl-C while listening ends quietly with the shell's status."""
    process = subprocess.Popen(
        [sys.executable, "-m", "adp_ros.cli", "topics", "echo", "/joints"],
        env={**os.environ, "ROS_DOMAIN_ID": DOMAIN},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() != ""
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (130, "")
    assert time.monotonic() - began < 20


def test_plain_values_of_messages() -> None:
    """Nested messages, bytes, arrays: all that JSON can say, long arrays counted."""
    message = JointState(name=["a"], position=[1.0])
    message.header.stamp.sec = 3
    assert plain(message)["header"] == {"stamp": {"sec": 3, "nanosec": 0}, "frame_id": ""}
    image = Image(width=3, data=array("B", range(200)))
    assert plain(image, 2)["data"] == [0, 1, "... 200 in all"]
    assert len(plain(image, 1000)["data"]) == 200
    assert plain(PoseStamped())["pose"]["orientation"]["w"] == 1.0
    assert plain(np.array([1.5, 2.5])) == [1.5, 2.5]
    assert json.dumps(plain(SafetyState(residual_torque=[0.5] * 6)))
