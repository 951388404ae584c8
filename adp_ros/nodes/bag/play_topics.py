"""Publishers for what a bag holds: the serialized messages as they are, pictures also unpacked."""

import os
from collections.abc import Mapping
from enum import Enum
from typing import Final, TypeVar

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CompressedImage, Image

from ...errors import ConfigError
from ...recording.bag_reader import BagReader
from ...recording.definitions import Definitions
from ...recording.pictures import JPEG_SUFFIX, rgb_from_jpeg
from ...recording.playback import PICTURE_TYPES, Act, Timed
from ...recording.topic import TopicInfo
from ..messages.message_class import message_class
from ..messages.pictures import image_message

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

    def send(self, message: Timed) -> None:
        """Publish one message.

        Raises:
            BagError: A picture can't be unpacked.
        """
        publisher = self._publishers.get(message.topic)
        if publisher is None:
            return
        data = self._reader.fetch(message.place)
        publisher.publish(data)
        self.sent += 1
        if message.act is Act.UNPACK:
            self._send_unpacked(message.topic, deserialize_message(data, CompressedImage))

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
        return _PICTURES if topic.type_name in PICTURE_TYPES else QoSProfile(depth=_DEPTH)
    first = topic.qos[0]
    return QoSProfile(
        history=_policy(HistoryPolicy, first.history),
        depth=max(first.depth, _DEPTH),
        reliability=_policy(ReliabilityPolicy, first.reliability),
        durability=_policy(DurabilityPolicy, first.durability),
    )


def _policy(kind: type[T], word: str) -> T:
    """Return the policy of a word, the system's own for ``unknown``, which can't be offered."""
    known = {policy.name.lower(): policy for policy in kind if policy.name != "UNKNOWN"}
    return known.get(word, known["system_default"])
