"""The controller as a node: real topics and services, a driver in the same process."""

import math
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import rclpy
import yaml
from diagnostic_msgs.msg import DiagnosticArray
from fake_driver import FakeDriver
from kinova_msgs.msg import JointAngles, PoseVelocityWithFingers
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, Image
from spinner import Spinner
from std_msgs.msg import Bool, String
from std_srvs.srv import Trigger

from adp_ros.control.capsules import GeometryConfig
from adp_ros.control.chunk_steps import ChunkConfig
from adp_ros.control.controller_settings import ArmConfig, StopConfig, StreamConfig
from adp_ros.control.envelope import EnvelopeConfig
from adp_ros.control.feeds import FeedConfig, WatchConfig
from adp_ros.control.guard import GuardConfig
from adp_ros.control.homing import HomeConfig
from adp_ros.control.torque import TorqueConfig
from adp_ros.control.velocity import VelocityConfig
from adp_ros.msg import ActionChunk, ChunkRequest, SafetyState
from adp_ros.robots.jaco2.arms import arm_model
from adp_ros.ros.controller_node import ControllerNode, main
from adp_ros.ros.lifeline import Lifeline, lifeline_address
from adp_ros.settings import config_from_mapping

HOMING = 5
HOME = arm_model("j2n6s300").home
CONFIG = Path(__file__).parents[2] / "config" / "controller.yaml"
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
PATIENCE = 10.0  # [s] on a busy machine


def _domain():
    return 101 + os.getpid() % 100


class Person(Node):
    """Plays the policy and the operator, and keeps what the controller says."""

    def __init__(self, **arguments):
        super().__init__("person", **arguments)
        self.changed = threading.Condition()
        self.states, self.requests, self.health = [], [], {}
        self.answer = None
        self._chunks = self.create_publisher(ActionChunk, "/adp/action_chunk", 1)
        self.create_subscription(SafetyState, "/adp/safety_state", self._on_state, LATCHED)
        self.create_subscription(ChunkRequest, "/adp/chunk_request", self._on_request, 10)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_health, 10)
        self._clients_of = {
            name: self.create_client(Trigger, f"/adp/{name}")
            for name in ("start", "stop", "reset", "home", "tare")
        }

    def _on_state(self, message):
        self._note(self.states.append, message)

    def _on_request(self, message):
        self._note(self.requests.append, message)
        if self.answer is not None:
            self.send(message.window, self.answer)

    def _on_health(self, message):
        for status in message.status:
            self._note(self.health.__setitem__, status.name, status)

    def _note(self, keep, *what):
        with self.changed:
            keep(*what)
            self.changed.notify_all()

    def send(self, window, actions, age=0.0):
        """Publish a chunk whose frame is ``age`` old."""
        message = ActionChunk(
            window=window,
            step_period=0.1,
            actions=np.asarray(actions, dtype=np.float64).ravel().tolist(),
            policy="test",
            translation_frame="base",
            rotation_frame="base",
            rotation="rotvec",
        )
        stamp = self.get_clock().now().nanoseconds - round(1e9 * age)
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 10**9)
        self._chunks.publish(message)

    def wait(self, condition, what):
        """Wait for something the controller says."""
        with self.changed:
            assert self.changed.wait_for(condition, PATIENCE), f"waited in vain for {what}"

    def wait_status(self, status):
        """Wait for a state of the safety machine; return the message."""
        self.wait(lambda: self.states and self.states[-1].status == status, f"status {status}")
        return self.states[-1]

    def wait_cause(self, cause):
        """Wait for a cause; return the message."""
        self.wait(lambda: self.states and self.states[-1].cause == cause, f"cause {cause}")
        return self.states[-1]

    def call(self, name):
        """Call a service of the controller; return success and message."""
        future = self.call_later(name)
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        assert done.wait(PATIENCE), f"no answer from {name}"
        return future.result().success, future.result().message

    def call_later(self, name):
        """Call a service without waiting for the answer."""
        client = self._clients_of[name]
        assert client.wait_for_service(PATIENCE)
        return client.call_async(Trigger.Request())


