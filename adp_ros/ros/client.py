"""A short-lived participant of the ROS graph: calls services, listens to topics.

It joins, does one thing and leaves; signals stay with the program.
"""

import os
import time
from array import array
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from std_srvs.srv import Trigger

from ..errors import ConfigError
from ..settings import nearest
from .arm_name import namespace, namespace_arguments
from .messages import message_class
from .node_process import complete_environment

N = TypeVar("N", bound=Node)
Spin = Callable[[float], None]
"""Handles what arrives for at most a number of seconds."""

DISCOVERY: Final = 3.0  # [s] within which whoever is there is known
_QUIET: Final = 0.5  # [s] without anything new, after which the graph is taken for complete
_SLICE: Final = 0.1  # [s] after which Ctrl-C is seen
SHOWN: Final = 32  # elements of a long array


@contextmanager
def joined(
    make_node: Callable[[], N], *, pictures: bool = False, robot_name: str = ""
) -> Iterator[tuple[N, Spin]]:
    """Join the graph with one node while the context lasts.

    Args:
        make_node: Builds the node.
        pictures: True when it takes pictures.
        robot_name: Arm in whose namespace it is, empty for plain names.
    """
    complete_environment(pictures=pictures)
    rclpy.init(args=namespace_arguments(robot_name), signal_handler_options=SignalHandlerOptions.NO)
    executor = SingleThreadedExecutor()

    def spin(seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0.0:
            executor.spin_once(timeout_sec=min(left, _SLICE))

    with ExitStack() as ending:
        ending.callback(rclpy.try_shutdown)
        ending.callback(executor.shutdown)
        node = make_node()
        ending.callback(node.destroy_node)
        executor.add_node(node)
        yield node, spin


def domain() -> str:
    """Return the ROS domain of this process, in words."""
    return f"ROS domain {os.environ.get('ROS_DOMAIN_ID', '').strip() or '0'}"


def call_trigger(name: str, timeout: float, robot_name: str = "") -> tuple[bool, str]:
    """Call a ``std_srvs/Trigger`` service.

    Args:
        name: Such as ``/adp/start``.
        timeout: Longest wait for the answer in [s].
        robot_name: Arm whose service it is, empty for plain names.

    Returns:
        Whether it succeeded, and what it said.

    Raises:
        ConfigError: No node offers the service, or there is no answer in time.
    """
    answer = call_service(Trigger, name, timeout, robot_name)
    return bool(answer.success), str(answer.message)


def call_service(kind: type[Any], name: str, timeout: float, robot_name: str = "") -> Any:
    """Call a service of any kind with an empty request, and return its answer.

    Args:
        kind: Its type.
        name: Such as ``/j2n6s300_driver/in/stop``.
        timeout: Longest wait for the answer in [s].
        robot_name: Arm whose service it is, empty for plain names.

    Raises:
        ConfigError: No node offers the service, or there is no answer in time.
    """
    name = f"{namespace(robot_name)}{name}"
    with joined(lambda: rclpy.create_node("adp_ros_client")) as (node, spin):
        client = node.create_client(kind, name)
        deadline = time.monotonic() + DISCOVERY
        while not client.service_is_ready():
            if time.monotonic() > deadline:
                raise ConfigError(
                    f"no node offers {name} in {domain()}; start the nodes first, e.g. with "
                    "adp-ros launch jaco2_task, in the same domain"
                )
            spin(_SLICE)
        future = client.call_async(kind.Request())
        deadline = time.monotonic() + timeout
        while not future.done():
            if time.monotonic() > deadline:
                raise ConfigError(f"{name} has not answered within {timeout:g} s")
            spin(_SLICE)
        return future.result()


def offers_service(name: str, robot_name: str = "") -> bool:
    """Tell whether a node offers a ``std_srvs/Trigger`` service."""
    with joined(lambda: rclpy.create_node("adp_ros_client")) as (node, spin):
        client = node.create_client(Trigger, f"{namespace(robot_name)}{name}")
        deadline = time.monotonic() + DISCOVERY
        while not client.service_is_ready() and time.monotonic() < deadline:
            spin(_SLICE)
        return bool(client.service_is_ready())


@dataclass(frozen=True, slots=True)
class TopicState:
    """One topic of the graph.

    Attributes:
        name: Its name.
        types: Types that it has; more than one is a mistake.
        publishers: Number of publishers.
        subscriptions: Number of subscriptions.
    """

    name: str
    types: tuple[str, ...]
    publishers: int
    subscriptions: int


def list_topics() -> tuple[TopicState, ...]:
    """Return the topics of the graph, by name."""
    with joined(lambda: rclpy.create_node("adp_ros_client")) as (node, spin):
        return _settled(node, spin)


def _settled(node: Node, spin: Spin) -> tuple[TopicState, ...]:
    """Wait until nothing new appears."""
    deadline = time.monotonic() + DISCOVERY
    known: tuple[TopicState, ...] = ()
    while True:
        spin(_QUIET)
        now = tuple(_states(node))
        if (now == known and now) or time.monotonic() > deadline:
            return now
        known = now


def _states(node: Node) -> Iterator[TopicState]:
    """Return what others publish or listen to."""
    own = node.get_name()
    for name, types in sorted(node.get_topic_names_and_types()):
        ends = node.get_publishers_info_by_topic(name), node.get_subscriptions_info_by_topic(name)
        publishers, subscriptions = (sum(end.node_name != own for end in each) for each in ends)
        if publishers or subscriptions:
            yield TopicState(name, tuple(types), publishers, subscriptions)


@contextmanager
def listening(topic: str, take: Callable[[Any], None]) -> Iterator[Spin]:
    """Subscribe to a topic, whatever its type and quality of service, while the context lasts.

    Args:
        topic: Its name; the first slash may be missing.
        take: Gets each message.

    Raises:
        ConfigError: No node publishes it, or its type is not installed.
    """
    name = topic if topic.startswith("/") else f"/{topic}"
    with joined(lambda: rclpy.create_node("adp_ros_client"), pictures=True) as (node, spin):
        deadline = time.monotonic() + DISCOVERY
        while not (offers := node.get_publishers_info_by_topic(name)):
            if time.monotonic() > deadline:
                published = (s.name for s in _settled(node, spin) if s.publishers)
                hint = nearest(name, published)
                raise ConfigError(f"no node publishes {name} in {domain()}, {hint}")
            spin(_SLICE)
        policies = [offer.qos_profile for offer in offers]
        profile = QoSProfile(depth=10)
        if any(p.reliability is ReliabilityPolicy.BEST_EFFORT for p in policies):
            profile.reliability = ReliabilityPolicy.BEST_EFFORT
        if all(p.durability is DurabilityPolicy.TRANSIENT_LOCAL for p in policies):
            profile.durability = DurabilityPolicy.TRANSIENT_LOCAL
        node.create_subscription(_class_of(offers[0].topic_type), name, take, profile)
        yield spin


def _class_of(type_name: str) -> type[Any]:
    try:
        return message_class(type_name)
    except (ImportError, KeyError, ValueError) as error:
        raise ConfigError(f"message type {type_name} is not installed here") from error


def plain(message: Any, shown: int = SHOWN) -> Any:
    """Return a message as values that JSON can say.

    Args:
        message: A message, or a value of a field.
        shown: Elements of an array that are spelled out; the others are counted.
    """
    if isinstance(message, bytes):
        return list(message) if len(message) > 1 else message[0]
    if isinstance(message, np.ndarray | array):
        return plain(message.tolist(), shown)
    if isinstance(message, list | tuple):
        head = [plain(entry, shown) for entry in message[:shown]]
        return head if len(message) <= shown else [*head, f"... {len(message)} in all"]
    if isinstance(message, str | bool | int | float) or message is None:
        return message
    fields: Mapping[str, str] = message.get_fields_and_field_types()
    return {name: plain(vars(type(message))[name].fget(message), shown) for name in fields}
