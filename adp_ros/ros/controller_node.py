"""Controller node: executes the policy's chunks on the arm, within limits, and stops it."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from rclpy.node import Node

from ..control.controller import Controller
from ..control.controller_health import ControllerReport
from ..control.episode import Output, WindowRequest
from ..control.force_levels import force_levels
from ..control.pacer import Pacer
from ..errors import AdpError, SafetyError
from ..health import Health
from ..msg import ActionChunk, ChunkRequest
from .arm_client import ArmLink
from .arm_name import of_arm
from .controller_services import (
    ControllerServices,
    LineWatch,
    NodeWatch,
    SafetyPublisher,
    declare_controller_settings,
)
from .diagnostics import DiagnosticsPublisher
from .messages import chunk_from_message
from .node_process import Worker, collect_young, prepare_loop_thread, restore_process, run_node
from .parameters import refuse_unknown_parameters

_COLLECT_PERIOD = 1.0  # [s]
CAMERA_TOPICS = tuple(
    f"/{camera}/{name}"
    for camera in ("camera", "camera2")
    for name in ("image_raw", "image_raw/compressed", "camera_info")
)
_LAST_ZEROS = 0.2  # [s] of zero velocity before the node ends


class ControllerNode(Node):
    """Runs the controller in a loop of its own; callbacks only hand over what arrives.

    Subscribes: /adp/action_chunk, /<robot_type>_driver/out/...
    Publishes: /<robot_type>_driver/in/cartesian_velocity_with_fingers, /adp/chunk_request,
        /adp/safety_state, /diagnostics
    Services: /adp/start, /adp/stop, /adp/reset, /adp/home, /adp/tare
    Parameters: :class:`~adp_ros.control.ControllerSettings`

    Args:
        arguments: Further arguments of :class:`rclpy.node.Node`.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__("controller_node", **arguments)
        self._settings = declare_controller_settings(self)
        refuse_unknown_parameters(self)
        self._dry_run = self._settings.arm.dry_run
        self._lock = threading.Lock()
        self._controller = Controller(self._settings)
        self._say_force_levels()
        self._pacer = Pacer(self._settings.stream, time.monotonic())
        self._collect_at = 0.0
        self._arm = ArmLink(self, self._controller, self._lock)
        self._task_services = ControllerServices(
            self, self._controller, self._arm.robot, self._lock
        )
        self._requests = self.create_publisher(ChunkRequest, of_arm(self, "/adp/chunk_request"), 10)
        self._states = SafetyPublisher(self)
        self._nodes = NodeWatch(self, self._controller, self._lock)
        events = self._nodes.chunk_events
        chunks = self.create_subscription(
            ActionChunk,
            of_arm(self, "/adp/action_chunk"),
            self._on_chunk,
            1,
            event_callbacks=events,
        )
        cameras = (self.resolve_topic_name(of_arm(self, topic)) for topic in CAMERA_TOPICS)
        own = (chunks.topic_name, self._requests.topic_name, self._states.topic)
        lines = {**self._arm.lines, **dict.fromkeys((*own, *cameras), 1)}
        self._lines = LineWatch(self, self._controller, self._lock, lines, self._nodes.ended)
        report = ControllerReport(self._controller, self._pacer, time.monotonic)
        components = {name: self._locked(ask) for name, ask in report.components().items()}
        robot_type = self._settings.arm.robot_type
        self._diagnostics = DiagnosticsPublisher(self, components, robot_type)
        self._ending = threading.Event()
        self._loop = Worker(self, "controller", self._step, self._ending, self._prepare)
        self._loop.start()

    def _say_force_levels(self) -> None:
        forces = force_levels(self._settings)
        self.get_logger().info(str(forces))
        try:
            forces.require(self._settings.safety.torque.force_ceiling)
        except SafetyError as error:
            self.get_logger().warning(str(error))

    def destroy_node(self) -> None:
        """End the loop, stop the driver, then end the node."""
        with self._lock:
            heard = self._controller.supervisor.feedback.pose is not None
            self._controller.stop(time.monotonic(), "shutdown", "the controller node ends")
        self._loop.stop()
        self._nodes.close()
        self._task_services.close()
        restore_process()
        if heard and not self._dry_run and self.context.ok():
            self._task_services.stop_driver(self._controller.stop_number)
            self._send_last_zeros()
        super().destroy_node()

    def _prepare(self) -> None:
        stream = self._settings.stream
        for note in prepare_loop_thread(stream.fifo_priority, stream.cpu):
            self.get_logger().warning(note)
        if self._dry_run:
            self.get_logger().warning("dry_run: nothing is sent to the arm")

    def _step(self) -> None:
        """One tick of the loop: wait, compute, send; everything else comes after the message.

        All the waiting comes first, so that nothing that is sent is older than its computation.
        """
        time.sleep(self._pacer.wait(time.monotonic()))
        with self._lock:
            output = self._controller.tick(time.monotonic(), _time_asleep())
        self._send(output)
        now = time.monotonic()
        if now >= self._collect_at:
            self._collect_at = now + _COLLECT_PERIOD
            collect_young()
        with self._lock:
            state = self._controller.snapshot()
        self._states.publish(state, now)

    def _send(self, output: Output) -> None:
        sends = output.command is not None and not self._dry_run
        if output.command is not None and sends:
            self._arm.send(output.command)
        now = time.monotonic()
        with self._lock:
            self._pacer.note(now, sent=sends)
        if output.request is not None:
            self._ask(output.request)
        if output.clear_driver and not self._dry_run:
            self._task_services.clear_driver()
        if output.stop_driver and not self._dry_run:
            self._task_services.stop_driver(output.stop_driver)

    def _ask(self, request: WindowRequest) -> None:
        message = ChunkRequest(
            window=request.window, measured_path=request.path, measured_net=request.net
        )
        message.header.stamp = self.get_clock().now().to_msg()
        self._requests.publish(message)

    def _on_chunk(self, msg: ActionChunk) -> None:
        now = time.monotonic()
        offset = now - float(self.get_clock().now().nanoseconds) * 1e-9  # ROS to monotonic
        try:
            chunk = chunk_from_message(msg, offset)
        except AdpError as error:
            with self._lock:
                self._controller.refuse(str(error))
            self.get_logger().error(str(error), throttle_duration_sec=1.0)
            return
        with self._lock:
            outcome = self._controller.offer(chunk, now)
        self.get_logger().debug(f"chunk of window {msg.window}: {outcome}")

    def _locked(self, ask: Callable[[], Health]) -> Callable[[], Health]:
        def answer() -> Health:
            with self._lock:
                return ask()

        return answer

    def _send_last_zeros(self) -> None:
        """Send zero velocity while the request to stop is on its way to the driver."""
        end = time.monotonic() + _LAST_ZEROS
        while time.monotonic() < end and not self._dry_run:
            self._arm.send(self._controller.standstill())
            time.sleep(self._settings.stream.period)


def _time_asleep() -> float:
    """Return for how long the machine has been suspended since its start, in [s]."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)


def main(args: Sequence[str] | None = None) -> int:
    """Run the controller; returns the exit status."""
    return run_node(ControllerNode, args)
