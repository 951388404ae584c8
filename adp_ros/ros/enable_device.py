"""A node that says at 10 Hz whether a person holds the enabling device."""

from typing import Any, Final

from rclpy.node import Node
from sensor_msgs.msg import Joy
from std_msgs.msg import Bool

from .arm_client import ENABLE_TOPIC
from .arm_name import of_arm

PERIOD: Final = 0.1  # [s]


class EnableDevice(Node):
    """Publishes the state of a key or of a gamepad's button.

    Subscribes: /joy, with a button
    Publishes: /adp/enable

    Args:
        button: Number of the button on /joy, None when somebody else sets ``held``.
        arguments: Further arguments of :class:`rclpy.node.Node`.
    """

    def __init__(self, button: int | None = None, **arguments: Any) -> None:
        super().__init__("enable_device", **arguments)
        self.held = False
        self._button = button
        self._publisher = self.create_publisher(Bool, of_arm(self, ENABLE_TOPIC), 1)
        if button is not None:
            self.create_subscription(Joy, "/joy", self._on_joy, 1)
        self.create_timer(PERIOD, self.publish)

    def publish(self) -> None:
        """Say whether it is held."""
        self._publisher.publish(Bool(data=self.held))

    def _on_joy(self, message: Joy) -> None:
        number = self._button
        held = number is not None and number < len(message.buttons) and message.buttons[number] == 1
        changed, self.held = held != self.held, held
        if changed:
            self.publish()
