"""Node that watches a run from outside and presses start and stop."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.client import Client
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.task import Future
from sensor_msgs.msg import CompressedImage
from std_srvs.srv import Trigger

from ...demo.log import RunLog, TwinProgress
from ...demo.summary import SafetyEvent
from ...demo.video import PrunedView, VideoLog
from ...msg import InferenceLatency, PruneState, SafetyState, TwinState
from ...report.from_messages import STATUS_NAMES
from ...stages import STAGES
from ..messages.stamps import seconds
from .run_collector import RunCollector

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
        self.log = RunLog()
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
        self.log = RunLog(before=self.log)
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
        self.log.note_window(message.window, message.tokens_total, message.tokens_kept)
        stamp = seconds(message.header.stamp)
        pruned = message.tokens_kept < message.tokens_total
        kept = np.array(message.kept_indices, dtype=np.int64) if pruned else None
        self.video.note_view(PrunedView(stamp, message.tokens_total, kept))

    def _on_latency(self, message: InferenceLatency) -> None:
        if not self.over:
            self.log.note_latency({stage: float(getattr(message, stage)) for stage in STAGES})

    def _on_safety(self, message: SafetyState) -> None:
        self.safety = message
        if not self.over and message.status in (SafetyState.SLOWED, SafetyState.STOPPED):
            status = STATUS_NAMES[message.status]
            event = SafetyEvent(self.elapsed(), status, message.cause, message.message)
            self.log.note_safety(event)

    def _on_health(self, message: DiagnosticArray) -> None:
        time = seconds(message.header.stamp)
        for status in message.status:
            self._levels[status.name] = (ord(status.level), status.message)
            values = {pair.key: pair.value for pair in status.values}
            self.log.note_health(status.name, time, values)
