"""Plays a bag into running nodes: camera and arm as recorded, with the recording's own clock."""

import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, TypeVar

import rclpy
from builtin_interfaces.msg import Time
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rclpy.signals import SignalHandlerOptions
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image
from std_srvs.srv import Trigger

from ..bags.bag_reader import BagReader
from ..bags.bag_topics import (
    JPEG_SUFFIX,
    JPEG_TYPE,
    PICTURE_TYPE,
    SAFETY_TOPIC,
    Definitions,
    TopicInfo,
)
from ..bags.pictures import rgb_from_jpeg
from ..bags.playback import CLOCK, Operation, Schedule, Scheduled
from ..control.safety_machine import Status
from ..errors import BagError, ConfigError
from ..msg import SafetyState
from .arm_name import publishers_of
from .messages import message_class
from .node_process import StopSignals, complete_environment
from .picture_messages import image_message

T = TypeVar("T", bound=Enum)

_DEPTH: Final = 10
_PICTURES: Final = QoSProfile(depth=_DEPTH, reliability=ReliabilityPolicy.BEST_EFFORT)


class Playable:
    """Judges which topics of a bag can be published on this machine."""

    def __init__(self) -> None:
        self._definitions = Definitions(os.environ)

    def refused(self, topic: TopicInfo) -> str:
        """Say why a topic can't be published, empty when it can."""
        try:
            message_class(topic.type_name)
            installed = self._definitions.type_hash(topic.type_name)
        except (ConfigError, ImportError, KeyError, ValueError) as error:
            return f"{topic.name} is not played: {error}"
        if topic.type_hash and topic.type_hash != installed:
            return f"{topic.name} is not played: {topic.type_name} is of another version"
        return ""


class PlayTopics:
    """One publisher per topic, with the quality of service that was recorded.

    Args:
        node: Owner of the publishers.
        reader: The bag, read through once.
        topics: What is played.
    """

    def __init__(self, node: Node, reader: BagReader, topics: Mapping[str, TopicInfo]) -> None:
        self._node = node
        self._reader = reader
        self._publishers = {
            name: node.create_publisher(message_class(topic.type_name), name, _profile(topic))
            for name, topic in topics.items()
        }
        self.sent = 0

    def send(self, scheduled: Scheduled) -> None:
        """Publish one message.

        Raises:
            BagError: A picture can't be unpacked.
        """
        publisher = self._publishers.get(scheduled.message.topic)
        if publisher is None:
            return
        data = self._reader.data(scheduled.message)
        publisher.publish(data)
        self.sent += 1
        if scheduled.operation is Operation.UNPACK:
            self._send_unpacked(scheduled.message.topic, deserialize_message(data, CompressedImage))

    def _send_unpacked(self, topic: str, jpeg: CompressedImage) -> None:
        name = topic.removesuffix(JPEG_SUFFIX)
        if name not in self._publishers:
            self._publishers[name] = self._node.create_publisher(Image, name, _PICTURES)
        rgb = rgb_from_jpeg(bytes(jpeg.data), topic)
        header = jpeg.header
        self._publishers[name].publish(image_message(rgb, header.stamp, header.frame_id))


def _profile(topic: TopicInfo) -> QoSProfile:
    """Return what the first of the recorded publishers offered, else what suits the topic."""
    if not topic.qos:
        return (
            _PICTURES if topic.type_name in (PICTURE_TYPE, JPEG_TYPE) else QoSProfile(depth=_DEPTH)
        )
    first = topic.qos[0]
    return QoSProfile(
        history=_policy(HistoryPolicy, first.history),
        depth=max(first.depth, _DEPTH),
        reliability=_policy(ReliabilityPolicy, first.reliability),
        durability=_policy(DurabilityPolicy, first.durability),
    )


def _policy(kind: type[T], recorded: Enum) -> T:
    """Return the same policy, the system's own for ``unknown``, which can't be offered."""
    return kind["SYSTEM_DEFAULT" if recorded.name == "UNKNOWN" else recorded.name]


_CLOCK_PERIOD: Final = 0.01  # [s] of the recording from one clock message to the next
_LOOK: Final = 0.1  # [s] between two looks at the graph
_START_TIME: Final = 2.0  # [s] of the recording for which a refused start is tried again
_ANSWER_TIME: Final = 5.0  # [s] to wait for an answer when the bag has ended
_SECOND: Final = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaySettings:
    """How a bag is played.

    Attributes:
        rate: Seconds of the recording per second.
        starts: ``/adp/start`` is called where the recorded arm was started.
        listeners: Topics of which one must have a subscriber before anything is sent.
        patience: Longest wait for that in [s].
    """

    rate: float = 1.0
    starts: bool = False
    listeners: tuple[str, ...] = (CLOCK,)
    patience: float = 20.0


@dataclass(slots=True)
class Played:
    """What a bag that was played led to.

    Attributes:
        messages: That were sent.
        complete: The whole bag was sent.
        answers: What ``/adp/start`` said in the end, for each start of the recorded arm.
        failure: Why the controller did not take part to the end, empty when it did.
        late: Largest delay of a message in [s].
        problems: What could not be sent, in words.
    """

    messages: int = 0
    complete: bool = False
    answers: list[str] = field(default_factory=list)
    failure: str = ""
    late: float = 0.0
    problems: list[str] = field(default_factory=list)


