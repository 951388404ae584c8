"""What a camera is to the rest of the package. Knows neither devices nor ROS."""

from typing import Protocol

from ..types import Frame


class Clock(Protocol):
    """Time, handed to a source by the process that owns the clock."""

    def now(self) -> float:
        """Return the time of frame stamps in [s] (the ROS clock in a node)."""
        ...

    def monotonic(self) -> float:
        """Return a time for durations in [s]; must be the kernel's monotonic clock."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait; may return early when the process ends."""
        ...


class CameraSource(Protocol):
    """A camera. All calls come from one thread."""

    @property
    def name(self) -> str:
        """Kind and device in words, for messages."""
        ...

    def open(self) -> tuple[str, ...]:
        """Start the camera.

        Returns:
            One sentence per setting that the camera did not take as asked.

        Raises:
            CameraError: Names the device and what is wrong with it.
        """
        ...

    def read(self, timeout: float) -> Frame | None:
        """Wait for the next picture.

        Args:
            timeout: Longest wait in [s].

        Returns:
            A picture that was not returned before, or None when there was none in time.

        Raises:
            CameraError: The camera vanished, ended or delivers unusable frames.
        """
        ...

    def close(self) -> None:
        """Release the device; does nothing on a closed camera."""
        ...
