"""Node between driver, policy and controller: passes messages on, tampers with them, watches."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from kinova_msgs.msg import (
    FingerPosition,
    JointAngles,
    JointVelocity,
    PoseVelocityWithFingers,
)
from kinova_msgs.srv import ClearTrajectories, Start, Stop
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.task import Future
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from ..control.safety_machine import Status
from ..control.torque import TorqueConfig, TorqueLevel, TorqueMonitor
from ..errors import ArmError, SafetyError
from ..faults.judge import Trace
from ..faults.plan import Patrol
from ..msg import ActionChunk, ChunkRequest, SafetyState, TwinState
from ..robots.jaco2.arms import arm_model
from ..robots.jaco2.messages import (
    joint_values,
    joints_from_angles,
    opening_from_fingers,
    pose_from_message,
    torque_from_angles,
)
from ..robots.kinematics import Chain, forward, gravity_torque
from ..robots.robot import robot_named
from ..types import FloatArray, Pose
from .fault_filters import Filter
from .stamps import seconds, time_message

SERVICES: Final = ("start", "stop", "reset", "tare", "home")
_POLL: Final = 0.0005  # [s]
_KEPT: Final = 6000  # messages of each kind: a minute
_LATCHED: Final = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
_NAMES: Final = tuple(status.name.lower() for status in Status)


def tampered(topic: str) -> str:
    """Return the name under which the controller hears a topic of a campaign."""
    return "/faults/" + topic.removeprefix("/")


class FaultObserver(Node):
    """Passes commands on; keeps them, tool positions and states; times are monotonic, in [s].

    Subscribes: the driver's commands, /adp/safety_state, /diagnostics
    Calls: the controller's services, the driver's start

    Args:
        robot_type: Kinova's name of the arm.
        arguments: Further arguments of :class:`rclpy.node.Node`.
    """

    def __init__(self, robot_type: str, **arguments: Any) -> None:
        super().__init__("fault_bench", **arguments)
        self.force = 0.0
        self.stop_delay = 0.0  # [s] of the last stop, as the controller measured it
        self.watching = True
        self.status = ""
        self.cause = ""
        self._commands: deque[tuple[float, float, float]] = deque(maxlen=_KEPT)
        self._tool: deque[FloatArray] = deque(maxlen=_KEPT)
        self._states: deque[tuple[float, str, str]] = deque(maxlen=_KEPT)
        robot = robot_named(robot_type)
        velocity = robot.topic_in("cartesian_velocity_with_fingers")
        joints = robot.topic_in("joint_velocity")
        self._driver = self.create_publisher(PoseVelocityWithFingers, velocity, 10)
        self._driver_joints = self.create_publisher(JointVelocity, joints, 10)
        self.create_subscription(PoseVelocityWithFingers, tampered(velocity), self._on_command, 100)
        self.create_subscription(JointVelocity, tampered(joints), self._on_joint_command, 100)
        self.create_subscription(
            FingerPosition, robot.topic_out("finger_position"), self._on_fingers, 10
        )
        self._robot = robot
        self._model = arm_model(robot_type)
        self._joints: FloatArray | None = None
        self._fingers: deque[tuple[float, float]] = deque(maxlen=_KEPT)
        self._velocity = tampered(velocity)
        self._rogues: list[Any] = []
        self._last_command: PoseVelocityWithFingers | None = None
        self.create_subscription(SafetyState, "/adp/safety_state", self._on_state, _LATCHED)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_health, 10)
        self._asks = {n: self.create_client(Trigger, f"/adp/{n}") for n in SERVICES}
        self._driver_start = self.create_client(Start, robot.topic_in("start"))

    def trace(self, since: float) -> Trace:
        """Return what was seen since a moment."""
        commands = [c for c in tuple(self._commands) if c[0] >= since]
        tool = [t for t in tuple(self._tool) if t[0] >= since]
        states = tuple(s for s in tuple(self._states) if s[0] >= since)
        fingers = [f for f in tuple(self._fingers) if f[0] >= since]
        arrays = (np.array(commands).reshape(-1, 3), np.array(tool).reshape(-1, 4))
        return Trace(*arrays, states, np.array(fingers).reshape(-1, 2))

    @property
    def closure(self) -> float:
        """Newest position of the fingers, 0 open to 1 closed."""
        return self._fingers[-1][1] if self._fingers else 0.0

    def commanded_speed(self) -> float:
        """Return the newest command's linear speed in [m/s]; 0 when none came lately."""
        if not self._commands or time.monotonic() - self._commands[-1][0] > 0.1:
            return 0.0
        return self._commands[-1][1]

    def commanded_turn(self) -> float:
        """Return the newest command's turning speed in [rad/s]."""
        return self._commands[-1][2] if self._commands else 0.0

    def rests(self) -> bool:
        """Tell whether the newest command was to stand still."""
        return bool(self._commands) and self._commands[-1][1:] == (0.0, 0.0)

    def call(self, name: str) -> "Future[Trigger.Response]":
        """Call a service of the controller."""
        return self._asks[name].call_async(Trigger.Request())

    def offers(self, name: str) -> bool:
        """Tell whether a service of the controller is there."""
        return bool(self._asks[name].service_is_ready())

    def release(self) -> None:
        """Let the driver take velocities again, as a person at the joystick would."""
        self._driver_start.call_async(Start.Request())

    @contextmanager
    def lifting(self) -> Iterator[Callable[[float], None]]:
        """Give a function that sends the driver one velocity straight up, in [m/s]."""
        yield lambda speed: self._driver.publish(PoseVelocityWithFingers(twist_linear_z=speed))

    def intrude(self, line: str) -> None:
        """Become a second publisher of a line: ``velocity`` or ``chunks``; sends nothing."""
        kinds = {
            "velocity": (PoseVelocityWithFingers, self._velocity),
            "chunks": (ActionChunk, tampered(CHUNKS)),
        }
        kind, topic = kinds[line]
        self._rogues.append(self.create_publisher(kind, topic, 1))

    def crowd(self, count: int) -> None:
        """Let messages of the present velocity queue up in the driver."""
        for _ in range(count if self._last_command is not None else 0):
            self._driver.publish(self._last_command)
            time.sleep(_POLL)

    def withdraw(self) -> None:
        """End being a second publisher."""
        while self._rogues:
            self.destroy_publisher(self._rogues.pop())

    def _on_command(self, message: PoseVelocityWithFingers, info: Mapping[str, Any]) -> None:
        """Note a command and when the controller sent it, however long it waited here."""
        self._driver.publish(message)
        age = max(0.0, 1e-9 * (time.time_ns() - int(info["source_timestamp"])))
        now, m = time.monotonic() - age, message
        self._last_command = message
        linear = (m.twist_linear_x, m.twist_linear_y, m.twist_linear_z)
        angular = (m.twist_angular_x, m.twist_angular_y, m.twist_angular_z)
        if self.watching:
            norms = (float(np.linalg.norm(linear)), float(np.linalg.norm(angular)))
            self._commands.append((now, *norms))

    def _on_joint_command(self, message: JointVelocity, info: Mapping[str, Any]) -> None:
        """Note the tool's velocity that joint speeds lead to where the arm is."""
        self._driver_joints.publish(message)
        age = max(0.0, 1e-9 * (time.time_ns() - int(info["source_timestamp"])))
        if self.watching and self._joints is not None:
            speeds = np.radians(joint_values(message))
            twist = Chain.at(self._model, self._joints).jacobian() @ speeds
            norms = (float(np.linalg.norm(twist[:3])), float(np.linalg.norm(twist[3:])))
            self._commands.append((time.monotonic() - age, *norms))

    def _on_fingers(self, message: FingerPosition) -> None:
        closure = 1.0 - opening_from_fingers(message, self._robot)
        self._fingers.append((time.monotonic(), closure))

    def _on_state(self, message: SafetyState) -> None:
        self.status, self.cause = _NAMES[message.status], message.cause
        self._states.append((time.monotonic(), self.status, message.cause))

    def _on_health(self, message: DiagnosticArray) -> None:
        for status in message.status:
            for pair in status.values:
                if pair.key == "contact_force_max_n":
                    self.force = max(self.force, float(pair.value))
                elif pair.key == "stop_delay_ms":
                    self.stop_delay = 1e-3 * float(pair.value)


