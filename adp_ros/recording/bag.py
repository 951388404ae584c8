"""A bag for the replay of its windows: read through once, its pictures read when they are used."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..types import Rgb
from .arm_samples import ArmSamples
from .bag_reader import BagReader
from .contents import Contents
from .events import read_events
from .pictures import Pictures
from .scan import read_contents
from .timeline import Event


@dataclass(frozen=True, slots=True)
class Bag:
    """A bag.

    Attributes:
        path: Its folder or file.
        contents: Its windows and what belongs to them.
        pictures: Read when they are asked for.
        arm: The same of the arm's samples.
    """

    path: Path
    contents: Contents
    pictures: Pictures
    arm: ArmSamples


def open_bag(path: Path, to_rgb: Callable[[Any], Rgb]) -> Bag:
    """Read a bag through.

    Args:
        path: Its folder or file.
        to_rgb: Unpacks a sensor_msgs/Image.

    Raises:
        BagError: Nothing in it can be replayed.
    """
    reader = BagReader(path)
    contents = read_contents(reader)

    def events() -> list[Event]:
        return read_events(BagReader(path), contents.robot_type, ())

    pictures = Pictures(reader, contents.pictures, to_rgb)
    return Bag(path, contents, pictures, ArmSamples(events, contents.robot_type))
