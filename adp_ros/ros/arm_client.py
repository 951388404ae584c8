"""The driver's topics and services, as the controller sees them."""

import time
from collections.abc import Awaitable, Callable, Generator
from threading import Lock
from typing import Any

from geometry_msgs.msg import PoseStamped
from kinova_msgs.msg import FingerPosition, JointAngles, PoseVelocityWithFingers
from kinova_msgs.srv import HomeArm, Start, Stop
from rclpy.callback_groups import CallbackGroup
from rclpy.client import Client
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.task import Future
from sensor_msgs.msg import JointState

from ..control.controller import Controller
from ..control.episode import Command
from ..errors import ArmError
from ..robots.jaco2.interface import Robot, robot_named
from ..robots.jaco2.messages import (
    joints_from_angles,
    joints_from_state,
    opening_from_fingers,
    pose_from_message,
    torque_from_angles,
    velocity_message,
)
from .messages import seconds

_LOG_PERIOD = 1.0  # [s] between lines about unreadable messages
# Best effort takes what reliable publishers send as well, and an old sample is not worth waiting.
_SAMPLES = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)


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
        for kind, name, callback in (
            (JointAngles, "joint_torques", self._on_torque),
            (JointAngles, "joint_angles", self._on_angles),
            (JointState, "joint_state", self._on_state),
            (PoseStamped, "tool_pose", self._on_pose),
            (FingerPosition, "finger_position", self._on_fingers),
        ):
            node.create_subscription(kind, self.robot.topic_out(name), callback, _SAMPLES)
        self._velocity = node.create_publisher(
            PoseVelocityWithFingers, self.robot.topic_in("cartesian_velocity_with_fingers"), 1
        )

    def send(self, command: Command) -> None:
        """Send one velocity message."""
        message = velocity_message(command.twist, command.opening, command.rotation, self._frame)
        self._velocity.publish(message)

    def _on_torque(self, msg: JointAngles) -> None:
        now = time.monotonic()
        with self._lock:
            self._controller.supervisor.take_torque(torque_from_angles(msg), now)

    def _on_angles(self, msg: JointAngles) -> None:
        now, joints = time.monotonic(), joints_from_angles(msg)
        with self._lock:
            self._controller.supervisor.feedback.take_joints("joint_angles", joints, now)

    def _on_state(self, msg: JointState) -> None:
        now = time.monotonic()
        stamp, delay = self._stamped(msg)
        try:
            joints = joints_from_state(msg, self.robot)
        except ArmError as error:
            self._complain(error)
            return
        with self._lock:
            self._controller.supervisor.feedback.take_joints(
                "joint_state", joints, now, stamp, delay
            )

    def _on_pose(self, msg: PoseStamped) -> None:
        now = time.monotonic()
        stamp, delay = self._stamped(msg)
        try:
            pose = pose_from_message(msg)
        except ArmError as error:
            self._complain(error)
            return
        with self._lock:
            self._controller.supervisor.feedback.take_pose(pose, now, stamp, delay)

    def _on_fingers(self, msg: FingerPosition) -> None:
        opening = opening_from_fingers(msg, self.robot)
        with self._lock:
            self._controller.measured_opening = opening

    def _stamped(self, msg: PoseStamped | JointState) -> tuple[float | None, float]:
        """Return a message's stamp and its age in [s]; no stamp when the driver left it 0."""
        stamp = seconds(msg.header.stamp)
        if stamp == 0.0:
            return None, 0.0
        return stamp, float(self._node.get_clock().now().nanoseconds) * 1e-9 - stamp

    def _complain(self, error: ArmError) -> None:
        self._node.get_logger().error(str(error), throttle_duration_sec=_LOG_PERIOD)


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
            return node.create_client(kind, robot.topic_in(name), callback_group=group)

        self._stop = client(Stop, "stop")
        self._start = client(Start, "start")
        self._home = client(HomeArm, "home_arm")
        self._stopping: Future | None = None

    @property
    def can_start(self) -> bool:
        """True when the driver offers its start service."""
        return bool(self._start.service_is_ready())

    def stop(self, answered: Callable[[], None]) -> None:
        """Ask the driver to stop.

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
