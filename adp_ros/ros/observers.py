"""Nodes that watch a run from outside, for demonstration, report, monitor and calibration."""

import threading
import time
from dataclasses import dataclass
from typing import Any, Final

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from kinova_msgs.msg import JointAngles
from rclpy.client import Client
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from rclpy.task import Future
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from ..control.calibration import FreeMotion
from ..evaluation.video import VideoLog
from ..health import Level
from ..msg import GateState, InferenceLatency, PruneState, SafetyState, TwinState
from ..policies.window import STAGES, read_audit
from ..reports.monitor import Component, MonitorModel, Snapshot
from ..reports.run_record import (
    STATUS_NAMES,
    PathPoint,
    RunRecord,
    RunRecords,
    gate_record,
    latency_record,
    safety_record,
    window_record,
)
from ..reports.summary import RunNotes, TimedSafetyEvent, TwinProgress
from ..robots.jaco2.interface import robot_named
from ..robots.jaco2.messages import joints_from_angles, torque_from_angles
from ..types import FloatArray
from .stamps import seconds

_SAMPLES = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)


class FreeMotionListener(Node):
    """Keeps every sample.

    Subscribes: /<robot_type>_driver/out/{joint_torques, joint_angles}

    Args:
        robot_type: Kinova's name of the arm.
        arguments: Further arguments of :class:`rclpy.node.Node`.
    """

    def __init__(self, robot_type: str, **arguments: Any) -> None:
        super().__init__("free_motion_listener", **arguments)
        self._torques: list[tuple[float, FloatArray]] = []
        self._joints: list[tuple[float, FloatArray]] = []
        robot = robot_named(robot_type)
        for name, callback in (
            ("joint_torques", self._on_torque),
            ("joint_angles", self._on_angles),
        ):
            self.create_subscription(JointAngles, robot.topic_out(name), callback, _SAMPLES)

    @property
    def samples(self) -> int:
        """Torque samples so far."""
        return len(self._torques)

    def motion(self) -> FreeMotion:
        """Return what was heard.

        Raises:
            SafetyError: Torques or joints are missing, or not finite.
        """
        return FreeMotion.joined(self._torques, self._joints)

    def _on_torque(self, message: JointAngles) -> None:
        self._torques.append((time.monotonic(), torque_from_angles(message)))

    def _on_angles(self, message: JointAngles) -> None:
        self._joints.append((time.monotonic(), joints_from_angles(message)))


