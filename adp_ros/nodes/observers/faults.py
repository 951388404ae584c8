"""Node that watches what a fault leads to, and presses the buttons."""

import time
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from kinova_msgs.msg import PoseVelocityWithFingers
from kinova_msgs.srv import Start
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.task import Future
from std_srvs.srv import Trigger

from ...arm.robot import robot_named
from ...faults.judge import Trace
from ...msg import SafetyState
from ...types import FloatArray

SERVICES: Final = ("start", "stop", "reset", "tare")
_KEPT: Final = 6000  # messages of each kind: a minute
_LATCHED: Final = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
_NAMES: Final = ("disarmed", "armed", "running", "slowed", "stopped")


class FaultObserver(Node):
    """Keeps commands, tool positions and safety states; times are monotonic, in [s].

    Subscribes: the driver's commands, /adp/safety_state, /diagnostics
    Calls: the controller's services, the driver's start

    Args:
        robot_type: Kinova's name of the arm.
        arguments: Further arguments of :class:`rclpy.node.Node`.
    """

    def __init__(self, robot_type: str, **arguments: Any) -> None:
        super().__init__("fault_bench", **arguments)
        self.force = 0.0
        self.watching = True
        self.status = ""
        self.cause = ""
        self._commands: deque[tuple[float, float, float]] = deque(maxlen=_KEPT)
        self._tool: deque[FloatArray] = deque(maxlen=_KEPT)
        self._states: deque[tuple[float, str, str]] = deque(maxlen=_KEPT)
        robot = robot_named(robot_type)
        velocity = robot.topic_in("cartesian_velocity_with_fingers")
        self.create_subscription(PoseVelocityWithFingers, velocity, self._on_command, 100)
        self._velocity = self.create_publisher(PoseVelocityWithFingers, velocity, 1)
        self.create_subscription(SafetyState, "/adp/safety_state", self._on_state, _LATCHED)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_health, 10)
        self._asks = {n: self.create_client(Trigger, f"/adp/{n}") for n in SERVICES}
        self._driver_start = self.create_client(Start, robot.topic_in("start"))

    def trace(self, since: float) -> Trace:
        """Return what was seen since a moment."""
        commands = [c for c in tuple(self._commands) if c[0] >= since]
        tool = [t for t in tuple(self._tool) if t[0] >= since]
        states = tuple(s for s in tuple(self._states) if s[0] >= since)
        return Trace(np.array(commands).reshape(-1, 3), np.array(tool).reshape(-1, 4), states)

    def commanded_speed(self) -> float:
        """Return the newest command's linear speed in [m/s]; 0 when none came lately."""
        if not self._commands or time.monotonic() - self._commands[-1][0] > 0.1:
            return 0.0
        return self._commands[-1][1]

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

    def lift(self, speed: float) -> None:
        """Send the driver one velocity straight up, in [m/s], past the controller."""
        self._velocity.publish(PoseVelocityWithFingers(twist_linear_z=speed))

    def _on_command(self, message: PoseVelocityWithFingers, info: Mapping[str, Any]) -> None:
        """Note a command and when the controller sent it, however long it waited here."""
        age = max(0.0, 1e-9 * (time.time_ns() - int(info["source_timestamp"])))
        now, m = time.monotonic() - age, message
        linear = (m.twist_linear_x, m.twist_linear_y, m.twist_linear_z)
        angular = (m.twist_angular_x, m.twist_angular_y, m.twist_angular_z)
        if self.watching:
            norms = (float(np.linalg.norm(linear)), float(np.linalg.norm(angular)))
            self._commands.append((now, *norms))

    def _on_state(self, message: SafetyState) -> None:
        self.status, self.cause = _NAMES[message.status], message.cause
        self._states.append((time.monotonic(), self.status, message.cause))

    def _on_health(self, message: DiagnosticArray) -> None:
        for status in message.status:
            for pair in status.values:
                if pair.key == "contact_force_max_n":
                    self.force = max(self.force, float(pair.value))
