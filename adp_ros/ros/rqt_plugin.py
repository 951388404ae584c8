"""The rqt plugin: why the gate prunes, what the policy sees, and start, stop, reset."""

import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import numpy as np
from python_qt_binding.QtCore import QEvent, QPointF, QRectF, Qt, QTimer
from python_qt_binding.QtGui import QColor, QImage, QPainter, QPen, QPixmap, QPolygonF
from python_qt_binding.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QToolTip,
    QVBoxLayout,
    QWidget,
)
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.task import Future
from rqt_gui_py.plugin import Plugin
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger

from ..errors import ObservationError
from ..reports.figures import QUIET, state_colour, status_colour
from ..reports.monitor import Snapshot, gate_words, motion_words, safety_words, token_words
from ..types import Rgb
from .arm_name import of_arm
from .observers import MonitorFeed
from .picture_messages import image_to_rgb
from .rqt_layout import Layout, layout

SLOTS: Final = 60  # windows on the timeline


class Timeline(QWidget):
    """State, reason and motion of the last windows."""

    def __init__(self) -> None:
        """Start empty."""
        super().__init__()
        self._snapshot: Snapshot | None = None
        self._layout = Layout((), (), ())
        self.setMinimumSize(480, 180)

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Draw this from now on."""
        self._snapshot = snapshot
        self.update()

    def paintEvent(self, event: object) -> None:  # Qt's name
        """Draw lanes, bars and lines."""
        if self._snapshot is None:
            return
        self._layout = layout(self._snapshot, SLOTS, float(self.width()), float(self.height()))
        painter = QPainter(self)
        try:
            for bar in self._layout.bars:
                painter.fillRect(QRectF(bar.x, bar.y, bar.width, bar.height), QColor(bar.colour))
            for line in self._layout.lines:
                style = Qt.DotLine if line.dashed else Qt.DashLine
                painter.setPen(QPen(QColor(line.colour), 2.0, style))
                painter.drawPolyline(QPolygonF([QPointF(x, y) for x, y in line.points]))
            painter.setPen(QPen(self.palette().windowText().color()))
            half = painter.fontMetrics().ascent() / 2.0
            for label in self._layout.labels:
                painter.drawText(QPointF(label.x, label.y + half), label.text)
        finally:
            painter.end()

    def event(self, event: QEvent) -> bool:
        """Show a hint where the mouse rests."""
        if event.type() == QEvent.ToolTip:
            place = event.pos()
            QToolTip.showText(event.globalPos(), self._layout.hint(place.x(), place.y()), self)
            return True
        return bool(super().event(event))


class MonitorWidget(QWidget):
    """The whole plugin.

    Args:
        actions: Label of a button -> what it does.
    """

    def __init__(self, actions: Mapping[str, Callable[[], None]]) -> None:
        super().__init__()
        self.setWindowTitle("Pruning")
        self._gate, self._motion, self._tokens = QLabel(), QLabel(), QLabel()
        self._safety, self._answer = QLabel(), QLabel()
        self._picture = QLabel("no overlay yet")
        self._picture.setAlignment(Qt.AlignCenter)
        self._picture.setMinimumSize(160, 120)
        self._picture.setSizePolicy(QSizePolicy.Ignored, QSizePolicy.Ignored)
        self.timeline = Timeline()
        buttons = QHBoxLayout()
        for name, action in actions.items():
            button = QPushButton(name)
            button.clicked.connect(lambda _checked=False, action=action: action())
            buttons.addWidget(button)
        rows = QVBoxLayout(self)
        for label in (self._safety, self._gate, self._motion, self._tokens):
            label.setWordWrap(True)
            rows.addWidget(label)
        rows.addWidget(self.timeline, 2)
        rows.addWidget(self._picture, 3)
        rows.addLayout(buttons)
        rows.addWidget(self._answer)

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Bring words and timeline up to date."""
        status = "" if snapshot.safety is None else snapshot.safety.status
        _say(self._safety, safety_words(snapshot), status_colour(status))
        gate = snapshot.gate
        _say(self._gate, gate_words(gate), QUIET if gate is None else state_colour(gate.prune))
        self._motion.setText(motion_words(gate))
        self._tokens.setText(token_words(snapshot.window))
        self.timeline.show_snapshot(snapshot)

    def show_picture(self, rgb: Rgb) -> None:
        """Show the overlay, shape (H, W, 3), uint8."""
        data = np.ascontiguousarray(rgb).tobytes()
        height, width = rgb.shape[:2]
        image = QImage(data, width, height, 3 * width, QImage.Format_RGB888)
        pixmap = QPixmap.fromImage(image)
        size = self._picture.size()
        self._picture.setPixmap(pixmap.scaled(size, Qt.KeepAspectRatio, Qt.SmoothTransformation))

    def show_answer(self, text: str) -> None:
        """Show what a service said."""
        self._answer.setText(text)


def _say(label: QLabel, text: str, colour: str) -> None:
    label.setText(text)
    label.setStyleSheet(f"background: {colour}; color: white; padding: 4px; font-weight: bold;")


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
            Image, of_arm(self._node, "/adp/overlay"), self._on_overlay, qos_profile_sensor_data
        )
        self._clients_of = {
            name: self._node.create_client(Trigger, of_arm(self._node, f"/adp/{name}"))
            for name in SERVICES
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
