"""Publishers for what a bag holds: the serialized messages as they are, pictures also unpacked."""

import os
from collections.abc import Mapping
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CompressedImage, Image

from ..errors import ConfigError
from ..recording.bag_reader import BagReader
from ..recording.definitions import Definitions
from ..recording.pictures import JPEG_SUFFIX, rgb_from_jpeg
from ..recording.playback import Act, Timed
from ..recording.topic import OfferedQos, TopicInfo
from .convert import image_message
from .message_class import message_class

_DEPTH = 10


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
            name: node.create_publisher(message_class(topic.type_name), name, _profile(topic.qos))
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
            profile = QoSProfile(depth=_DEPTH, reliability=ReliabilityPolicy.BEST_EFFORT)
            self._publishers[name] = self._node.create_publisher(Image, name, profile)
        rgb = rgb_from_jpeg(bytes(jpeg.data), topic)
        header = jpeg.header
        self._publishers[name].publish(image_message(rgb, header.stamp, header.frame_id))


def _profile(offered: tuple[OfferedQos, ...]) -> QoSProfile:
    """Return what the first of the recorded publishers offered, else rosbag2's own default."""
    if not offered:
        return QoSProfile(depth=_DEPTH)
    first = offered[0]
    policies: tuple[Any, ...] = tuple(
        policy.get_from_short_key(word) if word in policy.short_keys() else policy.SYSTEM_DEFAULT
        for policy, word in (
            (HistoryPolicy, first.history),
            (ReliabilityPolicy, first.reliability),
            (DurabilityPolicy, first.durability),
        )
    )
    history, reliability, durability = policies
    depth = max(first.depth, _DEPTH)
    return QoSProfile(history=history, depth=depth, reliability=reliability, durability=durability)
