"""``metadata.yaml`` of a bag, version 9 of rosbag2's format (Jazzy)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from .topic import TopicInfo

VERSION: Final = 9
FILE_NAME: Final = "metadata.yaml"
ROS_DISTRIBUTION: Final = "jazzy"


@dataclass(slots=True)
class BagTally:
    """Counts of one bag file.

    Attributes:
        topics: By name, in the order they came up.
        counts: Messages per topic.
        first: Time of the earliest message in [ns]; None while there is none.
        last: Time of the latest message in [ns].
    """

    topics: dict[str, TopicInfo] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    first: int | None = None
    last: int = 0

    def note(self, topic: str, log_time: int) -> None:
        """Count a message."""
        self.counts[topic] += 1
        self.first = log_time if self.first is None else min(self.first, log_time)
        self.last = max(self.last, log_time)


def bag_information(tally: BagTally, file_name: str, custom: Mapping[str, str]) -> dict[str, Any]:
    """Return the contents of ``rosbag2_bagfile_information``."""
    start = tally.first or 0
    span = {
        "duration": {"nanoseconds": tally.last - start if tally.first is not None else 0},
        "starting_time": {"nanoseconds_since_epoch": start},
        "message_count": sum(tally.counts.values()),
    }
    return {
        "version": VERSION,
        "storage_identifier": "mcap",
        **span,
        "topics_with_message_count": [
            {
                "topic_metadata": {
                    "name": topic.name,
                    "type": topic.type_name,
                    "serialization_format": "cdr",
                    "offered_qos_profiles": [p.to_mapping() for p in topic.qos],
                    "type_description_hash": topic.type_hash,
                },
                "message_count": tally.counts[topic.name],
            }
            for topic in tally.topics.values()
        ],
        "compression_format": "",
        "compression_mode": "",
        "relative_file_paths": [file_name],
        "files": [{"path": file_name, **span}],
        "custom_data": dict(custom) or None,
        "ros_distro": ROS_DISTRIBUTION,
    }


def information_text(information: Mapping[str, Any]) -> str:
    """Return the information as YAML without aliases, which rosbag2's reader need not know."""
    return yaml.dump(information, Dumper=_Plain, sort_keys=False)


def write_information(directory: Path, information: Mapping[str, Any]) -> None:
    """Replace ``metadata.yaml`` in one step, so that it is whole at any moment."""
    text = information_text({"rosbag2_bagfile_information": information})
    temporary = directory / f".{FILE_NAME}.new"
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(directory / FILE_NAME)


class _Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True