_LATCHED: Final = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class MonitorFeed:
    """Subscriptions and the model that they fill; callbacks may come on any thread.

    Subscribes: /adp/gate_state, /adp/prune_state, /adp/latency, /adp/safety_state, /diagnostics

    Args:
        node: Owner of the subscriptions.
        windows: How many windows to look back on.
    """

    def __init__(self, node: Node, windows: int) -> None:
        self._node = node
        self._lock = threading.Lock()
        self._model = MonitorModel(windows)
        listen = node.create_subscription
        self._subscriptions = [
            listen(GateState, "/adp/gate_state", self._on_gate, _LATCHED),
            listen(PruneState, "/adp/prune_state", self._on_prune, 10),
            listen(InferenceLatency, "/adp/latency", self._on_latency, 10),
            listen(SafetyState, "/adp/safety_state", self._on_safety, _LATCHED),
            listen(DiagnosticArray, "/diagnostics", self._on_health, 10),
        ]

    def snapshot(self) -> Snapshot:
        """Return everything as it is now."""
        with self._lock:
            return self._model.snapshot(self._now())

    def close(self) -> None:
        """Destroy the subscriptions."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions.clear()

    def _now(self) -> float:
        return float(self._node.get_clock().now().nanoseconds) * 1e-9

    def _on_gate(self, message: GateState) -> None:
        record = gate_record(message, seconds(message.header.stamp))
        with self._lock:
            self._model.note_gate(record)

    def _on_prune(self, message: PruneState) -> None:
        record = window_record(message, seconds(message.header.stamp))
        with self._lock:
            self._model.note_window(record)

    def _on_latency(self, message: InferenceLatency) -> None:
        record = latency_record(message, seconds(message.header.stamp))
        with self._lock:
            self._model.note_latency(record)

    def _on_safety(self, message: SafetyState) -> None:
        record = safety_record(message, seconds(message.header.stamp))
        with self._lock:
            self._model.note_safety(record, self._now())

    def _on_health(self, message: DiagnosticArray) -> None:
        now = self._now()
        with self._lock:
            for status in message.status:
                component = Component(status.name, Level(status.level[0]), status.message)
                self._model.note_component(component, now)


EARLY: Final = 1.0  # [s]; the first window's frame may be older than the start of the run
RELIABLE: Final = QoSProfile(depth=50)


class RunCollector:
    """Collects what a :class:`RunLog` holds, between :meth:`begin` and :meth:`end`.

    Args:
        node: Owner of the subscriptions.
        robot_type: Kinova's name of the arm, prefix of its topics.
    """

    def __init__(self, node: Node, robot_type: str) -> None:
        self._start = 0.0
        self._collecting = False
        self._records = RunRecords()
        listen = node.create_subscription
        listen(PruneState, "/adp/prune_state", self._on_prune, RELIABLE)
        listen(GateState, "/adp/gate_state", self._on_gate, RELIABLE)
        listen(InferenceLatency, "/adp/latency", self._on_latency, RELIABLE)
        listen(SafetyState, "/adp/safety_state", self._on_safety, RELIABLE)
        pose_topic = f"/{robot_type}_driver/out/tool_pose"
        listen(PoseStamped, pose_topic, self._on_pose, qos_profile_sensor_data)

    @property
    def start(self) -> float:
        """Stamp at which the run began, in [s]."""
        return self._start

    def begin(self, start: float) -> None:
        """Forget everything; take what comes and is stamped `start` [s] or little before."""
        self._start = start
        self._collecting = True
        self._records = RunRecords()

    def end(self, last: SafetyState | None) -> None:
        """Take nothing more but the state that ended the run, if it has not come here yet.

        Args:
            last: Newest state that the caller has heard.
        """
        if last is not None:
            safety, time = self._records.safety, self._time(last.header)
            if time is not None and (not safety or safety[-1].time < time):
                safety.append(safety_record(last, time))
        self._collecting = False

    def run_log(self, title: str) -> RunRecord:
        """Return what was collected so far."""
        return self._records.run_log(title)

    def _time(self, header: Header) -> float | None:
        """Return a message's time in the run, None when it belongs to no run."""
        time = seconds(header.stamp) - self._start
        return time if self._collecting and time >= -EARLY else None

    def _on_prune(self, message: PruneState) -> None:
        if (time := self._time(message.header)) is not None:
            self._records.windows.append(window_record(message, time))

    def _on_gate(self, message: GateState) -> None:
        if (time := self._time(message.header)) is not None:
            self._records.gates.append(gate_record(message, time))

    def _on_latency(self, message: InferenceLatency) -> None:
        if (time := self._time(message.header)) is not None:
            self._records.latencies.append(latency_record(message, time))

    def _on_safety(self, message: SafetyState) -> None:
        if (time := self._time(message.header)) is not None:
            self._records.safety.append(safety_record(message, time))

    def _on_pose(self, message: PoseStamped) -> None:
        time = self._time(message.header)
        if time is not None:
            position = message.pose.position
            self._records.note_position(PathPoint(time, position.x, position.y, position.z))


