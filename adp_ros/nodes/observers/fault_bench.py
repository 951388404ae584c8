"""Node between driver, policy and controller: passes messages on, tampers with them, watches."""

import threading
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from geometry_msgs.msg import PoseStamped
from kinova_msgs.msg import JointAngles
from sensor_msgs.msg import JointState

from ...arm.messages import joints_from_angles, pose_from_message, torque_from_angles
from ...arm.robot import robot_named
from ...errors import ArmError, SafetyError
from ...faults.patrol import Patrol
from ...kinematics import arm_model, gravity_torque
from ...msg import ActionChunk, ChunkRequest
from ...safety import TorqueConfig, TorqueLevel, TorqueMonitor
from ...types import FloatArray, Pose
from ..messages.stamps import seconds, time_message
from .fault_filters import Filter
from .faults import FaultObserver

TOPICS: Final[Mapping[str, type]] = MappingProxyType(
    {
        "joint_torques": JointAngles,
        "joint_angles": JointAngles,
        "joint_state": JointState,
        "tool_pose": PoseStamped,
    }
)
CHUNKS: Final = "/adp/action_chunk"
_FRAME_AGE: Final = 0.05  # [s] of the pictures that there are not


def tampered(topic: str) -> str:
    """Return the name under which the controller hears a topic of a campaign."""
    return "/faults/" + topic.removeprefix("/")


class FaultBench(FaultObserver):
    """Stands between the nodes; times are monotonic, in [s].

    Subscribes: the driver's samples and commands, /adp/action_chunk or, without a policy,
        /adp/chunk_request; /adp/safety_state, /diagnostics
    Publishes: /faults/..., the same as the controller hears it

    Args:
        robot_type: Kinova's name of the arm.
        answers: True to answer the controller's requests: there is no inference node.
        arguments: Further arguments of :class:`rclpy.node.Node`.
    """

    def __init__(self, robot_type: str, *, answers: bool, **arguments: Any) -> None:
        super().__init__(robot_type, **arguments)
        self.patrol = Patrol()
        self.filters: dict[str, Filter] = {}
        self.changed_at: dict[str, list[float]] = {}
        self.passed_at: dict[str, float] = {}
        self.pose: Pose | None = None
        self.monitor = TorqueMonitor(TorqueConfig())
        self.over_at: list[float] = []
        self.tare_wanted = False
        self.chunk_delay = 0.0
        self._model = arm_model(robot_type)
        self._joints: FloatArray | None = None
        self._robot = robot = robot_named(robot_type)
        self._out: dict[str, Any] = {}
        for name, kind in TOPICS.items():
            self._relay(name, robot.topic_out(name), kind, 2)
        self._chunks = self.create_publisher(ActionChunk, tampered(CHUNKS), 1)
        if answers:
            self.create_subscription(ChunkRequest, "/adp/chunk_request", self._on_request, 1)
        else:
            self.create_subscription(ActionChunk, CHUNKS, self._on_chunk, 1)

    def clear(self) -> None:
        """Pass everything on as it is from now on."""
        self.filters = {}
        self.chunk_delay = 0.0
        self.patrol.pressing = False

    def _relay(self, name: str, topic: str, kind: type, depth: int) -> None:
        self._out[name] = self.create_publisher(kind, tampered(topic), depth)
        self.create_subscription(kind, topic, self._passing(name), 10)

    def _passing(self, name: str) -> Callable[[Any], None]:
        look = self._looks().get(name)

        def take(message: Any) -> None:
            for passed in self._filtered(name, message):
                at = time.monotonic()
                self._out[name].publish(passed)
                if name == "joint_torques":
                    self._judge_torque(passed, at)
            if look is not None:
                look(message)

        return take

    def _filtered(self, name: str, message: Any) -> list[Any]:
        change = self.filters.get(name)
        now = time.monotonic()
        if change is None:
            self.passed_at[name] = now
            return [message]
        self.changed_at.setdefault(name, []).append(now)
        return change(message)

    def _looks(self) -> dict[str, Callable[[Any], None]]:
        return {"tool_pose": self._on_pose, "joint_angles": self._on_angles}

    def _on_pose(self, message: PoseStamped) -> None:
        try:
            self.pose = pose_from_message(message)
        except ArmError as error:
            self.get_logger().error(str(error), throttle_duration_sec=1.0)
            return
        age = float(self.get_clock().now().nanoseconds) * 1e-9 - seconds(message.header.stamp)
        self._tool.append(np.array([time.monotonic() - age, *self.pose.position]))

    def _on_angles(self, message: JointAngles) -> None:
        self._joints = joints_from_angles(message)

    def _judge_torque(self, message: JointAngles, at: float) -> None:
        """Judge a sample as the controller is to judge it, to know which one is decisive."""
        torque, joints = torque_from_angles(message), self._joints
        if joints is None or not np.isfinite(torque).all():
            return
        gravity = gravity_torque(self._model, joints)
        if self.tare_wanted:
            self._take_tare(at)
        if self.monitor.take(torque, gravity, joints, at) is TorqueLevel.STOP:
            self.over_at.append(at)

    def _take_tare(self, at: float) -> None:
        try:
            self.monitor.capture_tare(at)
        except SafetyError:  # not at rest yet: with a later sample
            return
        self.tare_wanted = False

    def _on_request(self, message: ChunkRequest) -> None:
        answer = ActionChunk(window=message.window, step_period=0.1, policy="patrol")
        now = float(self.get_clock().now().nanoseconds) * 1e-9
        answer.header.stamp = time_message(now - _FRAME_AGE)
        self._on_chunk(answer)

    def _on_chunk(self, message: ActionChunk) -> None:
        """Let the patrol move the arm whatever the policy planned; its timing stays."""
        if self.pose is None:
            return
        message.actions = self.patrol.plan(self.pose).ravel().tolist()
        message.translation_frame = message.rotation_frame = "base"
        message.rotation = "rotvec"
        passed = self._filtered("chunk", message)
        if self.chunk_delay > 0.0:
            threading.Timer(self.chunk_delay, self._send_chunks, [passed]).start()
        else:
            self._send_chunks(passed)

    def _send_chunks(self, messages: list[ActionChunk]) -> None:
        for message in messages:
            self._chunks.publish(message)