def _move(linear, angular=(0.0, 0.0, 0.0), opening=1.0):
    actions = np.zeros((8, 7))
    actions[:, :3], actions[:, 3:6], actions[:, 6] = linear, angular, opening
    return actions


class Rig:
    """Controller, driver and person, each spun by its own thread."""

    def __init__(self, **parameters):
        self.context = rclpy.Context()
        self.context.init(domain_id=_domain())
        here = {"context": self.context}
        settings = {"feed.stale": 0.6, **parameters}  # all three share one busy process
        overrides = [Parameter(name, value=value) for name, value in settings.items()]
        self.driver, self.person = FakeDriver(**here), Person(**here)
        self.node = ControllerNode(parameter_overrides=overrides, **here)
        self._spinners = [
            Spinner(SingleThreadedExecutor(**here), self.driver),
            Spinner(SingleThreadedExecutor(**here), self.person),
        ]
        self._controller = Spinner(SingleThreadedExecutor(**here), self.node)
        self._ended = False

    def close(self):
        self.driver.may_answer.set()
        self.end_node()
        for spinner in self._spinners:
            spinner.end()
        self.driver.destroy_node()
        self.person.destroy_node()
        self.context.shutdown()

    def end_node(self):
        """End the controller as its process does: first the executor, then the node."""
        if not self._ended:
            self._ended = True
            self._controller.end()
            self.node.destroy_node()

    def started(self):
        self.person.wait_status(SafetyState.ARMED)
        self.until(lambda: self.person.call("start") == (True, "started"), "start")
        self.person.wait_status(SafetyState.RUNNING)
        return self

    def moving(self, linear=(0.0, -0.004, 0.0), **more):
        self.person.answer = _move(linear, **more)
        self.started()
        self.until(self.is_moving, "motion")
        return self

    def is_moving(self):
        newest = self.driver.since(time.monotonic() - 0.1)
        return bool(newest) and abs(newest[-1].twist_linear_y) > 0.02

    @staticmethod
    def until(condition, what):
        deadline, pause = time.monotonic() + PATIENCE, threading.Event()
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain for {what}"
            pause.wait(0.02)


@pytest.fixture
def rig():
    """A controller that runs against a driver and listens to a person."""
    rig = Rig()
    yield rig
    rig.close()


def test_chunk_becomes_velocities_in_the_drivers_units(rig):
    """4 mm and 20 mrad per step: 4 cm/s in the base frame, 0.2 rad/s in the tool's, 70 % closed."""
    rig.moving((0.0, -0.004, 0.0), angular=(0.0, 0.0, 0.02), opening=0.3)
    newest = rig.driver.commands

    def angular(m):
        return np.array([m.twist_angular_x, m.twist_angular_y, m.twist_angular_z])

    rig.until(lambda: newest[-1][1].twist_linear_y < -0.039, "full speed")
    rig.until(lambda: np.linalg.norm(angular(newest[-1][1])) > 0.195, "full turning speed")
    sent = newest[-1][1]
    assert sent.twist_linear_y == pytest.approx(-0.04, abs=0.004)
    assert abs(sent.twist_linear_x) < 0.004 and abs(sent.twist_linear_z) < 0.004
    turning = rig.driver.tool().rotation @ angular(sent)
    np.testing.assert_allclose(turning, [0.0, 0.0, 0.2], atol=0.02)
    assert sent.fingers_closure_percentage == pytest.approx(70.0, abs=1e-3)
    assert rig.person.requests[0].window == 0 and math.isnan(rig.person.requests[0].measured_path)
    rig.until(lambda: len(rig.person.requests) > 2, "third request")
    assert rig.person.requests[2].measured_path > 0.005


def test_never_more_than_one_message_per_10_ms(rig, monkeypatch):
    """Gaps between messages are never shorter than 9.5 ms, and on average no shorter than 10."""
    sent, send = [], rig.node._arm.send
    monkeypatch.setattr(
        rig.node._arm, "send", lambda command: (sent.append(time.monotonic()), send(command))
    )
    rig.moving()
    rig.until(lambda: len(sent) > 200, "200 messages")
    times = np.array(sent[:200])
    assert np.diff(times).min() > 0.0094
    for width in (20, 199):  # what a late message leaves to catch up is at most one period
        assert (times[width:] - times[:-width]).min() > 0.01 * (width - 1)