TOPICS: Final[Mapping[str, type]] = MappingProxyType(
    {
        "joint_torques": JointAngles,
        "joint_angles": JointAngles,
        "joint_state": JointState,
        "tool_pose": PoseStamped,
    }
)
CHUNKS: Final = "/adp/action_chunk"
DRIVER_SERVICES: Final[Mapping[str, type]] = MappingProxyType(
    {"stop": Stop, "start": Start, "clear_trajectories": ClearTrajectories}
)
COMMANDS: Final = ("cartesian_velocity_with_fingers", "joint_velocity")
_ENABLE_PERIOD: Final = 0.1  # [s]
_FRAME_AGE: Final = 0.05  # [s] of the pictures that there are not


class FaultBench(FaultObserver):
    """Stands between the nodes; times are monotonic, in [s].

    Subscribes: the driver's samples and commands, /adp/action_chunk or, without a policy,
        /adp/chunk_request; /adp/safety_state, /diagnostics
    Publishes: /faults/..., the same as the controller hears it

    Args:
        robot_type: Kinova's name of the arm.
        answers: True to answer the controller's requests: there is no inference node.
        twin: True to see where the tool is in the twin, not in what the driver publishes.
        arguments: Further arguments of :class:`rclpy.node.Node`.
    """

    def __init__(
        self, robot_type: str, *, answers: bool, twin: bool = False, **arguments: Any
    ) -> None:
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
        self._never: Future[Any] = Future()
        self.enabling = False  # a person holds the enabling device
        self.services_dead = False  # the driver's services get no answer
        for name, service in DRIVER_SERVICES.items():
            self._pass_calls(service, self._robot.topic_in(name))
        self._enable = self.create_publisher(Bool, "/adp/enable", 1)
        self.create_timer(_ENABLE_PERIOD, self._hold)
        robot = self._robot
        self._out: dict[str, Any] = {}
        for name, kind in TOPICS.items():
            self._relay(name, robot.topic_out(name), kind, 2)
        self._twin = twin
        if twin:
            self.create_subscription(TwinState, "/sim/state", self._on_twin_state, 10)
        self._chunks = self.create_publisher(ActionChunk, tampered(CHUNKS), 1)
        if answers:
            self.create_subscription(ChunkRequest, "/adp/chunk_request", self._on_request, 1)
        else:
            self.create_subscription(ActionChunk, CHUNKS, self._on_chunk, 1)

    def clear(self) -> None:
        """Pass everything on as it is from now on."""
        self.filters = {}
        self.chunk_delay = 0.0
        self.patrol.pressing = self.patrol.closing = False
        self.services_dead = False
        self.enabling = False
        self.withdraw()

    def _hold(self) -> None:
        if self.enabling:
            self._enable.publish(Bool(data=True))

    def _pass_calls(self, kind: Any, name: str) -> None:
        """Offer a service of the driver to the controller, and ask the driver."""
        group = ReentrantCallbackGroup()
        client = self.create_client(kind, name, callback_group=group)

        async def answer(request: Any, response: Any) -> Any:
            future = self._never if self.services_dead else client.call_async(request)
            return await future or response

        self.create_service(kind, tampered(name), answer, callback_group=group)

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
        if not self._twin:
            self._note_tool(message.header.stamp, self.pose)

    def _on_twin_state(self, message: TwinState) -> None:
        joints = np.array(message.qpos[:6])
        self._note_tool(message.header.stamp, forward(self._model, joints))

    def _note_tool(self, stamp: Any, pose: Pose) -> None:
        age = float(self.get_clock().now().nanoseconds) * 1e-9 - seconds(stamp)
        self._tool.append(np.array([time.monotonic() - age, *pose.position]))

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
