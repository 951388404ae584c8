"""What the arm's driver measured last, in SI units, for the policy's state."""

import time
from collections.abc import Callable

import numpy as np
from geometry_msgs.msg import PoseStamped
from kinova_msgs.msg import FingerPosition
from rclpy.node import Node
from sensor_msgs.msg import JointState

from ...arm.messages import joints_from_state, opening_from_fingers, pose_from_message
from ...arm.robot import Robot
from ...arm.units import RADIANS_PER_TICK
from ...errors import ObservationError
from ...policy.state_layout import ArmState

_TOPICS = {"tool_pose": PoseStamped, "joint_state": JointState, "finger_position": FingerPosition}


class ArmInbox:
    """Keeps the newest message of each topic of the driver; reads them only when asked."""

    def __init__(self, node: Node, robot: Robot, max_age: float) -> None:
        """Subscribe.

        Args:
            node: Node that subscribes.
            robot: Gives the names of topics and joints.
            max_age: Oldest message that may still be used, in [s].
        """
        self._robot = robot
        self._max_age = max_age
        self._newest: dict[str, tuple[object, float]] = {}
        for name, kind in _TOPICS.items():
            node.create_subscription(kind, robot.topic_out(name), self._keep(name), 1)

    def _keep(self, name: str) -> Callable[[object], None]:
        def keep(message: object) -> None:
            self._newest[name] = (message, time.monotonic())

        return keep

    def state(self) -> ArmState:
        """Return pose, joints and fingers.

        Raises:
            ObservationError: A topic is silent.
            ArmError: A message cannot be read.
        """
        fingers = self._fresh("finger_position")
        ticks = np.array([fingers.finger1, fingers.finger2, fingers.finger3])  # type: ignore[attr-defined]
        return ArmState(
            pose_from_message(self._fresh("tool_pose")),
            joints_from_state(self._fresh("joint_state"), self._robot),
            RADIANS_PER_TICK * ticks[: self._robot.fingers],
        )

    def opening(self) -> float | None:
        """Return the gripper's opening, 0 closed to 1 open; None while nothing is known."""
        if "finger_position" not in self._newest:
            return None
        return opening_from_fingers(self._newest["finger_position"][0], self._robot)

    def _fresh(self, name: str) -> object:
        topic = self._robot.topic_out(name)
        if name not in self._newest:
            raise ObservationError(f"nothing has come on {topic}, the policy's state needs it")
        message, arrived = self._newest[name]
        age = time.monotonic() - arrived
        if age > self._max_age:
            raise ObservationError(
                f"newest message on {topic} is {age:.2f} s old, allowed: {self._max_age:g} s"
            )
        return message