def test_stop_is_zero_then_the_drivers_stop_then_latched(rig):
    """Zeros and the driver's service at once; success when it has answered; then reset."""
    rig.moving()
    moment = time.monotonic()
    assert rig.person.call("stop") == (True, "stopped, latched until reset")
    assert "stop" in rig.driver.calls
    state = rig.person.wait_status(SafetyState.STOPPED)
    assert (state.cause, state.latched, state.armed) == ("stop_called", True, False)
    assert rig.person.call("start")[0] is False
    rig.until(lambda: len(rig.driver.since(moment + 0.1)) > 10, "zeros")
    sent = rig.driver.since(moment + 0.1)
    assert not any(m.twist_linear_y for m in sent)
    assert not any(m.twist_angular_z or m.twist_linear_x for m in sent)
    rig.until(lambda: rig.person.call("reset")[0], "reset")
    rig.person.wait_status(SafetyState.ARMED)
    silence = time.monotonic()
    rig.started()
    assert rig.driver.calls[-1] == "start"
    assert all(m.twist_linear_y == 0.0 for m in rig.driver.since(silence)[:1])


def test_overload_stops_the_arm(rig):
    """8 N m on joint 2: zero velocity at once, latched, with the reason."""
    rig.moving()
    rig.driver.push = np.array([0.0, 8.0, 0.0, 0.0, 0.0, 0.0])
    state = rig.person.wait_status(SafetyState.STOPPED)
    assert state.cause == "torque"
    assert "residual torque of joint 2 is +" in state.message
    assert state.residual_torque[1] == pytest.approx(8.0, abs=0.5)
    pushed = rig.driver.pushed_at
    rig.until(lambda: rig.driver.first_rest(pushed) is not None, "zero velocity")
    assert rig.driver.first_rest(pushed) - pushed < 0.3  # 20 ms and what a busy process adds
    success, message = rig.person.call("reset")
    assert not success and message.startswith("reset refused: ")


@pytest.mark.parametrize(
    ("topic", "cause"),
    [
        ("joint_torques", "torque_stale"),
        ("tool_pose", "pose_stale"),
        ("joint_state", "joints_stale"),
        ("joint_angles", "joints_stale"),
    ],
)
def test_silent_topic_stops_the_arm(rig, topic, cause):
    """Each topic of the driver on its own."""
    rig.moving()
    rig.driver.silent.add(topic)
    assert rig.person.wait_status(SafetyState.STOPPED).cause == cause


def test_stamps_that_go_back_stop_the_arm(rig):
    """A pose measured before the last one is a fault, not data."""
    rig.moving()
    rig.driver.stamp_shift = 0.1
    assert rig.person.wait_status(SafetyState.STOPPED).cause.endswith("_order")


def test_nonsense_from_the_policy_is_refused_and_not_latched(rig):
    """Not-a-number, a wrong count: at rest, still running, told why; good chunks go on."""
    rig.moving()
    rig.person.answer = np.full((8, 7), math.nan)
    state = rig.person.wait_cause("chunk_refused")
    assert state.status == SafetyState.RUNNING and "nan in action 0" in state.message
    rig.until(lambda: not rig.is_moving(), "rest")
    rig.person.answer = np.zeros(13)
    rig.person.wait(
        lambda: "13 numbers, a multiple of 7" in rig.person.states[-1].message, "the reason"
    )
    rig.person.answer = _move((0.0, 0.004, 0.0))
    rig.until(rig.is_moving, "motion")
    assert rig.person.states[-1].status == SafetyState.RUNNING


def test_policy_that_falls_silent_leaves_the_arm_at_rest(rig):
    """No latch; the cause says that no action is due."""
    rig.moving()
    rig.person.answer = None
    assert rig.person.wait_cause("chunk_missing").status == SafetyState.RUNNING
    rig.until(lambda: not rig.is_moving(), "rest")


