"""What a bag says of a run, for its report."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import numpy as np
import simplejpeg

from ..adp.overlay import draw_pruned, pruned_patches
from ..bags.bag_notes import BagNotes
from ..bags.bag_reader import BagReader, Stored, problem_words
from ..bags.pictures import Pictures
from ..errors import AdpError, BagError
from ..policies.window import stamp_of
from ..types import Rgb
from .numbers import decision_caption, decision_points
from .run_record import NANO, WINDOW_TOPICS, Picture, RunClock, RunCollector, RunRecord

CAMERA: Final = "/camera/image_raw"  # when the bag does not name the policy's main camera
JPEG_QUALITY: Final = 80


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
    unusable = reader.decode({n: scan.take for n in reader.topics if RunCollector.wants(n)})
    log = scan.record(title)
    if not (log.windows or log.safety):
        names = ", ".join(sorted(reader.topics)) or "none"
        raise BagError(
            "nothing to report: the bag has neither /adp/prune_state nor /adp/safety_state; "
            f"topics: {names}"
        )
    notes = BagNotes(reader.notes)
    views = notes.parameters("inference_node").get("image_topics") or [CAMERA]
    pictures = Pictures(reader, to_rgb)
    shown = _decision_pictures(log, scan, pictures, str(views[0]), crop_area)
    problems = [*reader.problems, *problem_words(unusable), *scan.problems, *map(str, log.steps)]
    outcome = f"bag with {len(problems)} problems" if problems else ""
    facts = {name: text for name, text in notes.origin.items() if name != "launch"}
    known = zip(("checkpoint", "checkpoint hash"), notes.checkpoint, strict=True)
    facts |= {name: text for name, text in known if text}
    facts |= {f"problem {i}": text for i, text in enumerate(problems, start=1)}
    return replace(log, outcome=outcome, facts=facts, pictures=shown)


class _Scan:
    """Hands messages on to the collector; times count from the first message."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.used: dict[tuple[int, int], int] = {}  # stamp and window -> since the first message
        self._run = RunCollector()
        self._clock: RunClock | None = None

    def record(self, title: str) -> RunRecord:
        return self._run.record(title, self._clock.steps if self._clock else ())

    def take(self, message: Any, stored: Stored) -> None:
        elapsed = NANO * stored.elapsed
        if self._clock is None:
            self._clock = RunClock(stored.log_time, elapsed, recorded=True)
        stamp = stamp_of(message) or stored.time  # who left it out meant now
        time = self._clock.time(stamp, stored.log_time, elapsed)
        self._run.take(stored.topic, message, time)
        if stored.topic in WINDOW_TOPICS:
            self.used.setdefault((stamp, int(message.window)), stored.elapsed)


def _decision_pictures(
    log: RunRecord, scan: _Scan, pictures: Pictures, topic: str, crop_area: float
) -> tuple[Picture, ...]:
    """Return the pictures that the bag has; one that is damaged is named and left out."""
    found = []
    for part in decision_points(log):
        used = scan.used[part.record.stamp, part.record.window]
        try:
            rgb = pictures.read(topic, part.record.stamp, used)
        except AdpError as error:
            scan.problems.append(str(error))
            continue
        if rgb is None:
            continue
        pruned = pruned_patches(part.record.audit.patches, 0)
        drawn = np.ascontiguousarray(draw_pruned(rgb, pruned, crop_area))
        jpeg = simplejpeg.encode_jpeg(drawn, quality=JPEG_QUALITY, colorsubsampling="420")
        found.append(Picture(part.record.time, bytes(jpeg), decision_caption(part)))
    return tuple(found)
