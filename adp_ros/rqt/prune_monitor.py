"""The rqt plugin: why the gate prunes, what the policy sees, and start, stop, reset."""

import threading
from functools import partial
from typing import Any, Final

from python_qt_binding.QtCore import QTimer
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.task import Future
from rqt_gui_py.plugin import Plugin
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger

from ..errors import ObservationError
from ..nodes.messages.pictures import image_to_rgb
from ..nodes.observers.monitor import MonitorFeed
from .widget import SLOTS, MonitorWidget

PERIOD: Final = 100  # [ms]
SERVICES: Final = ("start", "stop", "reset", "home")


class PruneMonitor(Plugin):
    """Plugin ``adp_ros/PruneMonitor``.

    Messages come on rqt's threads: they are only kept there, and a timer of the GUI thread draws.
    It subscribes at once to every topic that the perspective plots, because a plot whose topic is
    unknown when it is loaded stays empty.
    """

    def __init__(self, context: Any) -> None:
        super().__init__(context)
        self.setObjectName("PruneMonitor")
        self._node: Node = context.node
        self._lock = threading.Lock()
        self._overlay: Image | None = None
        self._said = ""
        self._feed = MonitorFeed(self._node, SLOTS)
        self._pictures = self._node.create_subscription(
            Image, "/adp/overlay", self._on_overlay, qos_profile_sensor_data
        )
        self._clients_of = {
            name: self._node.create_client(Trigger, f"/adp/{name}") for name in SERVICES
        }
        self._widget = MonitorWidget({name: partial(self._call, name) for name in SERVICES})
        self._widget.setObjectName("PruneMonitorWidget")  # part of saved layouts
        if context.serial_number() > 1:
            self._widget.setWindowTitle(f"Pruning ({context.serial_number()})")
        context.add_widget(self._widget)
        self._timer = QTimer(self._widget)
        self._timer.timeout.connect(self._draw)
        self._timer.start(PERIOD)

    def shutdown_plugin(self) -> None:
        """Stop drawing and leave the graph."""
        self._timer.stop()
        self._feed.close()
        self._node.destroy_subscription(self._pictures)
        for client in self._clients_of.values():
            self._node.destroy_client(client)

    def _draw(self) -> None:
        with self._lock:
            overlay, self._overlay = self._overlay, None
            said = self._said
        self._widget.show_snapshot(self._feed.snapshot())
        self._widget.show_answer(said)
        if overlay is not None:
            try:
                self._widget.show_picture(image_to_rgb(overlay))
            except ObservationError as error:
                self._widget.show_answer(f"overlay: {error}")

    def _on_overlay(self, message: Image) -> None:
        with self._lock:
            self._overlay = message

    def _call(self, name: str) -> None:
        client = self._clients_of[name]
        if not client.service_is_ready():
            self._say(f"{name}: /adp/{name} is not offered, is the controller running?")
            return
        self._say(f"{name}: asked")
        client.call_async(Trigger.Request()).add_done_callback(partial(self._answered, name))

    def _answered(self, name: str, future: "Future[Trigger.Response]") -> None:
        response = future.result()
        if response is not None:
            word = "done" if response.success else "refused"
            self._say(f"{name}: {word}" + (f", {response.message}" if response.message else ""))

    def _say(self, text: str) -> None:
        with self._lock:
            self._said = text
