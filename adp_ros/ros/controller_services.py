"""Services of the controller and its safety state: start, stop, reset, home, tare.

Processes on this machine hold a lifeline, see :mod:`.lifeline`. A policy elsewhere is known
by its publisher, whose end ROS reports: at once when the node ends in order, else when the
middleware's lease runs out; until then its missing chunks bring the arm to rest.
"""

import time
from threading import Lock

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.event_handler import QoSSubscriptionMatchedInfo, SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_srvs.srv import Trigger

from ..control.controller import Controller
from ..control.controller_settings import GROUPS, ControllerSettings
from ..control.safety_machine import ASKED_STOPS, Status
from ..control.supervisor import SafetySnapshot
from ..errors import AdpError
from ..msg import SafetyState
from ..robots.robot import Robot
from .arm_client import ArmServices, Pause
from .lifeline import LifelineWatch
from .node_process import node_lifeline
from .parameters import declare_groups


def declare_controller_settings(node: Node) -> ControllerSettings:
    """Declare every parameter of the controller and read it.

    Raises:
        ConfigError: Names the parameter, its value and what is allowed.
    """
    return ControllerSettings.from_groups(declare_groups(node, GROUPS))


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


_PERIOD = 0.1  # [s]
_LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def safety_message(state: SafetySnapshot) -> SafetyState:
    """Pack the safety state; the header is left to the caller."""
    return SafetyState(
        status=int(state.status),
        cause=state.cause,
        message=state.message,
        residual_torque=state.residual.tolist(),
        slow_torque=state.slow.tolist(),
        stop_torque=state.stop.tolist(),
        armed=state.status in (Status.ARMED, Status.RUNNING, Status.SLOWED),
        latched=state.status is Status.STOPPED,
    )


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


_READY_TIMEOUT = 1.0  # [s] for feedback that just had a gap
_START_TIMEOUT = 2.0  # [s] for the driver's answer
_HOME_TIMEOUT = 60.0  # [s]


class ControllerServices:
    """Answers people's requests, and passes on to the driver what it must do.

    Args:
        node: Owner of the services.
        controller: What they act on.
        robot: The arm, for names.
        lock: Held while the controller is used.
    """

    def __init__(self, node: Node, controller: Controller, robot: Robot, lock: Lock) -> None:
        self._controller = controller
        self._lock = lock
        self._dry_run = controller.settings.arm.dry_run
        group = ReentrantCallbackGroup()  # a stop must not wait for the answer to home
        self._driver = ArmServices(node, robot, group)
        for name, callback in (
            ("start", self._on_start),
            ("stop", self._on_stop),
            ("reset", self._on_reset),
            ("home", self._on_home),
            ("tare", self._on_tare),
        ):
            node.create_service(Trigger, f"/adp/{name}", callback, callback_group=group)

    def stop_driver(self) -> None:
        """Ask the driver to stop; the controller learns when it has."""
        self._driver.stop(self._on_driver_stopped)

    def _on_driver_stopped(self) -> None:
        with self._lock:
            self._controller.confirm_stop()

    async def _on_start(self, _: Trigger.Request, answer: Trigger.Response) -> Trigger.Response:
        try:
            await self._wait_until_ready("start")
            await self._start_driver()
            with self._lock:
                self._controller.start(time.monotonic())
        except AdpError as error:
            return _refused(answer, error)
        return _done(
            answer, "started, dry run: the arm stays still" if self._dry_run else "started"
        )

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

    def _on_tare(self, _: Trigger.Request, answer: Trigger.Response) -> Trigger.Response:
        try:
            with self._lock:
                offset = self._controller.tare(time.monotonic())
        except AdpError as error:
            return _refused(answer, error)
        return _done(answer, "offset in [N m]: " + " ".join(f"{o:+.2f}" for o in offset))

    async def _on_home(self, _: Trigger.Request, answer: Trigger.Response) -> Trigger.Response:
        try:
            await self._wait_until_ready("home")
            with self._lock:
                self._controller.begin_homing(time.monotonic())
            text = await self._go_home()
            with self._lock:
                self._controller.require_ready("home")  # a stop on the way is no success
        except AdpError as error:
            return _refused(answer, error)
        return _done(answer, text or "home")

    async def _wait_until_ready(self, request: str) -> None:
        """Give feedback that just had a gap, or a reset a moment ago, the time to arm.

        Raises:
            SafetyError: Says why it is not ready even so.
        """
        deadline = time.monotonic() + _READY_TIMEOUT
        while self._controller.status is Status.DISARMED and time.monotonic() < deadline:
            await Pause()
        with self._lock:
            self._controller.require_ready(request)

    async def _go_home(self) -> str:
        try:
            await self._start_driver()
            return await self._driver.home(_HOME_TIMEOUT)
        finally:
            with self._lock:
                self._controller.end_homing()

    async def _start_driver(self) -> None:
        """Let the driver take commands again; a driver that never stopped needs no service."""
        if not self._dry_run and (self._driver.can_start or self._controller.stop_confirmed):
            await self._driver.start(_START_TIMEOUT)


def _done(answer: Trigger.Response, text: str) -> Trigger.Response:
    answer.success, answer.message = True, text
    return answer


def _refused(answer: Trigger.Response, error: AdpError) -> Trigger.Response:
    answer.success, answer.message = False, str(error)
    return answer
