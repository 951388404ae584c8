"""Recorder node: everything that a replay needs, into one bag."""

import os
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from rcl_interfaces.msg import ParameterValue
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.parameter import parameter_value_to_python
from rclpy.parameter_client import AsyncParameterClient
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.task import Future
from rclpy.topic_endpoint_info import TopicEndpointInfo
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)

from .. import __version__
from ..bags.bag_notes import CHECKPOINT, FILE, ORIGIN, PARAMETERS, settings_text
from ..bags.bag_topics import JPEG_TYPE, PICTURE_TYPE, Definitions, TopicInfo
from ..bags.bag_writer import BagWriter
from ..bags.recorder import Note, Record, Recorder, RecordSettings
from ..errors import CheckpointError, ConfigError
from ..health import Health
from ..policies.checkpoints import checkpoint_fingerprint, git_revision
from .arm_name import of_arm
from .diagnostics import DiagnosticsPublisher
from .messages import message_class
from .node_process import Worker, be_nice, run_node
from .parameters import declare_settings, refuse_unknown_parameters

Take = Callable[[str, dict[str, Any]], None]


class ParameterCollector:
    """Asks every node that comes up for its parameters.

    Args:
        node: Owner of the service clients.
        take: Gets node name and parameter name -> value.
    """

    def __init__(self, node: Node, take: Take) -> None:
        self._node = node
        self._take = take
        self._clients: dict[str, AsyncParameterClient] = {}
        self._asked: set[str] = set()

    def look(self) -> None:
        """Ask the nodes that have come up and answer by now."""
        own, arm = self._node.get_fully_qualified_name(), of_arm(self._node, "/")
        for name, namespace in self._node.get_node_names_and_namespaces():
            full = f"{namespace.rstrip('/')}/{name}"
            known = full == own or full in self._clients
            if full.startswith(arm) and not known and not name.startswith("_"):
                self._clients[full] = AsyncParameterClient(self._node, full)
        for full, client in self._clients.items():
            if full not in self._asked and client.services_are_ready():
                self._asked.add(full)
                client.list_parameters(callback=self._listed(full, client))

    def _listed(self, full: str, client: AsyncParameterClient) -> Callable[[Future], None]:
        def listed(future: Future) -> None:
            answer = future.result()
            if answer is not None:
                names = list(answer.result.names)
                client.get_parameters(names, callback=self._got(full, names))

        return listed

    def _got(self, full: str, names: list[str]) -> Callable[[Future], None]:
        def got(future: Future) -> None:
            answer = future.result()
            if answer is not None:
                pairs = zip(names, answer.values, strict=True)
                node = full.removeprefix(self._node.get_namespace().rstrip("/"))
                self._take(node, {name: _plain(value) for name, value in pairs})

        return got


def _plain(value: ParameterValue) -> Any:
    plain = parameter_value_to_python(value)
    if plain is None or isinstance(plain, bool | int | float | str):
        return plain
    return list(plain)


_DEPTH = 200  # messages; pictures take their own size
_PICTURES = 10

Put = Callable[[Record | TopicInfo], None]


