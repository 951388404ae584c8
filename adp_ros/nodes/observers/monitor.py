"""Feeds the view model from the topics; used by the terminal monitor and by the rqt plugin."""

import threading
from typing import Final

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile

from ...health import Level
from ...monitor.model import Component, MonitorModel, Snapshot
from ...msg import GateState, InferenceLatency, PruneState, SafetyState
from ...report.from_messages import gate_record, latency_record, safety_record, window_record
from ..messages.stamps import seconds

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
