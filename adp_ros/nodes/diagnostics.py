"""Publishes the health of a node's components on /diagnostics once a second."""

from collections.abc import Sequence
from typing import Final

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

from ..health import Health, HealthCheck

PERIOD: Final = 1.0  # [s]


class DiagnosticsPublisher:
    """Asks each component for its health once a second and publishes all in one message."""

    def __init__(self, node: Node, hardware_id: str, checks: Sequence[HealthCheck]) -> None:
        """Start the timer.

        Args:
            node: Node that publishes; its name comes first in each status name (REP 107).
            hardware_id: Device or arm that the node stands for.
            checks: One per component, called from the node's executor.
        """
        self._node = node
        self._hardware_id = hardware_id
        self._checks = tuple(checks)
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._timer = node.create_timer(PERIOD, self.publish)

    def publish(self) -> None:
        """Publish the health of all components now."""
        message = DiagnosticArray()
        message.header.stamp = self._node.get_clock().now().to_msg()
        message.status = [self._status(check()) for check in self._checks]
        self._publisher.publish(message)

    def _status(self, health: Health) -> DiagnosticStatus:
        return DiagnosticStatus(
            level=bytes([health.level]),
            name=f"{self._node.get_name()}: {health.component}",
            message=health.message,
            hardware_id=self._hardware_id,
            values=[KeyValue(key=key, value=value) for key, value in health.values.items()],
        )