def test_tare_is_a_service(rig):
    """At rest it answers with the offsets, in motion with the reason why not."""
    rig.person.wait_status(SafetyState.ARMED)
    rig.until(lambda: rig.person.call("tare")[0], "tare")
    assert rig.person.call("tare")[1].startswith("offset in [N m]: ")
    rig.moving()
    assert rig.person.call("tare") == (False, "tare refused: the arm moves")


def test_end_of_a_node_stops_the_arm(rig):
    """A process that is watched ends: zero velocity, latched, with its name."""
    line = Lifeline()
    line.hold(lifeline_address(_domain(), "j2n6s300"), "inference_node")
    rig.moving()
    rig.until(lambda: "inference_node" in rig.node._controller.nodes, "the lifeline")
    ended = time.monotonic()
    line.close()
    state = rig.person.wait_status(SafetyState.STOPPED)
    assert state.cause == "node_lost"
    assert state.message == f"inference_node (process {os.getpid()}) has ended"
    rig.until(lambda: rig.driver.first_rest(ended) is not None, "zero velocity")
    assert rig.driver.first_rest(ended) - ended < 0.5  # 15 ms on a quiet machine


def test_policy_that_nobody_publishes_any_more_stops_the_arm(rig):
    """The last publisher of chunks is gone from the graph, on whatever machine it was."""
    rig.moving()
    rig.person.destroy_publisher(rig.person._chunks)
    state = rig.person.wait_status(SafetyState.STOPPED)
    assert (state.cause, state.message) == (
        "node_lost",
        "nobody publishes /adp/action_chunk any more",
    )


def test_stop_that_the_driver_does_not_confirm_is_no_success(rig):
    """Latched at once, and the answer says what is not known; asked again until it answers."""
    rig.moving()
    rig.driver.may_answer.clear()
    success, message = rig.person.call("stop")
    assert not success
    assert message == "stop is latched until reset, but the driver has not confirmed it"
    assert rig.person.states[-1].status == SafetyState.STOPPED
    rig.driver.may_answer.set()
    rig.until(lambda: rig.person.call("stop")[0], "the driver's answer")


def test_home_is_driven_by_our_own_stream(rig):
    """The driver's home_arm is not called; start is refused meanwhile; a stop spoils it."""
    rig.person.wait_status(SafetyState.ARMED)
    away = HOME + np.array([0.15, 0.1, 0.1, 0.1, 0.1, 0.1])
    rig.driver.joints = away

    def is_home():
        answer = rig.person.call("home")
        return answer == (True, "home") and np.abs(rig.driver.joints - HOME).max() < 0.03

    rig.until(is_home, "home")
    assert "home_arm" not in rig.driver.calls
    rig.person.wait_status(SafetyState.ARMED)
    rig.driver.joints = away
    answers = []

    def homing():
        if not answers or answers[-1].done():
            answers.append(rig.person.call_later("home"))
        return rig.person.states[-1].status == HOMING

    rig.until(homing, "the way home")
    assert rig.person.call("start") == (False, "start refused: the arm is on its way home")
    assert rig.person.call("stop")[0]
    rig.until(answers[-1].done, "the answer to home")
    assert not answers[-1].result().success
    assert answers[-1].result().message.startswith("stopped on the way home")


def test_driver_brings_the_arm_home_when_it_is_named():
    """Start is refused meanwhile; the answer comes when the driver's does; a stop spoils it."""
    rig = Rig(**{"home.mover": "driver"})
    try:
        rig.person.wait_status(SafetyState.ARMED)
        rig.until(lambda: rig.person.call("home") == (True, "home"), "home")
        assert rig.driver.calls[-2:] == ["start", "home_arm"]
        rig.person.wait_status(SafetyState.ARMED)
        rig.driver.may_answer.clear()
        answer = rig.person.call_later("home")
        rig.person.wait_status(HOMING)
        assert rig.person.call("start")[1] == "start refused: the arm is on its way home"
        stop = rig.person.call_later("stop")
        rig.person.wait_status(SafetyState.STOPPED)
        rig.driver.may_answer.set()
        rig.until(answer.done, "the answer to home")
        assert not answer.result().success
        rig.until(stop.done, "the answer to stop")
    finally:
        rig.close()


