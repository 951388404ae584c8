"""What a bag holds of the arm and its controller: samples, safety states, chunks, in time."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ..control.calibration import FreeMotion
from ..control.controller import Controller
from ..control.controller_settings import GROUPS, ControllerSettings
from ..errors import BagError
from ..robots.jaco2.interface import Robot, robot_named
from ..robots.jaco2.messages import (
    joints_from_angles,
    sample_from_message,
    torque_from_angles,
)
from ..settings import configs_from_flat, grouped_names
from ..types import FloatArray
from .bag_reader import BagReader, Decoder, Packed, Stored
from .bag_writer import TopicInfo
from .contents import NANO, Event, Kind, RecordedWindow, in_order


class SampleFeed:
    """Decides what each kind of sample is for.

    Args:
        controller: Where samples go.
        robot: The arm, for the names of its joints.
    """

    def __init__(self, controller: Controller, robot: Robot) -> None:
        self._controller = controller
        self._robot = robot

    def take(self, event: Event, now: float) -> None:
        """Hand over one sample.

        Args:
            event: The sample.
            now: Time in [s] on the controller's clock.

        Raises:
            ArmError: It is not what a driver of this arm sends.
            BagError: It can't be decoded.
        """
        message = event.value.unpack()
        clock = event.arrival * NANO
        self._controller.take(
            sample_from_message(event.kind.value, message, self._robot, now, clock)
        )


DRIVER_TOPIC: Final = re.compile(r"^/(\w+)_driver/out/(\w+)$")
_SAFETY_TOPIC: Final = "/adp/safety_state"
_ARM_KINDS: Final = {kind.value: kind for kind in Kind if kind not in (Kind.SAFETY, Kind.CHUNK)}
_CHUNK_TOPIC: Final = "/adp/action_chunk"


def read_events(
    reader: BagReader, robot_type: str, windows: Sequence[RecordedWindow]
) -> list[Event]:
    """Read a bag through; messages are decoded later, where they are used.

    Args:
        reader: The bag.
        robot_type: Of the driver whose samples are wanted.
        windows: The bag's windows; the event of a chunk tells the number of its window in them.

    Returns:
        What happened, in order.
    """
    scan = _Scan(robot_type, windows)
    for stored in reader.messages(scan.wants):
        scan.take(stored)
    return in_order(scan.events)


def kind_on(topic: str) -> Kind | None:
    """Return what the controller gets on a topic: of the driver of any arm, or of itself."""
    if topic == _SAFETY_TOPIC:
        return Kind.SAFETY
    driver = DRIVER_TOPIC.match(topic)
    return None if driver is None else _ARM_KINDS.get(driver[2])


class _Scan:
    def __init__(self, robot_type: str, windows: Sequence[RecordedWindow]) -> None:
        self.events: list[Event] = []
        self._robot_type = robot_type
        self._windows = windows
        self._window = 0
        self._sources: dict[str, tuple[Kind, Decoder]] = {}

    def wants(self, topic: TopicInfo) -> bool:
        """Tell whether a topic is read; those that can't be were named by the first pass."""
        if topic.name == _CHUNK_TOPIC:
            return True
        kind, driver = kind_on(topic.name), DRIVER_TOPIC.match(topic.name)
        if kind is None or (driver is not None and driver[1] != self._robot_type):
            return False
        try:
            self._sources[topic.name] = kind, Decoder(topic)
        except BagError:
            return False
        return True

    def take(self, stored: Stored) -> None:
        """Take one message."""
        if stored.topic == _CHUNK_TOPIC:
            self._take_chunk(stored)
            return
        kind, decoder = self._sources[stored.topic]
        self.events.append(Event(kind, stored.time, Packed(decoder, bytes(stored.data))))

    def _take_chunk(self, stored: Stored) -> None:
        """Find the chunk's window; a chunk that could not be read has none."""
        at = self._window
        if at < len(self._windows) and self._windows[at].arrival == stored.time:
            self.events.append(Event(Kind.CHUNK, stored.time, at))
            self._window += 1


_READERS = {"joint_torques": torque_from_angles, "joint_angles": joints_from_angles}


def read_free_motion(path: Path, robot_type: str) -> FreeMotion:
    """Read a bag.

    Args:
        path: Folder of the bag, or one ``.mcap`` file.
        robot_type: Kinova's name of the arm, prefix of the driver's topics.

    Raises:
        BagError: It can't be read.
        SafetyError: Torques or joints are missing, or not finite.
    """
    robot, reader = robot_named(robot_type), BagReader(path)
    names = {robot.topic_out(name): name for name in _READERS}
    found: dict[str, list[tuple[float, FloatArray]]] = {name: [] for name in _READERS}
    decoders: dict[str, Decoder] = {}
    for stored in reader.messages(lambda topic: topic.name in names):
        if stored.topic not in decoders:
            decoders[stored.topic] = Decoder(reader.topics[stored.topic])
        message = decoders[stored.topic].decode(stored.data)
        name = names[stored.topic]
        found[name].append((stored.time * NANO, _READERS[name](message)))
    for samples in found.values():
        samples.sort(key=lambda sample: sample[0])
    return FreeMotion.joined(found["joint_torques"], found["joint_angles"])


def controller_settings(parameters: Mapping[str, Any], robot_type: str) -> ControllerSettings:
    """Return the settings that a controller node had.

    Args:
        parameters: Of the node, names with dots; what is missing keeps its default.
        robot_type: Of the recorded arm, for bags without parameters.

    Raises:
        ConfigError: A value is not allowed.
    """
    given = parameters or {"robot_type": robot_type}
    known = {name: given[name] for name in grouped_names(GROUPS) if name in given}
    return ControllerSettings.from_groups(
        configs_from_flat(GROUPS, known, "controller_node of the bag")
    )
