"""A topic as it stands in a bag: type, definition, hash and offered quality of service."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

ENDLESS_NS: Final = 2**63 - 1  # what ROS calls an infinite duration
_SECOND_NS: Final = 1_000_000_000
# rmw's numbers of the words
_HISTORIES: Final = ("system_default", "keep_last", "keep_all", "unknown")
_RELIABILITIES: Final = ("system_default", "reliable", "best_effort", "unknown")
_DURABILITIES: Final = ("system_default", "transient_local", "volatile", "unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedQos:
    """Quality of service of one publisher, in rosbag2's words.

    Attributes:
        history: ``keep_last``, ``keep_all``, ``system_default`` or ``unknown``.
        depth: Queue length.
        reliability: ``reliable``, ``best_effort``, ...
        durability: ``volatile``, ``transient_local``, ...
        deadline: In [ns].
        lifespan: In [ns].
        liveliness: ``automatic``, ...
        lease: Liveliness lease duration in [ns].
    """

    history: str = "keep_last"
    depth: int = 10
    reliability: str = "reliable"
    durability: str = "volatile"
    deadline: int = ENDLESS_NS
    lifespan: int = ENDLESS_NS
    liveliness: str = "automatic"
    lease: int = ENDLESS_NS

    def to_mapping(self) -> dict[str, Any]:
        """Return it under the names of rosbag2's metadata."""
        return {
            "history": self.history,
            "depth": self.depth,
            "reliability": self.reliability,
            "durability": self.durability,
            "deadline": _duration(self.deadline),
            "lifespan": _duration(self.lifespan),
            "liveliness": self.liveliness,
            "liveliness_lease_duration": _duration(self.lease),
            "avoid_ros_namespace_conventions": False,
        }

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> "OfferedQos":
        """Read what :meth:`to_mapping` writes; older bags have numbers for the words.

        Raises:
            KeyError, TypeError, ValueError: It is none.
        """
        history, reliability, durability = (
            _word(values[name], words)
            for name, words in (
                ("history", _HISTORIES),
                ("reliability", _RELIABILITIES),
                ("durability", _DURABILITIES),
            )
        )
        return cls(
            history=history,
            depth=int(values["depth"]),
            reliability=reliability,
            durability=durability,
        )


def _word(value: Any, words: Sequence[str]) -> str:
    return words[value] if isinstance(value, int) else str(value)


def offered_from_text(text: str) -> tuple[OfferedQos, ...]:
    """Read the profiles that a bag's channel carries; none when it carries none.

    Deadlines, lifespans and liveliness are left at their defaults: a player keeps none of them.

    Raises:
        ValueError: The text is not YAML, or holds something else.
    """
    try:
        values = yaml.safe_load(text) if text else []
        return tuple(OfferedQos.from_mapping(value) for value in values or ())
    except (yaml.YAMLError, KeyError, TypeError, IndexError) as error:
        raise ValueError(f"offered QoS can't be read: {error}") from error


def _duration(nanoseconds: int) -> Mapping[str, int]:
    sec, nsec = divmod(nanoseconds, _SECOND_NS)
    return {"sec": sec, "nsec": nsec}


def qos_text(profiles: Sequence[OfferedQos]) -> str:
    """Return the profiles as the YAML text that a bag's channels carry."""
    if not profiles:
        return ""
    return yaml.safe_dump([p.to_mapping() for p in profiles], sort_keys=False).strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicInfo:
    """One topic.

    Attributes:
        name: Such as ``/adp/action_chunk``.
        type_name: Such as ``adp_ros/msg/ActionChunk``.
        definition: Text of the message and of every message in it.
        type_hash: Hash of the type as in REP 2016, ``RIHS01_...``.
        qos: One profile per publisher.
    """

    name: str
    type_name: str
    definition: str
    type_hash: str
    qos: tuple[OfferedQos, ...] = ()
