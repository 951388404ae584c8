"""Nodes that the motion depends on: the controller learns at once when one of them ends.

Processes on this machine hold a lifeline, see :mod:`adp_ros.lifeline`. A policy on another machine
is known by its publisher, whose end ROS reports: at once when the node ends in order, else when
the middleware's lease runs out; until then its missing chunks bring the arm to rest.
"""

import time
from threading import Lock

from rclpy.event_handler import QoSSubscriptionMatchedInfo, SubscriptionEventCallbacks
from rclpy.node import Node

from ...control import Controller
from ...lifeline import LifelineWatch
from ..process.run import node_lifeline

_CHUNKS = "publisher of /adp/action_chunk"


class NodeWatch:
    """Tells the controller which nodes are there and which have ended.

    Args:
        node: The controller's node.
        controller: What is told.
        lock: Held while the controller is used.

    Raises:
        ConfigError: When another controller of the arm runs in the same ROS domain.
    """

    def __init__(self, node: Node, controller: Controller, lock: Lock) -> None:
        self._controller = controller
        self._lock = lock
        self._log = node.get_logger()
        self.chunk_events = SubscriptionEventCallbacks(matched=self._on_chunk_publishers)
        self._lifelines = LifelineWatch(node_lifeline(node), self._found, self._lost)

    def close(self) -> None:
        """End the watch."""
        self._lifelines.close()

    def _found(self, name: str) -> None:
        with self._lock:
            self._controller.find_node(name)
        self._log.debug(f"{name} is watched")

    def _lost(self, name: str, message: str) -> None:
        with self._lock:
            self._controller.lose_node(name, message, time.monotonic())
        self._log.warning(message)

    def _on_chunk_publishers(self, event: QoSSubscriptionMatchedInfo) -> None:
        if event.current_count > 0:
            self._found(_CHUNKS)
        else:
            self._lost(_CHUNKS, "nobody publishes /adp/action_chunk any more")
