"""Decodes the messages of a bag by the definitions that it carries."""

import struct
from types import MappingProxyType
from typing import Any, Final

from rosbags.serde import SerdeError
from rosbags.typesys import Stores, TypesysError, get_types_from_msg, get_typestore

from ..errors import BagError
from ..policies.window import STAGES
from .bag_topics import TopicInfo

FIELDS: Final = MappingProxyType(
    {  # what replay reads of each type
        "adp_ros/msg/ActionChunk": (
            *("header", "window", "step_period", "actions", "pruned", "policy"),
            *("translation_frame", "rotation_frame", "rotation"),
        ),
        "adp_ros/msg/ChunkRequest": ("header", "window", "measured_path", "measured_net"),
        "adp_ros/msg/GateState": (
            *("header", "window", "state", "next_state", "rule", "reason"),
            *("motion", "upper", "lower", "pruned_run"),
        ),
        "adp_ros/msg/PruneState": (
            *("header", "window", "pruner", "tokens_total", "tokens_kept", "kept_per_view"),
            *("kept_indices", "sequence_length", "flops", "flops_full"),
        ),
        "adp_ros/msg/InferenceLatency": ("header", "window", *STAGES),
        "adp_ros/msg/SafetyState": ("status", "cause", "message"),
        "sensor_msgs/msg/Image": ("header", "height", "width", "encoding", "step", "data"),
        "sensor_msgs/msg/CompressedImage": ("header", "format", "data"),
        "sensor_msgs/msg/JointState": ("header", "name", "position"),
        "geometry_msgs/msg/PoseStamped": ("header", "pose"),
        "kinova_msgs/msg/JointAngles": tuple(f"joint{i}" for i in range(1, 7)),
        "kinova_msgs/msg/FingerPosition": ("finger1", "finger2", "finger3"),
    }
)

TYPES: Final = MappingProxyType(
    {  # of topics that are ours by name; one of another type is not
        "/adp/action_chunk": "adp_ros/msg/ActionChunk",
        "/adp/chunk_request": "adp_ros/msg/ChunkRequest",
        "/adp/gate_state": "adp_ros/msg/GateState",
        "/adp/prune_state": "adp_ros/msg/PruneState",
        "/adp/latency": "adp_ros/msg/InferenceLatency",
        "/adp/policy_state": "sensor_msgs/msg/JointState",
        "/adp/safety_state": "adp_ros/msg/SafetyState",
    }
)

_ENCAPSULATIONS: Final = MappingProxyType({b"\0\0": "big", b"\0\1": "little"})
_UNREADABLE: Final = (SerdeError, struct.error, ValueError, IndexError, KeyError, AssertionError)


class Decoder:
    """Decodes the messages of one topic.

    Args:
        topic: With type and definition.

    Raises:
        BagError: It is not of the type that its name stands for, or the definition can't be read,
            or is of a version without a field that is needed.
    """

    def __init__(self, topic: TopicInfo) -> None:
        expected = TYPES.get(topic.name, topic.type_name)
        if topic.type_name != expected:
            raise BagError(f"{topic.name} is {topic.type_name}, {expected} is needed")
        if not topic.definition.strip():
            raise BagError(f"{topic.name}: the bag has no definition of {topic.type_name}")
        self._topic = topic
        self._store = get_typestore(Stores.EMPTY)
        try:
            types = get_types_from_msg(topic.definition, topic.type_name)
            self._store.register(types)
        except (TypesysError, ValueError, KeyError) as error:
            raise BagError(
                f"{topic.name}: the definition of {topic.type_name} can't be read: {error}"
            ) from error
        entry = self._store.get_msgdef(topic.type_name)
        self._class = entry.cls
        self._unpack = {"big": entry.deserialize_cdr_be, "little": entry.deserialize_cdr_le}
        known = {name for name, _ in types[topic.type_name][1]}
        missing = [name for name in FIELDS.get(topic.type_name, ()) if name not in known]
        if missing:
            raise BagError(
                f"{topic.name}: {topic.type_name} is of another version, "
                f"it has no {', '.join(missing)}"
            )

    def decode(self, data: bytes | memoryview) -> Any:
        """Return a message, with the attributes of its type.

        Bytes behind it are left alone: ROS's own serialisation leaves some there.

        Raises:
            BagError: The bytes are no such message.
        """
        try:
            encapsulation = _ENCAPSULATIONS[bytes(data[:2])]
            unpack = self._unpack[encapsulation]
            return unpack(bytes(data[4:]), 0, self._class, self._store)[0]
        except _UNREADABLE as error:
            raise BagError(f"{self._topic.name}: a message can't be decoded: {error!r}") from error
