"""The driver's topics and services, as the controller sees them."""

import time
from collections.abc import Awaitable, Callable, Generator, Mapping
from threading import Lock
from types import MappingProxyType
from typing import Any, Final

from geometry_msgs.msg import PoseStamped
from kinova_msgs.msg import FingerPosition, JointAngles, JointVelocity, PoseVelocityWithFingers
from kinova_msgs.srv import ClearTrajectories, HomeArm, Start, Stop
from rclpy.callback_groups import CallbackGroup
from rclpy.client import Client
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.task import Future
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool

from ..control.controller import Controller
from ..control.episode import Command
from ..errors import ArmError
from ..robots.robot import Robot, robot_named
from ..types import EnableSample
from .arm_name import of_arm

_KINDS: Final[Mapping[str, type]] = MappingProxyType(
    {
        "joint_torques": JointAngles,
        "joint_angles": JointAngles,
        "joint_state": JointState,
        "tool_pose": PoseStamped,
        "finger_position": FingerPosition,
    }
)
ENABLE_TOPIC: Final = "/adp/enable"
_OTHER_OUTPUTS: Final = ("joint_command", "tool_wrench", "cartesian_command")
_OTHER_INPUTS: Final = (  # with these the driver would move the arm as well
    "cartesian_velocity",
    "cartesian_velocity_with_finger_velocity",
    "cartesian_force",
)
_LOG_PERIOD = 1.0  # [s] between lines about unreadable messages
# Best effort takes what reliable publishers send as well, and an old sample is not worth waiting.
# Every torque counts; of all else the newest, so that nothing old is judged after a held-up moment.
_EACH = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
_NEWEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


class ArmLink:
    """Hands every sample to the controller as it arrives, and sends its commands.

    Args:
        node: Owner of subscriptions and publisher.
        controller: Where samples go.
        lock: Held while the controller is used.
    """

    def __init__(self, node: Node, controller: Controller, lock: Lock) -> None:
        self._node = node
        self._controller = controller
        self._lock = lock
        self._frame = controller.settings.arm.angular_frame
        self.robot = robot_named(controller.settings.arm.robot_type)
        self.lines: dict[str, int] = {}  # full name of a driver's topic -> publishers allowed
        for name, kind in _KINDS.items():
            topic = of_arm(node, self.robot.topic_out(name))
            qos = _EACH if name == "joint_torques" else _NEWEST
            taken = node.create_subscription(kind, topic, self._taking(name), qos)
            self.lines[taken.topic_name] = 1
        self._velocity = node.create_publisher(
            PoseVelocityWithFingers,
            of_arm(node, self.robot.topic_in("cartesian_velocity_with_fingers")),
            1,
        )
        self._joints = node.create_publisher(
            JointVelocity, of_arm(node, self.robot.topic_in("joint_velocity")), 1
        )
        node.create_subscription(Bool, of_arm(node, ENABLE_TOPIC), self._on_enable, 10)
        self.lines |= dict.fromkeys((self._velocity.topic_name, self._joints.topic_name), 1)
        for names, full, allowed in (
            (_OTHER_OUTPUTS, self.robot.topic_out, 1),
            (_OTHER_INPUTS, self.robot.topic_in, 0),
        ):
            resolved = (node.resolve_topic_name(of_arm(node, full(name))) for name in names)
            self.lines |= dict.fromkeys(resolved, allowed)

    def send(self, command: Command) -> None:
        """Send one velocity message."""
        if command.joint_speeds is not None:
            self._joints.publish(self.robot.messages.joint_velocity_message(command.joint_speeds))
            return
        make = self.robot.messages.velocity_message
        message = make(command.twist, command.opening, command.rotation, self._frame)
        self._velocity.publish(message)

    def _on_enable(self, msg: Bool) -> None:
        with self._lock:
            self._controller.take(EnableSample(bool(msg.data), time.monotonic()))

    def _taking(self, topic: str) -> Callable[[Any], None]:
        def take(msg: Any) -> None:
            now = time.monotonic()
            clock = float(self._node.get_clock().now().nanoseconds) * 1e-9
            try:
                sample = self.robot.messages.sample_from_message(topic, msg, self.robot, now, clock)
            except ArmError as error:
                self._node.get_logger().error(str(error), throttle_duration_sec=_LOG_PERIOD)
                return
            with self._lock:
                self._controller.take(sample)

        return take


_POLL = 0.002  # [s]


class Pause(Awaitable[None]):
    """Gives the executor back for one round; the sleep keeps it from spinning meanwhile."""

    def __await__(self) -> Generator[None, None, None]:
        time.sleep(_POLL)
        yield


class ArmServices:
    """Calls the driver's services; none of the calls blocks the node.

    Args:
        node: Owner of the clients.
        robot: The arm, for names.
        group: Callback group in which answers may come while a service waits for them.
    """

    def __init__(self, node: Node, robot: Robot, group: CallbackGroup) -> None:
        def client(kind: Any, name: str) -> Client:
            return node.create_client(
                kind, of_arm(node, robot.topic_in(name)), callback_group=group
            )

        self._stop = client(Stop, "stop")
        self._start = client(Start, "start")
        self._home = client(HomeArm, "home_arm")
        self._clear = client(ClearTrajectories, "clear_trajectories")
        self._stopping: Future | None = None

    @property
    def can_start(self) -> bool:
        """True when the driver offers its start service."""
        return bool(self._start.service_is_ready())

    def clear(self) -> None:
        """Ask the driver to erase its queue."""
        self._clear.call_async(ClearTrajectories.Request())

    def stop(self, answered: Callable[[], None]) -> None:
        """Ask the driver to stop; an answer to an earlier call is no longer waited for.

        Args:
            answered: Called when it has.
        """
        if self._stopping is not None and not self._stopping.done():
            self._stop.remove_pending_request(self._stopping)
        self._stopping = self._stop.call_async(Stop.Request())
        self._stopping.add_done_callback(lambda _: answered())

    async def start(self, timeout: float) -> str:
        """Ask the driver to take commands; return its answer.

        Raises:
            ArmError: When it does not answer in time.
        """
        answer = await self._call(self._start, Start.Request(), timeout)
        return str(answer.start_result)

    async def home(self, timeout: float) -> str:
        """Ask the driver to go home; return its answer, which comes when the arm is there.

        Raises:
            ArmError: When it does not answer in time.
        """
        answer = await self._call(self._home, HomeArm.Request(), timeout)
        return str(answer.homearm_result)

    @staticmethod
    async def _call(client: Client, request: Any, timeout: float) -> Any:
        future = client.call_async(request)
        deadline = time.monotonic() + timeout
        while not future.done():
            if time.monotonic() > deadline:
                client.remove_pending_request(future)
                raise ArmError(
                    f"the driver's service {client.srv_name} does not answer within {timeout:g} s"
                )
            await Pause()
        return future.result()
