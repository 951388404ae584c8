"""``/diagnostics`` of a node, once per second: one status per component, names as in REP 107."""

import time
from collections.abc import Callable, Mapping

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from ..health import Health, Steady, format_value
from .arm_name import of_arm

PERIOD = 1.0  # [s]


class DiagnosticsPublisher:
    """Ask each component for its health and publish the answers.

    Args:
        node: Node that owns the publisher and the timer.
        components: Component name -> function that returns its health. It is called from the
            node's executor.
        hardware_id: Physical unit, such as the robot type.
    """

    def __init__(
        self, node: Node, components: Mapping[str, Callable[[], Health]], hardware_id: str = ""
    ) -> None:
        self._node = node
        self._components = {name: (ask, Steady()) for name, ask in components.items()}
        self._hardware_id = hardware_id
        self._publisher = node.create_publisher(DiagnosticArray, of_arm(node, "/diagnostics"), 10)
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # also while /clock stands still
        self._timer = node.create_timer(PERIOD, self.publish, clock=steady)

    def publish(self) -> None:
        """Publish one array now."""
        message = DiagnosticArray()
        message.header.stamp = self._node.get_clock().now().to_msg()
        name, now = self._node.get_name(), time.monotonic()
        message.status = [
            _status(f"{name}: {component}", self._hardware_id, steady.take(ask(), now))
            for component, (ask, steady) in self._components.items()
        ]
        self._publisher.publish(message)


def _status(name: str, hardware_id: str, health: Health) -> DiagnosticStatus:
    return DiagnosticStatus(
        level=bytes([health.level]),
        name=name,
        message=health.message,
        hardware_id=hardware_id,
        values=[KeyValue(key=k, value=format_value(v)) for k, v in health.values.items()],
    )
