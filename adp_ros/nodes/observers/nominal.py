"""Node that watches motion without faults: progress, safety events, counters."""

import time
from typing import Final

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.task import Future
from std_srvs.srv import Trigger

from ...demo.log import RunLog, TwinProgress
from ...demo.summary import SafetyEvent
from ...msg import SafetyState, TwinState
from ...report.from_messages import STATUS_NAMES
from ..messages.stamps import seconds

_LATCHED: Final = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
_NEWEST: Final = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
_CALLS: Final = {"start": "/adp/start", "stop": "/adp/stop", "reset": "/adp/reset"}
_POLICY: Final = "inference_node: policy"


class NominalObserver(Node):
    """Collects one episode after the other.

    Subscribes: /sim/state, /adp/safety_state, /diagnostics
    Calls: /adp/start, /adp/stop, /adp/reset, /sim/reset
    """

    def __init__(self) -> None:
        super().__init__("nominal_observer")
        self.log = RunLog()
        self.status = ""
        self.heard: set[str] = set()
        self._begun = time.monotonic()
        self._watching = False
        calls = {**_CALLS, "scene": "/sim/reset"}
        self._asks = {name: self.create_client(Trigger, path) for name, path in calls.items()}
        self.create_subscription(TwinState, "/sim/state", self._on_twin, _NEWEST)
        self.create_subscription(SafetyState, "/adp/safety_state", self._on_safety, _LATCHED)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_health, 10)

    def begin(self) -> None:
        """Take everything from now on as one episode."""
        self.log = RunLog(before=self.log)
        self._begun, self._watching = time.monotonic(), True

    def end(self) -> None:
        """Take no more safety events: what comes now was asked for."""
        self._watching = False

    @property
    def elapsed(self) -> float:
        """Time since the episode began, in [s]."""
        return time.monotonic() - self._begun

    @property
    def ready(self) -> bool:
        """True when every service is there and the policy has reported."""
        offered = all(client.service_is_ready() for client in self._asks.values())
        return offered and self.status != "" and _POLICY in self.heard

    def call(self, name: str) -> "Future[Trigger.Response]":
        """Call ``start``, ``stop``, ``reset`` or ``scene``."""
        return self._asks[name].call_async(Trigger.Request())

    def _on_twin(self, message: TwinState) -> None:
        self.log.progress = TwinProgress(message.progress, message.success)

    def _on_safety(self, message: SafetyState) -> None:
        self.status = STATUS_NAMES[message.status]
        if self._watching and message.status in (SafetyState.SLOWED, SafetyState.STOPPED):
            event = SafetyEvent(self.elapsed, self.status, message.cause, message.message)
            self.log.note_safety(event)

    def _on_health(self, message: DiagnosticArray) -> None:
        at = seconds(message.header.stamp)
        for status in message.status:
            self.heard.add(status.name)
            values = {pair.key: pair.value for pair in status.values}
            self.log.note_health(status.name, at, values)