class RecordTopics:
    """Subscribes to whatever is published, without decoding it.

    In the namespace of an arm only that arm's topics, which the bag has under their plain names.

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
        self._arm = of_arm(node, "")  # what the bag leaves away: it is the same for every arm
        self._known = {of_arm(node, name) for name in settings.exclude}

    def look(self) -> None:
        """Subscribe to the topics that have come up since the last call."""
        for name, types in self._node.get_topic_names_and_types():
            if name in self._known or not name.startswith(f"{self._arm}/"):
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
        return type_name != JPEG_TYPE or self._settings.records_jpeg

    def _subscribe(self, name: str, type_name: str, publishers: list[TopicEndpointInfo]) -> None:
        log = self._node.get_logger()
        try:
            topic = TopicInfo(
                name=name.removeprefix(self._arm),
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
        self._node.create_subscription(kind, name, self._taker(topic.name), qos, raw=True)

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


def _offered(profile: QoSProfile) -> Qos:
    return Qos(
        QosHistory[profile.history.name],
        profile.depth,
        QosReliability[profile.reliability.name],
        QosDurability[profile.durability.name],
        _time(profile.deadline),
        _time(profile.lifespan),
        QosLiveliness[profile.liveliness.name],
        _time(profile.liveliness_lease_duration),
        avoid_ros_namespace_conventions=False,
    )


def _time(duration: Duration) -> QosTime:
    return QosTime(*divmod(duration.nanoseconds, 1_000_000_000))


_BATCH_PERIOD = 0.05  # [s] from one write to the next
_LOOK_PERIOD = 0.25  # [s] between two looks for new topics and nodes


class RecordNode(Node):
    """Records until it is stopped; the arm needs nothing of it.

    Subscribes: every topic, as bytes
    Publishes: /diagnostics
    Parameters: :class:`~adp_ros.bags.recorder.RecordSettings`
    """

    def __init__(self) -> None:
        super().__init__("record_node")
        self._settings = settings = declare_settings(self, RecordSettings)
        refuse_unknown_parameters(self)
        writer = _new_bag(settings)
        self._bag = writer.directory
        self._recorder = Recorder(writer, settings, lambda: shutil.disk_usage(self._bag).free)
        self._note_origin(writer)
        definitions = Definitions(os.environ)
        self._topics = RecordTopics(self, settings, definitions, self._recorder.put)
        self._collector = ParameterCollector(self, self._note_parameters)
        self._diagnostics = DiagnosticsPublisher(self, {"recording": self.health})
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # also while /clock stands still
        self.create_timer(_LOOK_PERIOD, self._look, clock=steady)
        self._complained = False
        self._ending = threading.Event()
        self._worker = Worker(self, "recorder", self._step, self._ending, self._prepare)
        self._starting = self.create_timer(0.0, self._start, clock=steady)

    def _start(self) -> None:
        """Begin once the executor runs: an interrupt from now on reaches ``destroy_node``."""
        self._starting.cancel()
        self._worker.start()
        self.get_logger().info(f"recording to {self._bag}, pictures: {self._settings.frames}")

    def health(self) -> Health:
        """Say how the recording goes."""
        return self._recorder.health()

    def _note_origin(self, writer: BagWriter) -> None:
        revision = git_revision(Path(__file__).resolve().parent) or "unknown"
        origin = {
            "package": f"adp_ros {__version__}",
            "git_revision": revision,
            "launch": self._settings.launch,
            "frames": self._settings.frames,
        }
        writer.set_custom("adp_ros", f"{__version__} {revision}")
        self._recorder.put(Note(ORIGIN, origin))

    def _note_parameters(self, node: str, values: dict[str, Any]) -> None:
        note = {"node": node, "yaml": settings_text(values)}
        self._recorder.put(Note(PARAMETERS, note))
        if "checkpoint" in values and "adp" in values:
            self._note_checkpoint(str(values["checkpoint"]))
            self._note_file(Path(str(values["adp"])).expanduser())

    def _note_checkpoint(self, checkpoint: str) -> None:
        directory = Path(checkpoint).expanduser()
        try:
            fingerprint = checkpoint_fingerprint(directory)
        except CheckpointError as error:
            self.get_logger().warning(f"hash of the checkpoint is not recorded: {error}")
            return
        note = {"directory": str(directory.resolve()), "hash": fingerprint}
        self._recorder.put(Note(CHECKPOINT, note))

    def _note_file(self, file: Path) -> None:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            self.get_logger().warning(f"settings {file} are not recorded: {error}")
            return
        self._recorder.put(Note(FILE, {"name": "adp", "path": str(file), "text": text}))

    def _look(self) -> None:
        self._topics.look()
        self._collector.look()
        if self._recorder.failed and not self._complained:
            self._complained = True
            self.get_logger().error(f"recording ended: {self._recorder.ended}")

    def _prepare(self) -> None:
        be_nice(self._settings.nice)

    def _step(self) -> None:
        self._ending.wait(_BATCH_PERIOD)
        self._recorder.step(time.monotonic())

    def destroy_node(self) -> None:
        """Finish the bag, then end the node."""
        self._worker.stop()
        self._recorder.close()
        super().destroy_node()


def _new_bag(settings: RecordSettings) -> BagWriter:
    folder = Path(settings.directory).expanduser()
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    for attempt in range(1000):
        directory = folder / (f"{stamp}-{attempt}" if attempt else stamp)
        try:
            return BagWriter(directory, settings.compression)
        except FileExistsError:
            continue
        except OSError as error:
            raise ConfigError(
                f"directory is {settings.directory!r}: {error.strerror}, "
                "a folder that can be written is needed"
            ) from error
    raise ConfigError(f"directory {folder} has a thousand recordings of this second")


def record(args: Sequence[str]) -> tuple[int, Health | None]:
    """Record; return exit status and what became of the recording, None if it never began."""
    nodes: list[RecordNode] = []

    def make() -> RecordNode:
        nodes.append(RecordNode())
        return nodes[0]

    status = run_node(make, args, pictures=True)
    return status, nodes[0].health() if nodes else None


def main(args: Sequence[str] | None = None) -> int:
    """Record; returns the exit status."""
    return run_node(RecordNode, args, pictures=True)
