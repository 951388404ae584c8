"""The camera that the settings ask for, and its health: rate, age, frozen pictures, connection."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..health import DurationMeter, Health, Level, RateMeter, Value, latency_values
from ..types import Rgb
from .camera import CAMERAS, Camera, CameraSettings, Clock, StateProvider
from .reconnect import Link, ReconnectingCamera

_STEP = 8  # every 8th pixel of every 8th row: sensor noise shows there as anywhere


class FrozenDetector:
    """Measures for how long the picture has not changed.

    Args:
        threshold: Mean absolute difference, in grey levels, up to which pictures are equal.
    """

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._reference: np.ndarray[tuple[int, ...], np.dtype[np.int16]] | None = None
        self._since = 0.0

    def update(self, rgb: Rgb, stamp: float) -> float:
        """Take one picture.

        Args:
            rgb: Shape (H, W, 3), uint8.
            stamp: Its capture time in [s].

        Returns:
            Time in [s] for which all pictures equalled this one; 0 after a change.
        """
        sample, reference = rgb[::_STEP, ::_STEP].astype(np.int16), self._reference
        if (
            reference is None
            or reference.shape != sample.shape
            or np.abs(sample - reference).mean() > self._threshold
        ):
            self._reference, self._since = sample, stamp
        return stamp - self._since


_SLOW = 0.9  # share of the asked rate below which it is a warning


class CameraMonitor:
    """Watches what was delivered and says how the camera is."""

    def __init__(self, settings: CameraSettings, name: str) -> None:
        self._settings = settings
        self._name = name
        self._published = RateMeter()
        self._delay = DurationMeter()
        self._withheld = 0
        self._frozen_for = 0.0
        self._link = Link()
        self._lost = Link()
        self._notes: tuple[str, ...] = ()

    def opened(self, notes: tuple[str, ...]) -> None:
        """Take what the device did not grant."""
        self._notes = notes

    def delivered(self, now: float, delay: float, frozen_for: float) -> bool:
        """Take one picture.

        Args:
            now: Monotonic time in [s].
            delay: Capture to now, in [s].
            frozen_for: Time in [s] that the picture has not changed.

        Returns:
            True when it may be published; a picture frozen for too long may not, so that the
            policy sees an old picture as old.
        """
        self._frozen_for = frozen_for
        if frozen_for >= self._settings.frozen_error:
            self._withheld += 1
            return False
        self._published.add(now)
        self._delay.add(delay)
        return True

    def news(self, link: Link) -> tuple[Level, str] | None:
        """Return a line for the log when the connection changed, else None."""
        before, self._link = self._link, link
        if link.error is not None:
            self._lost = link
            if before.error is None:
                return Level.ERROR, f"{link.error}; reconnecting"
            if link.over_limit and not before.over_limit:
                return Level.ERROR, self._gone(link) + "; check cable and power"
        elif before.error is not None:
            gone = f"{self._lost.gone_for:.1f} s"
            return Level.OK, f"{self._name} is back after {gone}, tries: {self._lost.attempts}"
        return None

    def health(self, now: float) -> Health:
        """Return the state at the monotonic time ``now`` [s]."""
        level, message = self._judge(now)
        delay = latency_values("capture_to_publish_ms", self._delay.summary(), 1e3)
        values: dict[str, Value] = {
            "rate_hz": self._published.rate(now),
            "published": self._published.count,
            "frozen_for_s": self._frozen_for,
            "withheld": self._withheld,
            "reconnects": self._link.reconnects,
            "not_granted": "; ".join(self._notes),
        }
        return Health(level, message, {**values, **delay})

    def _judge(self, now: float) -> tuple[Level, str]:
        settings, rate, frozen = self._settings, self._published.rate(now), self._frozen_for
        words = f"picture frozen for {frozen:.1f} s"
        slow = rate < _SLOW * settings.framerate and settings.source != "video"
        if self._link.error is not None:
            found = Level.ERROR, self._gone(self._link)
        elif frozen >= settings.frozen_error:
            found = Level.ERROR, f"{words}, not published"
        elif self._published.count == 0:
            found = Level.WARN, f"{self._name} has delivered no picture yet"
        elif rate == 0.0:
            found = Level.ERROR, f"{self._name} delivers no pictures"
        elif frozen >= settings.frozen_warn:
            found = Level.WARN, words
        elif slow:
            found = Level.WARN, f"{rate:.1f} Hz, {settings.framerate:g} Hz asked"
        else:
            found = Level.OK, f"{rate:.1f} Hz"
        return found

    def _gone(self, link: Link) -> str:
        text = f"{link.error}; gone for {link.gone_for:.0f} s, tries: {link.attempts}"
        return text + (", still trying" if link.over_limit else "")


@dataclass(frozen=True, slots=True)
class WatchedCamera:
    """A camera and what watches it.

    Attributes:
        camera: The camera.
        link: Returns the state of the connection.
        frozen: Notices pictures that stay equal; None where they may (a standing twin).
    """

    camera: Camera
    link: Callable[[], Link]
    frozen: FrozenDetector | None = None


def make_camera(
    settings: CameraSettings, clock: Clock, twin: Callable[[], StateProvider]
) -> WatchedCamera:
    """Build the camera; nothing is opened yet.

    Args:
        settings: Which camera.
        clock: Time of the process.
        twin: Begins to listen to the twin; called for its camera only.

    Raises:
        ConfigError: There is no such source.
    """
    camera = CAMERAS.get(settings.source)(settings, clock, twin)
    if not camera.live:
        return WatchedCamera(camera, Link)
    device = ReconnectingCamera(camera, settings, clock)
    return WatchedCamera(device, device.current_link, FrozenDetector(settings.frozen_threshold))
