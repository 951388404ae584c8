"""Services of the controller and its safety state: start, stop, reset, home, tare.

Processes on this machine hold a lifeline, see :mod:`.lifeline`. A policy elsewhere is known
by its publisher, whose end ROS reports: at once when the node ends in order, else when the
middleware's lease runs out; until then its missing chunks bring the arm to rest.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
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
from ..errors import AdpError, SafetyError
from ..msg import SafetyState
from ..robots.robot import Robot
from .arm_client import ENABLE_TOPIC, ArmServices, Pause
from .arm_name import of_arm, publishers_of
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
        self.ended: dict[str, float] = {}  # when processes have ended, in [s]
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
        self.ended[name] = time.monotonic()
        with self._lock:
            self._controller.lose_node(name, message, time.monotonic())
        self._log.warning(message)

    def _on_chunk_publishers(self, event: QoSSubscriptionMatchedInfo) -> None:
        if event.current_count > 0:
            self._found(_CHUNKS)
        else:
            self._lost(_CHUNKS, "nobody publishes /adp/action_chunk any more")


_LOOK_PERIOD = 0.05  # [s] between two looks at the graph
_FORGOTTEN = 30.0  # [s] after which the middleware no longer lists a process that was killed


class LineWatch:
    """Sees to it that each topic which moves the arm, or tells where it is, has one owner.

    The graph is asked, not events of the middleware: not every one has them.

    Args:
        node: The controller's node.
        controller: What is told.
        lock: Held while the controller is used.
        lines: Full names of topics -> publishers allowed.
        ended: Names of nodes -> when their processes ended, in [s]; the middleware goes on
            listing publishers of a process that was killed.
    """

    def __init__(
        self,
        node: Node,
        controller: Controller,
        lock: Lock,
        lines: Mapping[str, int],
        ended: Mapping[str, float],
    ) -> None:
        self._node = node
        self._controller = controller
        self._lock = lock
        self._lines = lines
        self._ended = ended
        self._found = ""
        node.create_timer(_LOOK_PERIOD, self._look, callback_group=ReentrantCallbackGroup())

    def _look(self) -> None:
        problems = (self._problem(*line) for line in self._lines.items())
        found = next((problem for problem in problems if problem), "")
        if found == self._found:
            return
        self._found = found
        with self._lock:
            self._controller.obstruct("second_publisher", found, time.monotonic())
        if found:
            self._node.get_logger().error(found)

    def _problem(self, topic: str, allowed: int) -> str:
        if self._node.count_publishers(topic) <= allowed:
            return ""
        names = publishers_of(self._node, topic)
        recent = time.monotonic() - _FORGOTTEN
        for name in [n for n in names if self._ended.get(n.rpartition("/")[2], recent) > recent]:
            if len(names) > allowed and (allowed == 0 or names.count(name) > 1):
                names.remove(name)
        if len(names) <= allowed:
            return ""
        number = "one is" if allowed else "none is"
        return f"{topic} has {len(names)} publishers, {number} allowed: {', '.join(names)}"


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
        self._publisher = node.create_publisher(
            SafetyState, of_arm(node, "/adp/safety_state"), _LATCHED
        )
        self.topic: str = self._publisher.topic_name
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
_STOP_TIMEOUT = 3.0  # [s] until the driver has confirmed and the arm stands still
_HOME_TIMEOUT = 60.0  # [s] for the driver's own way home


class ControllerServices:
    """Answers people's requests, and passes on to the driver what it must do.

    Args:
        node: Owner of the services.
        controller: What they act on.
        robot: The arm, for names.
        lock: Held while the controller is used.
    """

    def __init__(self, node: Node, controller: Controller, robot: Robot, lock: Lock) -> None:
        self._node = node
        self._controller = controller
        self._lock = lock
        self._dry_run = controller.settings.arm.dry_run
        group = ReentrantCallbackGroup()  # a stop must not wait for the answer to home
        self._driver = ArmServices(node, robot, group)
        self._planners = ThreadPoolExecutor(max_workers=1, thread_name_prefix="home")
        for name, ask in (
            ("start", self._start),
            ("stop", self._stop),
            ("reset", self._reset),
            ("home", self._home),
            ("tare", self._tare),
        ):
            service = self._answering(ask)
            full = of_arm(node, f"/adp/{name}")
            node.create_service(Trigger, full, service, callback_group=group)

    def close(self) -> None:
        """End the thread that looks for ways home."""
        self._planners.shutdown()

    def stop_driver(self, number: int) -> None:
        """Ask the driver to stop; the controller learns when it has.

        Args:
            number: Of the stop, see :meth:`Controller.confirm_stop`.
        """

        def confirm() -> None:
            with self._lock:
                self._controller.confirm_stop(number)

        self._driver.stop(confirm)

    def clear_driver(self) -> None:
        """Ask the driver to erase its queue."""
        self._driver.clear()

    def _answering(
        self, ask: Callable[[], Awaitable[str]]
    ) -> Callable[[Trigger.Request, Trigger.Response], Awaitable[Trigger.Response]]:
        async def answer(_: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            try:
                response.success, response.message = True, await ask()
            except AdpError as error:
                response.success, response.message = False, str(error)
            return response

        return answer

    async def _start(self) -> str:
        await self._wait_until_ready("start")
        await self._start_driver()
        with self._lock:
            self._controller.start(time.monotonic())
        return "started, dry run: the arm stays still" if self._dry_run else "started"

    async def _stop(self) -> str:
        with self._lock:
            self._controller.stop(time.monotonic())
        deadline = time.monotonic() + _STOP_TIMEOUT
        while problem := self._still_moves():
            if time.monotonic() > deadline:
                raise SafetyError(f"stop is latched until reset, but {problem}")
            await Pause()
        return "stopped, latched until reset"

    def _still_moves(self) -> str:
        """Say why the arm can't be said to stand, empty when it does."""
        if self._dry_run:
            return ""
        with self._lock:
            motion = self._controller.motion(time.monotonic())
            confirmed = self._controller.stop_confirmed
        problems = [] if confirmed else ["the driver has not confirmed it"]
        return " and ".join([*problems, motion] if motion else problems)

    async def _reset(self) -> str:
        with self._lock:
            self._controller.reset(time.monotonic())
        return "reset; call start to move"

    async def _tare(self) -> str:
        with self._lock:
            offset = self._controller.tare(time.monotonic())
        return "offset in [N m]: " + " ".join(f"{o:+.2f}" for o in offset)

    async def _home(self) -> str:
        await self._wait_until_ready("home")
        if self._controller.settings.home.mover == "driver":
            return await self._home_by_driver()
        with self._lock:
            self._controller.require_free("home", time.monotonic())
        planned = self._planners.submit(self._controller.plan_home)
        while not planned.done():
            await Pause()
        await self._start_driver()
        with self._lock:
            self._controller.home(time.monotonic(), planned.result())
        while self._controller.status is Status.HOMING:
            await Pause()
        self._require_arrival()
        return "home"

    async def _home_by_driver(self) -> str:
        with self._lock:
            self._controller.home(time.monotonic(), None)
        try:
            await self._start_driver()
            text = await self._driver.home(_HOME_TIMEOUT)
        finally:
            with self._lock:
                self._controller.end_homing(time.monotonic())
        self._require_arrival()
        return text or "home"

    def _require_arrival(self) -> None:
        """Refuse to call it a success when the arm was stopped on its way."""
        with self._lock:
            state = self._controller.snapshot()
        if state.status is Status.STOPPED:
            raise SafetyError(f"stopped on the way home: {state.message or state.cause}")

    async def _wait_until_ready(self, request: str) -> None:
        """Give feedback that just had a gap, or a reset a moment ago, the time to arm.

        Raises:
            SafetyError: Says why it is not ready even so.
        """
        deadline = time.monotonic() + _READY_TIMEOUT
        while self._controller.status is Status.DISARMED and time.monotonic() < deadline:
            await Pause()
        self._check_enable_topic(request)
        with self._lock:
            self._controller.require_free(request, time.monotonic())

    def _check_enable_topic(self, request: str) -> None:
        topic = of_arm(self._node, ENABLE_TOPIC)
        kinds = dict(self._node.get_topic_names_and_types()).get(topic, [])
        wrong = [kind for kind in kinds if kind != "std_msgs/msg/Bool"]
        if wrong:
            raise SafetyError(
                f"{request} refused: {topic} is a {wrong[0]}, std_msgs/msg/Bool is needed"
            )

    async def _start_driver(self) -> None:
        """Let the driver take commands again; a driver that never stopped needs no service."""
        if not self._dry_run and (self._driver.can_start or self._controller.stop_confirmed):
            await self._driver.start(_START_TIMEOUT)
