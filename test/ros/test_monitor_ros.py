"""The monitor's ears and its command, with real messages."""

import json
import time
from contextlib import contextmanager

import pytest

pytest.importorskip("rclpy")

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseStamped
from rclpy.context import Context
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from ros_bench import bench, own_domain

from adp_ros.cli import main
from adp_ros.health import Level
from adp_ros.msg import GateState, InferenceLatency, PruneState, SafetyState
from adp_ros.reports.monitor import MonitorModel
from adp_ros.ros.observers import MonitorFeed, RunObserver
from adp_ros.ros.stamps import time_message

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Robot(Node):
    """Publishes one window as the nodes do."""

    def __init__(self, **options):
        super().__init__("robot", **options)
        self._gate = self.create_publisher(GateState, "/adp/gate_state", LATCHED)
        self._prune = self.create_publisher(PruneState, "/adp/prune_state", 10)
        self._latency = self.create_publisher(InferenceLatency, "/adp/latency", 10)
        self._safety = self.create_publisher(SafetyState, "/adp/safety_state", LATCHED)
        self._health = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._pose = self.create_publisher(PoseStamped, "/j2n6s300_driver/out/tool_pose", 10)

    def window(self, number, stamp):
        """Publish everything about a window whose frame has this stamp in [s]."""
        window = PruneState(
            window=number, tokens_total=256, tokens_kept=128, flops=4e9, flops_full=8e9
        )
        gate = GateState(
            window=number, state=1, next_state=0, reason="slow", motion=0.004,
            upper=0.01, lower=0.005,
        )  # fmt: skip
        latency = InferenceLatency(window=number, llm=41.5, frame_to_chunk=120.0)
        safety = SafetyState(
            status=SafetyState.SLOWED, cause="torque_slow", message="joint 2 pushes",
            residual_torque=[1.0] * 6, slow_torque=[2.4] * 6, stop_torque=[4.0] * 6,
        )  # fmt: skip
        pose = PoseStamped()
        pose.pose.position.y = -0.4
        messages = (
            (self._prune, window), (self._gate, gate), (self._latency, latency),
            (self._safety, safety), (self._pose, pose),
        )  # fmt: skip
        for publisher, message in messages:
            message.header.stamp = time_message(stamp)
            publisher.publish(message)
        status = DiagnosticStatus(level=b"\x01", name="camera_node: camera", message="12 Hz")
        self._health.publish(DiagnosticArray(status=[status]))


def test_feed_reads_every_topic():
    """What the nodes publish arrives in the model with its units and enums."""
    with bench() as spinning:
        robot, listener = spinning.add(Robot()), spinning.add(Node("listener"))
        feed = MonitorFeed(listener, 10)

        def complete():
            robot.window(3, time.time())
            shot = feed.snapshot()
            parts = (shot.window, shot.gate, shot.times, shot.safety)
            return None not in parts and shot.components

        spinning.until(complete)
        shot = feed.snapshot()
        assert shot.window.pruned
        assert (shot.gate.reason, shot.gate.prune, shot.gate.motion) == ("slow", False, 0.004)
        assert shot.times.llm == 41.5
        assert (shot.safety.status, shot.safety.residual) == ("slowed", (1.0,) * 6)
        assert [(c.level, c.message) for c in shot.components] == [(Level.WARN, "12 Hz")]
        feed.close()
        assert [s.topic_name for s in listener.subscriptions if "adp" in s.topic_name] == []


def test_observer_takes_the_run_and_nothing_else():
    """Old news and what comes after the end is in no report; the first frame may be older."""
    with bench() as spinning:
        robot, listener = spinning.add(Robot()), spinning.add(Node("listener"))
        observer = spinning.add(RunObserver("j2n6s300"))
        observer.begin()
        start = time.time()

        def complete():
            robot.window(1, start - 5.0)
            robot.window(2, start - 0.5)
            log = observer.record("run")
            whole = [w for w in log.windows if w.decision and w.times and w.audit.tokens_total]
            return all((whole, log.safety, log.path))

        spinning.until(complete)
        observer.end()
        feed = MonitorFeed(listener, 10)

        def heard_of_seven():
            robot.window(7, start + 9.0)
            window = feed.snapshot().window
            return window is not None and window.window == 7

        spinning.until(heard_of_seven)
        log = observer.record("run")
        for records in (log.windows, log.safety, log.path):
            assert {round(record.time, 1) for record in records} == {-0.5}
        assert {record.window for record in log.windows} == {2}
        assert len(log.path) == 1
        assert log.path[0].y == -0.4
        observer.begin()
        assert observer.record("run").windows == ()


def test_command_says_when_nobody_is_there(monkeypatch, capsys):
    """In an empty ROS domain the command ends with 1 and the likely cause."""
    monkeypatch.setenv("ROS_DOMAIN_ID", str(own_domain() + 1))
    assert main(["monitor", "--once", "--wait", "0.5"]) == 1
    assert "nothing heard" in capsys.readouterr().err


def test_command_prints_strict_json(monkeypatch, capsys):
    """The latched gate and safety state are there for a monitor that comes late."""
    monkeypatch.setenv("ROS_DOMAIN_ID", str(own_domain()))
    context = Context()
    rclpy.init(context=context, domain_id=own_domain())
    robot = Robot(context=context)
    try:
        robot.window(3, time.time())
        assert main(["monitor", "--once", "--json", "--wait", "3"]) == 0
    finally:
        robot.destroy_node()
        rclpy.shutdown(context=context)
    found = json.loads(capsys.readouterr().out)
    assert found["gate"]["reason"] == "slow"
    assert found["safety"]["status"] == "slowed"


@pytest.mark.parametrize("words", [["--rate", "0"], ["--rate", "x"], ["--wait", "-1"]])
def test_numbers_out_of_range_are_refused(words, capsys):
    """The option, its value and what is allowed are named; exit status 2."""
    with pytest.raises(SystemExit) as ended:
        main(["monitor", *words])
    assert ended.value.code == 2
    assert f"argument {words[0]}: is '{words[1]}', allowed:" in capsys.readouterr().err


@pytest.fixture
def nobody(monkeypatch):
    """The command hears nothing three times, then Ctrl-C is pressed."""
    calls = []

    @contextmanager
    def listening(_robot_name):
        def watch(seconds):
            calls.append(seconds)
            if len(calls) > 3:
                raise KeyboardInterrupt
            return MonitorModel().snapshot(0.0)

        yield watch

    monkeypatch.setattr("adp_ros.cli.monitor._listening", listening)
    return calls


def test_pictures_on_a_terminal_until_ctrl_c(nobody, monkeypatch, capsys):
    """Four pictures a second on a terminal's second screen; Ctrl-C is the normal end."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert main(["monitor"]) == 0
    assert nobody[0] == 0.25
    shown = capsys.readouterr().out
    assert "no safety state heard" in shown
    assert shown.count("\x1b[?1049h") == shown.count("\x1b[?1049l") == 1


def test_lines_where_there_is_no_terminal(nobody, monkeypatch, capsys):
    """Into a file go plain lines, one per second."""
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    assert main(["monitor"]) == 0
    assert nobody[0] == 1.0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("no safety state heard")