def test_second_publisher_is_refused_and_stops(rig):
    """On the velocity topic and on the chunks': named, latched; gone, the arm may start."""
    rig.moving()
    rogue = Node("rogue", context=rig.context)
    topic = "/j2n6s300_driver/in/cartesian_velocity_with_fingers"
    publisher = rogue.create_publisher(PoseVelocityWithFingers, topic, 1)
    state = rig.person.wait_cause("second_publisher")
    assert state.status == SafetyState.STOPPED and "/rogue" in state.message
    rig.until(lambda: rig.person.call("reset")[0], "reset")
    rig.person.wait_status(SafetyState.ARMED)
    success, message = rig.person.call("start")
    assert not success and "has 2 publishers, one is allowed" in message and "/rogue" in message
    rogue.destroy_publisher(publisher)
    rig.until(lambda: rig.person.call("start")[0], "start")
    rogue.create_publisher(ActionChunk, "/adp/action_chunk", 1)
    rig.person.wait(
        lambda: rig.person.states[-1].message.startswith("/adp/action_chunk has 2"), "the latch"
    )
    rogue.destroy_node()


@pytest.mark.parametrize(
    ("topic", "kind", "allowed"),
    [
        ("/j2n6s300_driver/in/cartesian_velocity", PoseVelocityWithFingers, "none is"),
        ("/j2n6s300_driver/out/joint_torques", JointAngles, "one is"),
        ("/adp/chunk_request", ChunkRequest, "one is"),
    ],
)
def test_every_line_of_the_arm_has_one_owner(rig, topic, kind, allowed):
    """A command that we never send, a second source of clean torques, foreign requests."""
    rig.moving()
    rogue = Node("rogue", context=rig.context)
    rogue.create_publisher(kind, topic, 1)
    state = rig.person.wait_cause("second_publisher")
    assert state.status == SafetyState.STOPPED
    assert state.message.startswith(f"{topic} has") and f"{allowed} allowed" in state.message
    assert "/rogue" in state.message
    rogue.destroy_node()


def test_pictures_of_every_view_have_one_owner(rig):
    """Two publishers on a camera's topic, of either view: start is refused and both are named."""
    nodes = [Node(n, context=rig.context) for n in ("first_camera", "second_camera")]
    rig.person.wait_status(SafetyState.ARMED)
    for camera in ("camera", "camera2"):
        for name, kind in (("image_raw", Image), ("camera_info", CameraInfo)):
            topic = f"/{camera}/{name}"
            publishers = [(node, node.create_publisher(kind, topic, 1)) for node in nodes]
            words = f"{topic} has 2 publishers, one is allowed: /first_camera, /second_camera"
            rig.until(lambda words=words: words in rig.person.call("start")[1], words)
            for node, publisher in publishers:
                node.destroy_publisher(publisher)
    for node in nodes:
        node.destroy_node()


def test_enabling_topic_of_another_type_is_named(rig):
    """A String on /adp/enable: start is refused."""
    rig.person.wait_status(SafetyState.ARMED)
    context = rclpy.Context()
    context.init(domain_id=_domain())
    other = Node("other", context=context)
    other.create_publisher(String, "/adp/enable", 1)

    def refused():
        success, message = rig.person.call("start")
        return not success and "/adp/enable is a std_msgs/msg/String" in message

    rig.until(refused, "the refusal")
    other.destroy_node()
    context.shutdown()


