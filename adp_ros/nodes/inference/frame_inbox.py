"""Newest picture of one camera, unconverted, and how pictures arrive."""

import threading
import time
from collections.abc import Callable, Mapping
from math import inf

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from ...errors import ObservationError
from ...health import Health, Level, Value, latency_values
from ...meters import DurationMeter, RateMeter
from ...types import Rgb
from ..messages.pictures import ImageConverter
from ..messages.stamps import seconds

_RATE_WANTED = 29.0  # [Hz] of 30


class NoPictureYet(ObservationError):
    """The camera has not begun."""


class FrameInbox:
    """Subscribes to a picture topic; converts only the picture that is asked for."""

    def __init__(self, node: Node, topic: str, convert: ImageConverter) -> None:
        """Subscribe with a queue of one: only the newest picture matters."""
        self.topic = topic
        self._convert = convert
        self._changed = threading.Condition()
        self._newest: Image | None = None
        self._arrivals = RateMeter()
        self._transport = DurationMeter()
        newest_only = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        self._subscription = node.create_subscription(Image, topic, self._take, newest_only)

    def _take(self, message: Image, info: Mapping[str, int]) -> None:
        transport = (time.time_ns() - info["source_timestamp"]) * 1e-6  # publish() to here
        with self._changed:
            self._newest = message
            self._changed.notify_all()
        self._arrivals.add(time.monotonic())
        self._transport.add(transport)

    def newest(self, now: Callable[[], float], max_age: float) -> Image:
        """Return the newest picture, waiting for one when there is none yet or it is too old.

        Args:
            now: Returns the ROS time in [s].
            max_age: Largest age allowed and longest wait, in [s].

        Raises:
            NoPictureYet: There has been none.
            ObservationError: It is too old, or stamped in the future.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._age(now) <= max_age, max_age)
            message, age = self._newest, self._age(now)
        if message is None:
            raise NoPictureYet(f"no picture has come on {self.topic}")
        if age > max_age:
            raise ObservationError(
                f"newest picture on {self.topic} is {age:.2f} s old, allowed: {max_age:g} s"
            )
        if age < -max_age:
            raise ObservationError(
                f"newest picture on {self.topic} is stamped {-age:.2f} s in the future; "
                "synchronise the clocks of camera and inference machine"
            )
        return message

    def _age(self, now: Callable[[], float]) -> float:
        return inf if self._newest is None else now() - seconds(self._newest.header.stamp)

    def pixels(self, message: Image, size: tuple[int, int]) -> Rgb:
        """Convert a picture.

        Args:
            message: As :meth:`newest` returned it.
            size: Width and height that the policy is used with, in [px].

        Raises:
            ObservationError: Wrong size or encoding.
        """
        if (message.width, message.height) != size:
            raise ObservationError(
                f"picture on {self.topic} is {message.width}x{message.height}, "
                f"{size[0]}x{size[1]} is needed"
            )
        return self._convert(message)

    def health(self) -> Health:
        """Return how pictures arrive."""
        rate = self._arrivals.rate(time.monotonic())
        values: dict[str, Value] = {"rate_hz": rate, "received": self._arrivals.count}
        values.update(latency_values("transport_ms", self._transport.summary()))
        if rate == 0.0:
            return Health(Level.ERROR, f"no pictures on {self.topic}", values)
        level = Level.OK if rate >= _RATE_WANTED else Level.WARN
        return Health(level, f"{rate:.1f} Hz on {self.topic}", values)
