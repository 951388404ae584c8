"""Controller node: executes the policy's chunks on the arm, within limits, and stops it."""

import threading
import time
from collections.abc import Callable, Sequence

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_srvs.srv import Trigger

from ..control import Controller, Output, Pacer, WindowRequest
from ..control.report import ControllerReport
from ..errors import AdpError
from ..health import Health
from ..msg import ActionChunk, ChunkRequest, SafetyState
from ..safety import SafetySnapshot
from .arm_link import ArmLink
from .arm_services import ArmServices
from .controller_messages import chunk_from_message, safety_message
from .controller_settings import declare_controller_settings
from .diagnostics import DiagnosticsPublisher
from .realtime import collect_young, prepare_loop_thread
from .run import run_node
from .worker import Worker

_STATE_PERIOD = 0.1  # [s] between safety states while nothing changes
_COLLECT_PERIOD = 1.0  # [s]
_LAST_ZEROS = 0.2  # [s] of zero velocity before the node ends
_START_TIMEOUT = 2.0  # [s] for the driver's answer
_HOME_TIMEOUT = 60.0  # [s]

_LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class ControllerNode(Node):
    """Runs the controller in a loop of its own; callbacks only hand over what arrives.

    Subscribes: /adp/action_chunk, /<robot_type>_driver/out/...
    Publishes: /<robot_type>_driver/in/cartesian_velocity_with_fingers, /adp/chunk_request,
        /adp/safety_state, /diagnostics
    Services: /adp/start, /adp/stop, /adp/reset, /adp/home
    Parameters: :class:`~adp_ros.control.ControllerSettings`
    """

    def __init__(self) -> None:
        super().__init__("controller_node")
        settings = declare_controller_settings(self)
        self._dry_run = settings.arm.dry_run
        self._lock = threading.Lock()
        self._controller = Controller(settings)
        self._pacer = Pacer(settings.stream, time.monotonic())
        self._stream_settings = settings.stream
        self._published: tuple[object, ...] = ()
        self._state_due = self._collect_due = 0.0
        group = ReentrantCallbackGroup()
        self._arm = ArmLink(self, self._controller, self._lock)
        self._driver = ArmServices(self, self._arm.robot, group)
        self._requests = self.create_publisher(ChunkRequest, "/adp/chunk_request", 10)
        self._states = self.create_publisher(SafetyState, "/adp/safety_state", _LATCHED)
        self.create_subscription(ActionChunk, "/adp/action_chunk", self._on_chunk, 1)
        for name, callback in (
            ("start", self._on_start),
            ("stop", self._on_stop),
            ("reset", self._on_reset),
            ("home", self._on_home),
        ):
            self.create_service(Trigger, f"/adp/{name}", callback, callback_group=group)
        report = ControllerReport(self._controller, self._pacer, time.monotonic)
        components = {n: self._locked(ask) for n, ask in report.components().items()}
        self._diagnostics = DiagnosticsPublisher(self, components, settings.arm.robot_type)
        self._ending = threading.Event()
        self._loop = Worker(self, "controller", self._step, self._ending, self._prepare)
        self._loop.start()
        if self._dry_run:
            self.get_logger().warning("dry_run: nothing is sent to the arm")

    def destroy_node(self) -> None:
        """End the loop with zero velocity, then the node."""
        with self._lock:
            was_moving = self._controller.status.moving
            self._controller.stop(time.monotonic(), "shutdown", "the controller node ends")
        self._loop.stop()
        if was_moving and self.context.ok():
            self._send_zeros()
        super().destroy_node()

    def _locked(self, ask: Callable[[], Health]) -> Callable[[], Health]:
        def answer() -> Health:
            with self._lock:
                return ask()

        return answer

    def _prepare(self) -> None:
        for note in prepare_loop_thread(self._stream_settings):
            self.get_logger().warning(note)

    def _step(self) -> None:
        """One tick of the loop: wait, compute, send; the rest comes after the message."""
        time.sleep(max(0.0, self._pacer.deadline - time.monotonic()))
        with self._lock:
            output = self._controller.tick(time.monotonic())
        self._send(output)
        now = time.monotonic()
        if now >= self._collect_due:
            self._collect_due = now + _COLLECT_PERIOD
            collect_young()
        self._publish_state(now)

    def _send(self, output: Output) -> None:
        sends = output.command is not None and not self._dry_run
        if output.command is not None and sends:
            time.sleep(self._pacer.hold(time.monotonic()))
            self._arm.send(output.command)
        now = time.monotonic()
        with self._lock:
            self._pacer.sent(now) if sends else self._pacer.paused()
            self._pacer.advance(now)
        if output.request is not None:
            self._ask(output.request)
        if output.stop_driver and not self._dry_run:
            self._driver.stop(self._on_driver_stopped)

    def _ask(self, request: WindowRequest) -> None:
        message = ChunkRequest(
            window=request.window, measured_path=request.path, measured_net=request.net
        )
        message.header.stamp = self.get_clock().now().to_msg()
        self._requests.publish(message)

    def _publish_state(self, now: float) -> None:
        with self._lock:
            state = self._controller.snapshot()
        news = (state.status, state.cause)
        if news == self._published and now < self._state_due:
            return
        if news != self._published:
            self._log(state)
        self._published, self._state_due = news, now + _STATE_PERIOD
        message = safety_message(state)
        message.header.stamp = self.get_clock().now().to_msg()
        self._states.publish(message)

    def _log(self, state: SafetySnapshot) -> None:
        text = state.status.name.lower() + (f": {state.message}" if state.message else "")
        if state.status is state.status.STOPPED:
            self.get_logger().error(text)
        else:
            self.get_logger().info(text)

    def _on_driver_stopped(self) -> None:
        with self._lock:
            self._controller.stopping.confirm()

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

    async def _on_start(self, _: Trigger.Request, answer: Trigger.Response) -> Trigger.Response:
        try:
            with self._lock:
                self._controller.require_ready("start")
            await self._start_driver()
            with self._lock:
                self._controller.start(time.monotonic())
        except AdpError as error:
            return _refused(answer, error)
        return _done(
            answer, "started, dry run: the arm stays still" if self._dry_run else "started"
        )

    async def _start_driver(self) -> None:
        """Let the driver take commands again; a driver that never stopped needs no service."""
        if not self._dry_run and (self._driver.can_start or self._controller.stopping.answered):
            await self._driver.start(_START_TIMEOUT)

    def _on_stop(self, _: Trigger.Request, answer: Trigger.Response) -> Trigger.Response:
        with self._lock:
            self._controller.stop(time.monotonic())
        return _done(answer, "stopped, latched until reset")

    def _on_reset(self, _: Trigger.Request, answer: Trigger.Response) -> Trigger.Response:
        try:
            with self._lock:
                self._controller.reset(time.monotonic())
        except AdpError as error:
            return _refused(answer, error)
        return _done(answer, "reset; call start to move")

    async def _on_home(self, _: Trigger.Request, answer: Trigger.Response) -> Trigger.Response:
        try:
            with self._lock:
                self._controller.begin_homing(time.monotonic())
            try:
                await self._start_driver()
                text = await self._driver.home(_HOME_TIMEOUT)
            finally:
                with self._lock:
                    self._controller.end_homing()
            with self._lock:
                self._controller.require_ready("home")  # a stop on the way is no success
        except AdpError as error:
            return _refused(answer, error)
        return _done(answer, text or "home")

    def _send_zeros(self) -> None:
        """Send zero velocity for a moment, so that the arm ends at rest and not mid-ramp."""
        end = time.monotonic() + _LAST_ZEROS
        while time.monotonic() < end and not self._dry_run:
            self._arm.send(self._controller.standstill())
            time.sleep(self._stream_settings.period)


def _done(answer: Trigger.Response, text: str) -> Trigger.Response:
    answer.success, answer.message = True, text
    return answer


def _refused(answer: Trigger.Response, error: AdpError) -> Trigger.Response:
    answer.success, answer.message = False, str(error)
    return answer


def main(args: Sequence[str] | None = None) -> int:
    """Run the controller; returns the exit status."""
    return run_node(ControllerNode, args, last_words=True)