LATCHED: Final = QoSProfile(
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
NEWEST: Final = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service said."""

    success: bool
    message: str


class Observer(Node):
    """Collects a run in a :class:`RunLog`, a :class:`VideoLog` and for the report.

    Args:
        robot_type: Kinova's name of the arm, prefix of its topics.

    Subscribes: /sim/state, /camera/image_raw/compressed, /adp/prune_state, /adp/latency,
    /adp/safety_state, /diagnostics
    Calls: /adp/start, /adp/stop
    """

    def __init__(self, robot_type: str) -> None:
        super().__init__("demo_observer")
        self.collector = RunCollector(self, robot_type)
        self.log = RunNotes()
        self.video = VideoLog()
        self.safety: SafetyState | None = None
        self._levels: dict[str, tuple[int, str]] = {}
        self._started: float | None = None
        self._duration: float | None = None
        self._start = self.create_client(Trigger, "/adp/start")
        self._stop = self.create_client(Trigger, "/adp/stop")
        self.create_subscription(TwinState, "/sim/state", self._on_twin, NEWEST)
        self.create_subscription(
            CompressedImage, "/camera/image_raw/compressed", self._on_picture, NEWEST
        )
        self.create_subscription(PruneState, "/adp/prune_state", self._on_prune, 10)
        self.create_subscription(InferenceLatency, "/adp/latency", self._on_latency, 10)
        self.create_subscription(SafetyState, "/adp/safety_state", self._on_safety, LATCHED)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_health, 10)

    def elapsed(self) -> float:
        """Return the time since the run began in [s]: 0 before it, its duration after it."""
        if self._started is None:
            return 0.0
        return self._now() - self._started if self._duration is None else self._duration

    def begin(self) -> None:
        """Take everything from now on as part of the run."""
        self.log = RunNotes(before=self.log)
        self.video = VideoLog()
        self._started = self._now()
        self.collector.begin(self._started)

    def end(self) -> None:
        """Take nothing more but the nodes' last diagnostics."""
        self._duration = self.elapsed()
        self.collector.end(self.safety)

    @property
    def over(self) -> bool:
        """True after :meth:`end`."""
        return self._duration is not None

    def missing(self) -> str:
        """Say what the run still waits for, empty when nothing."""
        if self.video.pictures == 0:
            return "pictures from the camera"
        if self.safety is None or not self._start.service_is_ready():
            return "the controller"
        if not any(name.startswith("inference_node") for name in self._levels):
            return "the policy"
        return ""

    def request_start(self) -> "Future[Trigger.Response]":
        """Ask the controller to start."""
        return self._call(self._start)

    def request_stop(self) -> "Future[Trigger.Response]":
        """Ask the controller to stop."""
        return self._call(self._stop)

    @staticmethod
    def answer(future: "Future[Trigger.Response]") -> Answer | None:
        """Return what the service said, None while it has not."""
        if not future.done():
            return None
        response = future.result()
        return None if response is None else Answer(response.success, response.message)

    @staticmethod
    def _call(client: Client) -> "Future[Trigger.Response]":
        return client.call_async(Trigger.Request())

    def _now(self) -> float:
        return float(self.get_clock().now().nanoseconds) * 1e-9

    def _on_twin(self, message: TwinState) -> None:
        if not self.over:
            self.log.progress = TwinProgress(message.progress, message.success)

    def _on_picture(self, message: CompressedImage) -> None:
        stamp = seconds(message.header.stamp)
        if not self.over and self.video.wants(stamp):
            share = self.log.progress.share
            caption = f"{self.elapsed():5.1f} s   {share:4.0%} done"
            self.video.note_picture(stamp, bytes(message.data), caption)

    def _on_prune(self, message: PruneState) -> None:
        if self.over:
            return
        audit = read_audit(message)
        self.log.note_window(message.window, audit.tokens_total, audit.tokens_kept)
        self.video.note_view(seconds(message.header.stamp), audit)

    def _on_latency(self, message: InferenceLatency) -> None:
        if not self.over:
            self.log.note_latency({stage: float(getattr(message, stage)) for stage in STAGES})

    def _on_safety(self, message: SafetyState) -> None:
        self.safety = message
        if not self.over and message.status in (SafetyState.SLOWED, SafetyState.STOPPED):
            status = STATUS_NAMES[message.status]
            event = TimedSafetyEvent(self.elapsed(), status, message.cause, message.message)
            self.log.note_safety(event)

    def _on_health(self, message: DiagnosticArray) -> None:
        time = seconds(message.header.stamp)
        for status in message.status:
            self._levels[status.name] = (ord(status.level), status.message)
            values = {pair.key: pair.value for pair in status.values}
            self.log.note_health(status.name, time, values)
