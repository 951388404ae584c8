"""What a bag says of a run, for its report."""

from collections.abc import Callable
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
from .run_record import Picture, RunClock, RunCollector, RunRecord, stamp_of

CAMERA: Final = "/camera/image_raw"  # when the bag does not tell the policy's main camera
JPEG_QUALITY: Final = 80
_PICTURES: Final = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")


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
    log = scan.record(title)
    if not (log.windows or log.safety):
        names = ", ".join(sorted(reader.topics)) or "none"
        raise BagError(
            "nothing to report: the bag has neither /adp/prune_state nor /adp/safety_state; "
            f"topics: {names}"
        )
    contents = Contents(notes=reader.notes)
    views = contents.parameters("inference_node").get("image_topics") or [CAMERA]
    pictures = Pictures(reader, scan.pictures, to_rgb)
    shown = _decision_pictures(log, pictures, str(views[0]), crop_area, scan.problems)
    problems = [*reader.problems, *scan.problems, *map(str, log.steps)]
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
    """Hands messages on to the collector; times count from the first message."""

    def __init__(self) -> None:
        self.pictures = PictureIndex()
        self.problems: list[str] = []
        self._run = RunCollector()
        self._clock: RunClock | None = None
        self._decoders: dict[str, Decoder] = {}
        self._unreadable: set[str] = set()

    def record(self, title: str) -> RunRecord:
        """Return what was found."""
        return self._run.record(title, self._clock.steps if self._clock else ())

    def wants(self, topic: TopicInfo) -> bool:
        """Tell whether a topic is read."""
        if topic.type_name in _PICTURES:
            return True
        if not RunCollector.wants(topic.name):
            return False
        try:
            self._decoders[topic.name] = Decoder(topic)
        except BagError as error:
            self.problems.append(str(error))
            return False
        return True

    def take(self, stored: Stored) -> None:
        """Take one message; of a topic's unreadable ones the first is named."""
        if self._clock is None:
            self._clock = RunClock(stored.log_time)
        try:
            self._take(stored, self._clock)
        except (BagError, AttributeError, IndexError, ValueError) as error:
            if stored.topic not in self._unreadable:
                self._unreadable.add(stored.topic)
                self.problems.append(f"{stored.topic}: a message can't be used: {error}")

    def _take(self, stored: Stored, clock: RunClock) -> None:
        decoder = self._decoders.get(stored.topic)
        if decoder is None:
            self.pictures.note(stored)
            return
        message = decoder.decode(stored.data)
        stamp = stamp_of(message) or stored.time  # who left it out meant now
        self._run.take(stored.topic, message, clock.time(stamp, stored.log_time))


def _decision_pictures(
    log: RunRecord, pictures: Pictures, topic: str, crop_area: float, problems: list[str]
) -> tuple[Picture, ...]:
    """Return the pictures that the bag has; one that is damaged is named and left out."""
    found = []
    for part in decision_points(log):
        try:
            rgb = pictures.read(topic, part.record.stamp)
        except AdpError as error:
            problems.append(str(error))
            continue
        if rgb is None:
            continue
        drawn = draw_pruned(rgb, pruned_patches(part.record.audit.patches, 0), crop_area)
        jpeg = simplejpeg.encode_jpeg(
            np.ascontiguousarray(drawn), quality=JPEG_QUALITY, colorsubsampling="420"
        )
        found.append(Picture(part.record.time, bytes(jpeg), decision_caption(part)))
    return tuple(found)