def test_enabling_device_is_watched():
    """Required: start needs it; 0.25 s without is a latched stop."""
    rig = Rig(**{"guard.enable": "required"})
    held = Node("button", context=rig.context)
    try:
        rig.person.wait_status(SafetyState.ARMED)
        success, message = rig.person.call("start")
        assert not success and message == "start refused: the enabling device is not held"
        button = held.create_publisher(Bool, "/adp/enable", 1)
        ending = threading.Event()

        def hold():
            while not ending.wait(0.05):
                button.publish(Bool(data=True))

        thread = threading.Thread(target=hold)
        thread.start()
        rig.until(lambda: rig.person.call("start")[0], "start")
        ending.set()
        thread.join()
        rig.person.wait_cause("enable_lost")
    finally:
        held.destroy_node()
        rig.close()


def test_diagnostics_name_every_component(rig):
    """REP-107 names; steps, stream and ages carry their numbers."""
    rig.moving()
    names = [f"controller_node: {c}" for c in
             ("safety", "feedback", "steps", "stream", "motion", "driver", "nodes")]  # fmt: skip
    rig.person.health.clear()
    rig.until(lambda: len(rig.driver.since(0.0)) > 20, "a stream")
    rig.person.health.clear()
    rig.person.wait(lambda: set(names) <= set(rig.person.health), "diagnostics")
    health = rig.person.health
    values = {n: {v.key: v.value for v in health[n].values} for n in names}
    assert {status.hardware_id for status in map(health.get, names)} == {"j2n6s300"}
    assert health[names[0]].level in (b"\x00", b"\x01")
    assert values[names[0]]["status"] == "running"
    assert float(values[names[1]]["torque_age_ms"]) < 200.0
    assert {"steps", "steps_missed", "late_actions_dropped"} <= set(values[names[2]])
    assert {"delivered", "late", "skipped", "on_time_share"} <= set(values[names[3]])
    assert int(values[names[3]]["delivered"]) > 10


def test_dry_run_sends_nothing():
    """Everything runs, the driver hears neither velocities nor services."""
    rig = Rig(dry_run=True)
    try:
        rig.person.wait_status(SafetyState.ARMED)
        rig.person.answer = _move((0.0, -0.004, 0.0))
        rig.until(lambda: rig.person.call("start")[0], "start")
        rig.until(lambda: len(rig.person.requests) > 2, "third request")
        assert rig.person.call("stop")[0]
        rig.person.wait_status(SafetyState.STOPPED)
        assert rig.driver.commands == [] and rig.driver.calls == []
    finally:
        rig.close()


def test_sros2_policy_permits_what_the_controller_does_and_no_more(rig):
    """Its topics and services in the graph are those of its profile in config/sros2/policy.xml."""
    policy = ElementTree.parse(CONFIG.parent / "sros2" / "policy.xml")
    profile = next(p for p in policy.iter("profile") if p.get("node") == "controller_node")

    def allowed(kind, way):
        entries = profile.findall(f"{kind}s[@{way}='ALLOW']/{kind}")
        return {f"/{entry.text}" for entry in entries}

    rig.person.wait_status(SafetyState.ARMED)
    where = ("controller_node", "/")
    graph = rig.person
    for found, permitted in (
        (graph.get_publisher_names_and_types_by_node, allowed("topic", "publish")),
        (graph.get_subscriber_names_and_types_by_node, allowed("topic", "subscribe")),
        (graph.get_service_names_and_types_by_node, allowed("service", "reply")),
        (graph.get_client_names_and_types_by_node, allowed("service", "request")),
    ):
        names = {name for name, _ in found(*where)}
        assert names - permitted == set()
        spare = {"/clock", "/parameter_events"}
        assert {n for n in permitted - names if "parameter" not in n} <= spare


def test_end_of_the_node_is_zero_velocity(rig):
    """The last messages are zeros."""
    rig.moving()
    rig.end_node()
    rig.until(lambda: rig.driver.rests_at_the_end() >= 3, "zeros")


# --- as a process ------------------------------------------------------------------------------


