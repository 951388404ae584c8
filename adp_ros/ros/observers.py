"""Nodes that watch a run from outside, for demonstration, report, monitor and calibration."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from kinova_msgs.msg import JointAngles
from rclpy.client import Client
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from rclpy.subscription import Subscription
from rclpy.task import Future
from sensor_msgs.msg import CompressedImage
from std_srvs.srv import Trigger

from ..control.calibration import FreeMotion
from ..evaluation.video import VideoLog
from ..health import Level
from ..msg import GateState, InferenceLatency, PruneState, SafetyState, TwinState
from ..policies.window import read_audit, stamp_of
from ..reports.monitor import Component, MonitorModel, Snapshot
from ..reports.run_record import (
    NANO,
    SAFETY,
    RunClock,
    RunCollector,
    RunRecord,
    audited,
    read_safety,
    window_part,
)
from ..reports.run_summary import HealthLog
from ..robots.jaco2.messages import joints_from_angles, torque_from_angles
from ..robots.robot import robot_named
from ..types import FloatArray
from .arm_name import of_arm

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
            topic = of_arm(self, robot.topic_out(name))
            self.create_subscription(JointAngles, topic, callback, _SAMPLES)

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


_LATCHED: Final = QoSProfile(depth=50, durability=DurabilityPolicy.TRANSIENT_LOCAL)
_RELIABLE: Final = QoSProfile(depth=50)
_NEWEST: Final = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
_TOPICS: Final[Mapping[str, tuple[type[Any], QoSProfile]]] = MappingProxyType(
    {
        "/adp/prune_state": (PruneState, _RELIABLE),
        "/adp/gate_state": (GateState, _LATCHED),
        "/adp/latency": (InferenceLatency, _RELIABLE),
        SAFETY: (SafetyState, _LATCHED),
        "/diagnostics": (DiagnosticArray, _RELIABLE),
    }
)
Take = Callable[[str, Any], None]
"""(topic, message) -> taken."""


def listen(node: Node, take: Take) -> list[Subscription]:
    """Subscribe to what the nodes say of windows, safety and health."""
    return [
        node.create_subscription(kind, of_arm(node, topic), partial(take, topic), qos)
        for topic, (kind, qos) in _TOPICS.items()
    ]


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
        self._subscriptions = listen(node, self._take)

    def snapshot(self) -> Snapshot:
        """Return everything as it is now."""
        with self._lock:
            return self._model.snapshot(time.monotonic())

    def close(self) -> None:
        """Destroy the subscriptions."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions.clear()

    def _take(self, topic: str, message: Any) -> None:
        now, stamp = time.monotonic(), NANO * stamp_of(message)
        with self._lock:
            if topic == SAFETY:
                self._model.note_safety(read_safety(message, stamp), now)
            elif topic == "/diagnostics":
                for status in message.status:
                    component = Component(status.name, Level(status.level[0]), status.message)
                    self._model.note_component(component, now)
            else:
                self._model.note_window(window_part(topic, message, stamp))


EARLY: Final = 1.0  # [s]; the first window's frame may be older than the start of the run


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service said."""

    success: bool
    message: str


class RunObserver(Node):
    """Collects a run: its record, its video, its diagnostics and the twin's progress.

    Subscribes: /sim/state, /camera/image_raw/compressed, /adp/prune_state, /adp/gate_state,
    /adp/latency, /adp/safety_state, /diagnostics, /<robot_type>_driver/out/tool_pose
    Calls: /adp/start, /adp/stop

    Args:
        robot_type: Kinova's name of the arm, prefix of its topics.
        arguments: Further arguments of :class:`rclpy.node.Node`.

    Attributes:
        run: Windows, safety and path.
        health: Diagnostics.
        video: Pictures, stamped with the run's time.
        safety: Newest state of the safety machine.
        progress: Share of the task that is done, 0 to 1.
        success: True once the task is done.
    """

    def __init__(self, robot_type: str, **arguments: Any) -> None:
        super().__init__("demo_observer", **arguments)
        self.run, self.health, self.video = RunCollector(), HealthLog(), VideoLog()
        self.safety: SafetyState | None = None
        self.progress, self.success = 0.0, False
        self._run_clock = self._new_clock()
        self._began: float | None = None
        self._duration: float | None = None
        self._heard: set[str] = set()
        self._start = self.create_client(Trigger, "/adp/start")
        self._stop = self.create_client(Trigger, "/adp/stop")
        listen(self, self._take)
        pose = robot_named(robot_type).topic_out("tool_pose")
        self.create_subscription(
            PoseStamped, pose, partial(self._collect, pose), qos_profile_sensor_data
        )
        self.create_subscription(TwinState, "/sim/state", self._on_twin, _NEWEST)
        self.create_subscription(
            CompressedImage, "/camera/image_raw/compressed", self._on_picture, _NEWEST
        )

    def elapsed(self) -> float:
        """Return the time since the run began in [s]: 0 before it, its duration after it."""
        if self._began is None:
            return 0.0
        return time.monotonic() - self._began if self._duration is None else self._duration

    def begin(self) -> None:
        """Forget everything; what is stamped from now on, or little before, is of the run."""
        self.run, self.health, self.video = RunCollector(), HealthLog(self.health), VideoLog()
        self._run_clock = self._new_clock()
        self._began, self._duration = time.monotonic(), None

    def end(self) -> None:
        """Take nothing more but the nodes' last diagnostics."""
        self._duration = self.elapsed()

    @property
    def over(self) -> bool:
        """True after :meth:`end`."""
        return self._duration is not None

    def record(self, title: str) -> RunRecord:
        """Return what was collected so far."""
        return self.run.record(title, self._run_clock.steps)

    def words(self) -> str:
        """Say how long the run lasts and how many windows were pruned."""
        windows = audited(self.run.log.windows())
        pruned = sum(window.pruned for window in windows)
        return f"{self.elapsed():.0f} s, {pruned} of {len(windows)} windows pruned"

    def missing(self) -> str:
        """Say what the run still waits for, empty when nothing."""
        if self.video.pictures == 0:
            return "pictures from the camera"
        if self.safety is None or not self._start.service_is_ready():
            return "the controller"
        if not any(name.startswith("inference_node") for name in self._heard):
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

    def _now(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _new_clock(self) -> RunClock:
        return RunClock(self._now(), time.monotonic())

    def _time(self, message: Any) -> float:
        return self._run_clock.time(stamp_of(message), self._now(), time.monotonic())

    def _collect(self, topic: str, message: Any) -> None:
        """Take a message unless it belongs to no run."""
        at = self._time(message)
        if self._began is not None and not self.over and at >= -EARLY and self.run.wants(topic):
            self.run.take(topic, message, at)

    def _take(self, topic: str, message: Any) -> None:
        self._collect(topic, message)
        if topic == SAFETY:
            self.safety = message
        elif topic == "/adp/prune_state" and not self.over:
            self.video.note_view(self._time(message), read_audit(message))
        elif topic == "/diagnostics":
            for status in message.status:
                self._heard.add(status.name)
                values = {pair.key: pair.value for pair in status.values}
                self.health.note(status.name, time.monotonic(), values)

    def _on_twin(self, message: TwinState) -> None:
        if not self.over:
            self.progress, self.success = message.progress, message.success

    def _on_picture(self, message: CompressedImage) -> None:
        stamp = self._time(message)
        if not self.over and self.video.wants(stamp):
            caption = f"{self.elapsed():5.1f} s   {self.progress:4.0%} done"
            self.video.note_picture(stamp, bytes(message.data), caption)
