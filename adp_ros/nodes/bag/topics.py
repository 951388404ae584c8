"""Topics of the running system as a recorder sees them: found, subscribed, handed on as bytes."""

from collections.abc import Callable, Mapping

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.topic_endpoint_info import TopicEndpointInfo

from ...errors import ConfigError
from ...recording.definitions import Definitions
from ...recording.recorder import PICTURE_TYPE, Record
from ...recording.settings import RecordSettings
from ...recording.topic import OfferedQos, TopicInfo
from ..messages.message_class import message_class

_JPEG_TYPE = "sensor_msgs/msg/CompressedImage"
_DEPTH = 200  # messages; pictures take their own size
_PICTURES = 10

Put = Callable[[Record | TopicInfo], None]


class RecordTopics:
    """Subscribes to whatever is published, without decoding it.

    Args:
        node: Owner of the subscriptions.
        settings: What is recorded.
        definitions: Where message types are looked up.
        put: Gets topics and messages.
    """

    def __init__(
        self, node: Node, settings: RecordSettings, definitions: Definitions, put: Put
    ) -> None:
        self._node = node
        self._settings = settings
        self._definitions = definitions
        self._put = put
        self._known: set[str] = set(settings.exclude)

    def look(self) -> None:
        """Subscribe to the topics that have come up since the last call."""
        for name, types in self._node.get_topic_names_and_types():
            if name in self._known:
                continue
            publishers = self._node.get_publishers_info_by_topic(name)
            if not publishers:
                continue
            self._known.add(name)
            if len(types) != 1:
                self._node.get_logger().warning(f"{name} has types {types}: not recorded")
            elif self._wants(types[0]):
                self._subscribe(name, types[0], publishers)

    def _wants(self, type_name: str) -> bool:
        if type_name == PICTURE_TYPE:
            return self._settings.records_raw or self._settings.records_used
        return type_name != _JPEG_TYPE or self._settings.records_jpeg

    def _subscribe(self, name: str, type_name: str, publishers: list[TopicEndpointInfo]) -> None:
        log = self._node.get_logger()
        try:
            topic = TopicInfo(
                name=name,
                type_name=type_name,
                definition=self._definitions.text(type_name),
                type_hash=self._definitions.type_hash(type_name),
                qos=tuple(_offered(p.qos_profile) for p in publishers),
            )
            kind = message_class(type_name)
        except (ConfigError, ImportError, KeyError) as error:
            log.warning(f"{name} is not recorded: {error}")
            return
        foreign = {str(p.topic_type_hash) for p in publishers} - {topic.type_hash, "INVALID"}
        if foreign:
            log.warning(f"{name} is not recorded: another version of {type_name} is published")
            return
        self._put(topic)
        qos = _matching(publishers, _PICTURES if type_name == PICTURE_TYPE else _DEPTH)
        self._node.create_subscription(kind, name, self._taker(name), qos, raw=True)

    def _taker(self, name: str) -> Callable[[bytes, Mapping[str, int]], None]:
        def take(data: bytes, info: Mapping[str, int]) -> None:
            self._put(Record(name, data, info["received_timestamp"], info["source_timestamp"]))

        def take_played(data: bytes, _: Mapping[str, int]) -> None:
            now = self._node.get_clock().now().nanoseconds
            if now > 0:  # before the first /clock there is no time to note
                self._put(Record(name, data, now, now))

        return take_played if self._node.get_parameter("use_sim_time").value else take


def _matching(publishers: list[TopicEndpointInfo], depth: int) -> QoSProfile:
    """Return what all publishers can serve, as strict as they allow."""
    profiles = [p.qos_profile for p in publishers]
    reliable = all(p.reliability == ReliabilityPolicy.RELIABLE for p in profiles)
    latched = all(p.durability == DurabilityPolicy.TRANSIENT_LOCAL for p in profiles)
    return QoSProfile(
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


def _offered(profile: QoSProfile) -> OfferedQos:
    return OfferedQos(
        history=profile.history.name.lower(),
        depth=profile.depth,
        reliability=profile.reliability.name.lower(),
        durability=profile.durability.name.lower(),
        deadline=profile.deadline.nanoseconds,
        lifespan=profile.lifespan.nanoseconds,
        liveliness=profile.liveliness.name.lower(),
        lease=profile.liveliness_lease_duration.nanoseconds,
    )