def _process(*parameters, domain=None):
    words = [word for p in parameters for word in ("-p", p)]
    code = "import sys; from adp_ros.ros.controller_node import main; sys.exit(main())"
    return subprocess.Popen(
        [sys.executable, "-c", code, "--ros-args", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "ROS_DOMAIN_ID": str(domain or _domain() + 1)},
    )


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        ("robot_type:=ur5", "error: robot_type is 'ur5', allowed: j2n6s200, j2n6s300"),
        ("torque.stop:=[1.0, 2.0]", "error: torque.stop has 2 elements, exactly 6 are needed"),
        (
            "torque.stop:=[4.0, -6.0, 4.0, 2.0, 2.0, 1.5]",
            "error: torque.stop[1] is -6.0, allowed: 0.1 to 30 [N m]",
        ),
        (
            "envelope.workspace_high:=[0.1, -0.1, 0.8]",
            "error: envelope does not contain the home pose of j2n6s300, tool at (0.213",
        ),
    ],
)
def test_bad_parameter_ends_the_node_with_one_line(parameter, message, capfd):
    """Exit status 2, the line names the parameter and what is allowed, no traceback."""
    assert main(["--ros-args", "-p", parameter]) == 2
    output = capfd.readouterr().err
    assert message in output
    assert "Traceback" not in output


def test_controller_of_another_kind_of_arm_with_plain_names_is_refused(rig):
    """Both would offer /adp/start, and one call would start both; the first one lives on."""
    rig.person.wait_status(SafetyState.ARMED)
    code = "import sys; from adp_ros.ros.controller_node import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "--ros-args", "-p", "robot_type:=j2n6s200"]
    environment = {**os.environ, "ROS_DOMAIN_ID": str(_domain())}
    ended = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env=environment
    )
    assert ended.returncode == 2
    errors = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and "one per arm and ROS domain is allowed" in errors[0]
    rig.started()


def test_process_with_an_unknown_parameter_ends_with_status_2():
    """As an operator sees it: the nearest name is proposed."""
    process = _process("torqe.samples:=3")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2, output
    assert "error: controller_node has no parameter 'torqe.samples', did you mean" in output
    assert "Traceback" not in output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_the_process_with_zeros_and_status_0(number):
    """Ctrl-C and SIGTERM while the arm moves: zeros on the wire, exit status 0, no traceback."""
    context = rclpy.Context()
    context.init(domain_id=_domain())
    driver, person = FakeDriver(context=context), Person(context=context)
    spinners = [Spinner(SingleThreadedExecutor(context=context), n) for n in (driver, person)]
    process = _process(domain=_domain())
    try:
        person.answer = _move((0.0, -0.004, 0.0))
        Rig.until(lambda: person.states and person.states[-1].status == 1, "armed")
        Rig.until(lambda: person.call("start")[0], "start")
        Rig.until(lambda: any(m.twist_linear_y < -0.03 for _, m in driver.commands), "motion")
        process.send_signal(number)
        output, _ = process.communicate(timeout=20)
        assert process.returncode == 0, output
        assert "Traceback" not in output
        assert "stopped: the controller node ends" in output or "running" in output
        Rig.until(lambda: driver.rests_at_the_end() >= 3, "zeros")
    finally:
        process.kill()
        process.communicate()
        for spinner in spinners:
            spinner.end()
        driver.destroy_node()
        person.destroy_node()
        context.shutdown()


def test_parameter_file_holds_every_setting_at_its_default():
    """config/controller.yaml is the reference: no setting missing, unknown or different."""
    given = yaml.safe_load(CONFIG.read_text())["controller_node"]["ros__parameters"]
    parts = {
        "chunk": ChunkConfig,
        "velocity": VelocityConfig,
        "envelope": EnvelopeConfig,
        "geometry": GeometryConfig,
        "torque": TorqueConfig,
        "feed": FeedConfig,
        "watch": WatchConfig,
        "guard": GuardConfig,
        "home": HomeConfig,
        "stream": StreamConfig,
        "stop": StopConfig,
    }
    for name, kind in parts.items():
        values = given.pop(name)
        assert config_from_mapping(kind, values, name) == kind()
        assert set(values) == set(kind.__dataclass_fields__)
    assert config_from_mapping(ArmConfig, given, "arm") == ArmConfig()
    assert set(given) == set(ArmConfig.__dataclass_fields__)
