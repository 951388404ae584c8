"""What a bag says of a run, for its report."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
import simplejpeg

from ..adp.overlay import draw_pruned, pruned_patches
from ..bags.bag_reader import BagReader, Decoder, Stored
from ..bags.bag_writer import TopicInfo
from ..bags.contents import Contents
from ..bags.pictures import PictureIndex, Pictures
from ..errors import AdpError, BagError
from ..types import Rgb
from .numbers import decision_caption, decision_points
from .run_record import (
    PathPoint,
    Picture,
    RunRecord,
    RunRecords,
    gate_record,
    latency_record,
    safety_record,
    window_record,
)

CAMERA: Final = "/camera/image_raw"  # when the bag does not tell the policy's main camera
JPEG_QUALITY: Final = 80
_PICTURES: Final = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
_NANO: Final = 1e-9
Take = Callable[[RunRecords, Any, float], None]


def _take_position(records: RunRecords, message: Any, time: float) -> None:
    position = message.pose.position
    records.note_position(PathPoint(time, float(position.x), float(position.y), float(position.z)))


_TAKERS: Final[Mapping[str, Take]] = {
    "/adp/prune_state": lambda r, m, t: r.windows.append(window_record(m, t)),
    "/adp/gate_state": lambda r, m, t: r.gates.append(gate_record(m, t)),
    "/adp/latency": lambda r, m, t: r.latencies.append(latency_record(m, t)),
    "/adp/safety_state": lambda r, m, t: r.safety.append(safety_record(m, t)),
    "tool_pose": _take_position,
}


def read_run(
    reader: BagReader, title: str, to_rgb: Callable[[Any], Rgb], crop_area: float
) -> RunRecord:
    """Read a bag through once, and its pictures at decision points again.

    Args:
        reader: The bag.
        title: Heading of the report.
        to_rgb: Unpacks a sensor_msgs/Image.
        crop_area: Share of the picture's area that the policy looks at.

    Raises:
        BagError: Nothing in it is of a run.
    """
    scan = _Scan()
    for stored in reader.messages(scan.wants):
        scan.take(stored)
    log = scan.records.run_log(title)
    if not (log.windows or log.safety):
        names = ", ".join(sorted(reader.topics)) or "none"
        raise BagError(
            "nothing to report: the bag has neither /adp/prune_state nor /adp/safety_state; "
            f"topics: {names}"
        )
    contents = Contents(notes=reader.notes)
    views = contents.parameters("inference_node").get("image_topics") or [CAMERA]
    pictures = Pictures(reader, scan.pictures, to_rgb)
    shown = _decision_pictures(log, scan, pictures, str(views[0]), crop_area)
    problems = [*reader.problems, *scan.problems]
    outcome = f"bag with {len(problems)} problems" if problems else ""
    facts = _facts(contents) | {f"problem {i}": text for i, text in enumerate(problems, start=1)}
    return replace(log, outcome=outcome, facts=facts, pictures=shown)


def _facts(contents: Contents) -> dict[str, str]:
    directory, fingerprint = contents.checkpoint
    facts = {name: text for name, text in contents.origin.items() if name != "launch"}
    if directory:
        facts["checkpoint"] = directory
    if fingerprint:
        facts["checkpoint hash"] = fingerprint
    return facts


class _Scan:
    """Sorts messages into records; times count from the first message."""

    def __init__(self) -> None:
        self.records = RunRecords()
        self.pictures = PictureIndex()
        self.stamps: dict[tuple[float, int], int] = {}
        self.kept: dict[int, tuple[int, ...]] = {}
        self.problems: list[str] = []
        self._decoders: dict[str, Decoder] = {}
        self._origin: int | None = None
        self._unreadable: set[str] = set()

    def wants(self, topic: TopicInfo) -> bool:
        """Tell whether a topic is read."""
        if topic.type_name in _PICTURES:
            return True
        if _taker(topic.name) is None:
            return False
        try:
            self._decoders[topic.name] = Decoder(topic)
        except BagError as error:
            self.problems.append(str(error))
            return False
        return True

    def take(self, stored: Stored) -> None:
        """Take one message; of a topic's unreadable ones the first is named."""
        if self._origin is None:
            self._origin = stored.log_time
        try:
            self._take(stored, self._origin)
        except (BagError, AttributeError, IndexError) as error:
            if stored.topic not in self._unreadable:
                self._unreadable.add(stored.topic)
                self.problems.append(f"{stored.topic}: a message can't be used: {error}")

    def _take(self, stored: Stored, origin: int) -> None:
        decoder, take = self._decoders.get(stored.topic), _taker(stored.topic)
        if decoder is None or take is None:
            self.pictures.note(stored)
            return
        message = decoder.decode(stored.data)
        stamp = int(message.header.stamp.sec) * 10**9 + int(message.header.stamp.nanosec)
        stamp = stamp or stored.time  # who left it out meant now
        time = (stamp - origin) * _NANO
        take(self.records, message, time)
        if stored.topic == "/adp/prune_state":
            self.stamps[time, int(message.window)] = stamp
            self.kept[stamp] = tuple(int(i) for i in message.kept_indices)


def _taker(topic: str) -> Take | None:
    key = "tool_pose" if topic.endswith("_driver/out/tool_pose") else topic
    return _TAKERS.get(key)


def _decision_pictures(
    log: RunRecord, scan: _Scan, pictures: Pictures, topic: str, crop_area: float
) -> tuple[Picture, ...]:
    """Return the pictures that the bag has; one that is damaged is named and left out."""
    found = []
    for part in decision_points(log):
        record = part.record
        stamp = scan.stamps[record.time, record.window]
        try:
            rgb = pictures.read(topic, stamp)
        except AdpError as error:
            scan.problems.append(str(error))
            continue
        if rgb is None:
            continue
        kept = np.array(scan.kept[stamp], dtype=np.int64) if record.pruned else None
        drawn = draw_pruned(rgb, pruned_patches(kept, 0), crop_area)
        jpeg = simplejpeg.encode_jpeg(
            np.ascontiguousarray(drawn), quality=JPEG_QUALITY, colorsubsampling="420"
        )
        found.append(Picture(record.time, bytes(jpeg), decision_caption(part)))
    return tuple(found)
