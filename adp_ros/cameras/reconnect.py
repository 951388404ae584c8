"""Reopen a camera that vanished, with growing pauses."""

from dataclasses import dataclass

from ..errors import CameraError
from ..types import Frame
from .camera import Camera, CameraSettings, Clock


@dataclass(frozen=True, slots=True)
class Link:
    """State of the connection to a camera.

    Attributes:
        error: Why the camera is gone; None while it is there.
        gone_for: Time since it vanished in [s].
        attempts: Tries to reopen it since.
        reconnects: Times that it came back since the start.
        over_limit: Gone for longer than the limit.
    """

    error: str | None = None
    gone_for: float = 0.0
    attempts: int = 0
    reconnects: int = 0
    over_limit: bool = False


class ReconnectingCamera:
    """Wraps a source: an error after the first picture closes it and it is opened again.

    Errors before the first picture (no such device, wrong size) are the user's to solve and
    pass through.
    """

    live = True

    def __init__(self, source: Camera, settings: CameraSettings, clock: Clock) -> None:
        self._source = source
        self._settings = settings
        self._clock = clock
        self._delivered = False
        self._reconnects = 0
        self._error: str | None = None
        self._lost_at = 0.0
        self._attempts = 0
        self._next_try = 0.0
        self._opened = True

    @property
    def name(self) -> str:
        """Name of the wrapped source."""
        return self._source.name

    def current_link(self) -> Link:
        """Return the state of the connection now."""
        if self._error is None:
            return Link(reconnects=self._reconnects)
        gone_for = self._clock.monotonic() - self._lost_at
        over = gone_for > self._settings.reconnect_limit
        return Link(self._error, gone_for, self._attempts, self._reconnects, over)

    def open(self) -> tuple[str, ...]:
        """Open the wrapped source."""
        return self._source.open()

    def read(self, timeout: float) -> Frame | None:
        """Return the next picture; None while the camera is gone."""
        if self._error is not None and not self._reopened(timeout):
            return None
        try:
            frame = self._source.read(timeout)
        except CameraError as error:
            if not self._delivered:
                raise
            self._lose(str(error))
            return None
        if frame is not None:
            self._delivered = True
            if self._error is not None:  # back only once a picture has come
                self._error = None
                self._reconnects += 1
        return frame

    def close(self) -> None:
        """Close the wrapped source."""
        self._source.close()

    def _lose(self, error: str) -> None:
        self._source.close()
        now = self._clock.monotonic()
        if self._error is None:
            self._lost_at, self._attempts = now, 0
        self._error = error
        self._opened = False
        self._next_try = now + self._pause()

    def _reopened(self, timeout: float) -> bool:
        if self._opened:
            return True
        wait = self._next_try - self._clock.monotonic()
        if wait > 0:
            self._clock.sleep(min(wait, timeout))
            return False
        self._attempts += 1
        try:
            self._source.open()
        except CameraError as error:
            self._lose(str(error))
            return False
        self._opened = True
        return True

    def _pause(self) -> float:
        longest = self._settings.reconnect_delay_max
        return float(min(longest, self._settings.reconnect_delay * 2.0 ** min(self._attempts, 60)))