def play(
    reader: BagReader, schedule: Schedule, settings: PlaySettings, say: Callable[[str], None]
) -> Played:
    """Play until the bag or the user ends it.

    Args:
        reader: The bag, read through once.
        schedule: What is played.
        settings: How.
        say: Gets a line when the playing begins.

    Raises:
        ConfigError: There is no listener, or another node publishes what is to be played.
    """
    complete_environment(pictures=True)
    asked = threading.Event()
    with StopSignals() as signals:
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        signals.stops(asked.set)
        try:
            player = Player(rclpy.create_node("player"), settings, asked.is_set)
            player.wait_for_nodes(schedule.topics)
            if not asked.is_set():
                say(f"playing {len(schedule.topics)} topics, {schedule.duration:.0f} s")
            return player.run(reader, schedule)
        finally:
            rclpy.try_shutdown()


class Player:
    """Sends each message when it is due.

    Args:
        node: Owner of publishers and client.
        settings: How the bag is played.
        ended: True once the user wants to end.
    """

    def __init__(self, node: Node, settings: PlaySettings, ended: Callable[[], bool]) -> None:
        self._node = node
        self._settings = settings
        self._ended = ended
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(node)
        self._clock = node.create_publisher(Clock, CLOCK, 10)
        self._start = node.create_client(Trigger, "/adp/start")
        self._begun = 0.0
        self._start_until = -1.0  # [s] of the recording
        self._asking = False
        self._moving = False
        self._retry = node.create_timer(_LOOK, self._ask, autostart=False)
        if settings.starts:
            node.create_subscription(SafetyState, SAFETY_TOPIC, self._note_state, 10)
        self._played = Played()

    def wait_for_nodes(self, topics: Iterable[str]) -> None:
        """Wait for listeners, and make sure that no other node publishes the same.

        Raises:
            ConfigError: There is no listener, or another publisher.
        """
        deadline = time.monotonic() + self._settings.patience
        while not self._met() and not self._ended():
            if time.monotonic() > deadline:
                raise ConfigError(self._missing())
            self._executor.spin_once(timeout_sec=_LOOK)
        for topic in topics:
            if others := publishers_of(self._node, topic):
                name = others[0].rpartition("/")[2]
                raise ConfigError(
                    f"{topic} is already published by {name}: end camera and arm "
                    "(robot:=none), or set another ROS_DOMAIN_ID"
                )

    def run(self, reader: BagReader, schedule: Schedule) -> Played:
        """Send everything, with the clock between the messages."""
        topics = PlayTopics(self._node, reader, schedule.topics)
        self._begun, clock_due = time.monotonic(), 0.0
        for scheduled in schedule.messages:
            while clock_due <= scheduled.due and self._wait(clock_due):
                self._tell_time(scheduled, clock_due)
                clock_due += _CLOCK_PERIOD
            if not self._wait(scheduled.due):
                break
            self._played.late = max(self._played.late, self._now() - scheduled.due)
            self._take(topics, scheduled)
        else:
            self._played.complete = True
        self._await_answer()
        self._played.messages = topics.sent
        return self._played

    def _await_answer(self) -> None:
        deadline = time.monotonic() + _ANSWER_TIME
        while self._asking and not self._ended() and time.monotonic() < deadline:
            self._executor.spin_once(timeout_sec=_LOOK)

    def _met(self) -> bool:
        heard = any(self._node.count_subscribers(name) for name in self._settings.listeners)
        return heard and (not self._settings.starts or bool(self._start.service_is_ready()))

    def _missing(self) -> str:
        waited = f"{self._settings.patience:g} s"
        if CLOCK in self._settings.listeners:
            return (
                f"no node follows /clock, waited {waited}: start the nodes with robot:=none "
                "use_sim_time:=true bag:=BAG, in the same ROS_DOMAIN_ID"
            )
        return f"no node listens, waited {waited}: is it the same ROS_DOMAIN_ID?"

    def _now(self) -> float:
        """Return the time of the recording in [s]."""
        return (time.monotonic() - self._begun) * self._settings.rate

    def _wait(self, due: float) -> bool:
        """Wait for a time of the recording; False when the user wants to end."""
        while (left := due - self._now()) > 0.0 and not self._over():
            self._executor.spin_once(timeout_sec=min(left / self._settings.rate, _LOOK))
        return not self._over()

    def _over(self) -> bool:
        return self._ended() or bool(self._played.failure)

    def _note_state(self, state: SafetyState) -> None:
        """Take note of a stop; one from before the start is the start's own matter."""
        status = Status(state.status)
        if self._moving and status is Status.STOPPED:
            self._played.failure = f"the controller stopped: {state.message or state.cause}"
        self._moving = status.moving

    def _tell_time(self, following: Scheduled, due: float) -> None:
        time_then = following.message.time - round((following.due - due) * _SECOND)
        sec, nanosec = divmod(max(time_then, 0), _SECOND)
        self._clock.publish(Clock(clock=Time(sec=sec, nanosec=nanosec)))

    def _take(self, topics: PlayTopics, scheduled: Scheduled) -> None:
        if scheduled.operation is Operation.START:
            if self._settings.starts:
                self._start_until = scheduled.due + _START_TIME
                self._played.answers.append("")
                self._ask()
            return
        try:
            topics.send(scheduled)
        except BagError as error:
            if str(error) not in self._played.problems:
                self._played.problems.append(str(error))

    def _ask(self) -> None:
        """Call for the start; what is refused is asked again for a while."""
        self._asking = True
        self._retry.cancel()
        self._start.call_async(Trigger.Request()).add_done_callback(self._note_answer)

    def _note_answer(self, answer: "rclpy.Future[Trigger.Response]") -> None:
        response = answer.result()
        self._played.answers[-1] = response.message
        if not response.success and self._now() < self._start_until:
            self._retry.reset()
            return
        self._asking = False
        if not response.success:
            self._played.failure = f"the controller did not start: {response.message}"
