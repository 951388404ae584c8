"""What the inference node plans from: newest picture, the arm's measurements, newest request."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Generic, TypeVar

from geometry_msgs.msg import PoseStamped
from kinova_msgs.msg import FingerPosition
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image, JointState

from ..errors import ObservationError
from ..health import DurationMeter, Health, Level, RateMeter, Value, latency_values, stamp_problem
from ..policies.conventions import ArmState
from ..robots.robot import Robot
from ..types import Rgb
from .arm_name import of_arm, publishers_of
from .picture_messages import ImageConverter
from .stamps import seconds

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Arrived(Generic[T]):
    """A message and the monotonic time of its arrival in [s]."""

    message: T
    at: float


class NewestSlot(Generic[T]):
    """Holds one message; a newer one replaces it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._newest: Arrived[T] | None = None

    def put(self, message: T) -> None:
        """Take a message as it arrives."""
        with self._changed:
            self._newest = Arrived(message, time.monotonic())
            self._changed.notify()

    def take(self, timeout: float) -> Arrived[T] | None:
        """Take the message out, waiting at most ``timeout`` [s] for one."""
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None, timeout)
            newest, self._newest = self._newest, None
            return newest


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
        self._node = node
        self._robot = robot
        self._max_age = max_age
        self._newest: dict[str, tuple[object, float]] = {}
        self._topics: dict[str, str] = {}
        for name, kind in _TOPICS.items():
            topic = self._topics[name] = of_arm(node, robot.topic_out(name))
            node.create_subscription(kind, topic, self._keep(name), 1)

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
        fingers, pose = self._fresh("finger_position"), self._fresh("tool_pose")
        joints = self._fresh("joint_state")
        read = self._robot.messages.state_from_messages
        return ArmState(*read(pose, joints, fingers, self._robot))

    def opening(self) -> float | None:
        """Return the gripper's opening, 0 closed to 1 open; None while nothing is known."""
        if "finger_position" not in self._newest:
            return None
        fingers, _ = self._newest["finger_position"]
        return self._robot.messages.opening_from_fingers(fingers, self._robot)

    def _fresh(self, name: str) -> object:
        topic = self._topics[name]
        if name not in self._newest:
            raise ObservationError(f"nothing has come on {topic}, the policy's state needs it")
        message, arrived = self._newest[name]
        age = time.monotonic() - arrived
        if isinstance(message, PoseStamped | JointState):
            clock = float(self._node.get_clock().now().nanoseconds) * 1e-9
            stamp = seconds(message.header.stamp)
            age = max(age, clock - stamp, key=abs) if stamp else age
        if problem := stamp_problem(age, self._max_age):
            raise ObservationError(f"newest message on {topic} is {problem}")
        return message


_RATE_WANTED = 29.0  # [Hz] of 30
_RATE_ALLOWED = 33.0  # [Hz]; more are two cameras


def _too_many(topic: str, sources: list[str]) -> str:
    return f"{topic} has {len(sources)} publishers, one is allowed: {', '.join(sources)}"


class NoPictureYet(ObservationError):
    """The camera has not begun."""


class FrameInbox:
    """Subscribes to a picture topic; converts only the picture that is asked for."""

    def __init__(self, node: Node, topic: str, convert: ImageConverter) -> None:
        """Subscribe with a queue of one: only the newest picture matters."""
        self._node = node
        self._convert = convert
        self._changed = threading.Condition()
        self._newest: Image | None = None
        self._arrivals = RateMeter()
        self._transport = DurationMeter()
        newest_only = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        self._subscription = node.create_subscription(Image, topic, self._take, newest_only)
        self.topic: str = self._subscription.topic_name

    def _take(self, message: Image, info: Mapping[str, int]) -> None:
        transport = (time.time_ns() - info["source_timestamp"]) * 1e-6  # publish() to here
        with self._changed:
            self._newest = message
            self._changed.notify_all()
        self._arrivals.add(time.monotonic())
        self._transport.add(transport)

    def newest(self, now: Callable[[], float], max_age: float) -> Image:
        """Return the newest picture, waiting for one when there is none yet or it is too old.

        Args:
            now: Returns the ROS time in [s].
            max_age: Largest age allowed and longest wait, in [s].

        Raises:
            NoPictureYet: There has been none.
            ObservationError: It is too old, or stamped in the future.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._age(now) <= max_age, max_age)
            message, age = self._newest, self._age(now)
        if message is None:
            raise NoPictureYet(f"no picture has come on {self.topic}")
        if problem := stamp_problem(age, max_age):
            raise ObservationError(f"newest picture on {self.topic} is {problem}")
        sources = self._sources()
        if len(set(sources)) > 1:
            raise ObservationError(_too_many(self.topic, sources))
        return message

    def _sources(self) -> list[str]:
        """Return the names of the nodes that publish; a killed one is listed for a while."""
        if self._node.count_publishers(self.topic) < 2:
            return []
        return publishers_of(self._node, self.topic)

    def _age(self, now: Callable[[], float]) -> float:
        return inf if self._newest is None else now() - seconds(self._newest.header.stamp)

    def pixels(self, message: Image, size: tuple[int, int]) -> Rgb:
        """Convert a picture.

        Args:
            message: As :meth:`newest` returned it.
            size: Width and height that the policy is used with, in [px].

        Raises:
            ObservationError: Wrong size or encoding.
        """
        if (message.width, message.height) != size:
            raise ObservationError(
                f"picture on {self.topic} is {message.width}x{message.height}, "
                f"{size[0]}x{size[1]} is needed"
            )
        return self._convert(message)

    def health(self) -> Health:
        """Return how pictures arrive."""
        rate = self._arrivals.rate(time.monotonic())
        values: dict[str, Value] = {"rate_hz": rate, "received": self._arrivals.count}
        values.update(latency_values("transport_ms", self._transport.summary()))
        sources = self._sources()
        if len(set(sources)) > 1:
            return Health(Level.ERROR, _too_many(self.topic, sources), values)
        if rate == 0.0:
            return Health(Level.ERROR, f"no pictures on {self.topic}", values)
        level = Level.OK if _RATE_WANTED <= rate <= _RATE_ALLOWED else Level.WARN
        return Health(level, f"{rate:.1f} Hz on {self.topic}", values)
