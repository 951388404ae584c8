"""``/adp/safety_state``: published at once when it changes, and ten times per second."""

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile

from ...msg import SafetyState
from ...safety import ASKED_STOPS, SafetySnapshot, Status
from ..messages.controller import safety_message

_PERIOD = 0.1  # [s]
_LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class SafetyPublisher:
    """Publishes the safety state and logs its changes.

    Args:
        node: Owner of the publisher.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._publisher = node.create_publisher(SafetyState, "/adp/safety_state", _LATCHED)
        self._last: tuple[Status, str] | None = None
        self._due = 0.0

    def publish(self, state: SafetySnapshot, now: float) -> None:
        """Publish a state if it is new or its time has come.

        Args:
            state: The state.
            now: Time in [s].
        """
        news = (state.status, state.cause)
        if news == self._last and now < self._due:
            return
        if self._last is None or state.status is not self._last[0]:
            self._log(state)
        self._last, self._due = news, now + _PERIOD
        message = safety_message(state)
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(message)

    def _log(self, state: SafetySnapshot) -> None:
        text = state.status.name.lower() + (f": {state.message}" if state.message else "")
        if state.status is Status.STOPPED and state.cause not in ASKED_STOPS:
            self._node.get_logger().error(text)
        else:
            self._node.get_logger().info(text)
