"""A V4L2 device (webcam or HDMI capture stick), drained by its own thread.

The driver's queue of buffers is emptied as fast as it fills, so that a picture is never older
than one frame period when it is handed out. OpenCV's V4L2 backend does the device work.
"""

import threading
from collections.abc import Callable, Iterator

import cv2

from ..errors import CameraError
from ..types import Frame
from .camera import FOURCC, LEAVE, CameraSettings, Clock
from .picture_geometry import fit_frame

_JOIN_SECONDS = 0.5


class Drain:
    """Owns an open capture until :meth:`stop`; the thread alone touches and releases it.

    A grab that never returns cannot be interrupted; :meth:`stop` then leaves the thread behind,
    and it releases the device when the grab comes back.
    """

    def __init__(
        self, capture: cv2.VideoCapture, clock: Clock, name: str, stall_timeout: float
    ) -> None:
        self._capture = capture
        self._clock = clock
        self._name = name
        self._stall_timeout = stall_timeout
        self._changed = threading.Condition()
        self._stopped = False
        self._newest: tuple[cv2.typing.MatLike, float] | None = None
        self._failure: str | None = None
        self._last_arrival = clock.monotonic()
        self._thread = threading.Thread(target=self._run, name="camera-drain", daemon=True)
        self._thread.start()

    def newest(self, timeout: float) -> "tuple[cv2.typing.MatLike, float] | None":
        """Wait for a picture newer than the last one returned.

        Args:
            timeout: Longest wait in [s].

        Returns:
            BGR picture and capture time in [s], or None when there was none in time.

        Raises:
            CameraError: The device ended or delivered nothing for the stall timeout.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._newest or self._failure, timeout)
            newest, self._newest = self._newest, None
            if newest is not None:
                return newest
            if self._failure is not None:
                raise CameraError(f"{self._name} {self._failure}")
            silent = self._clock.monotonic() - self._last_arrival
            if silent > self._stall_timeout:
                raise CameraError(f"{self._name} has delivered no frame for {silent:.1f} s")
            return None

    def stop(self) -> None:
        """End the thread."""
        with self._changed:
            self._stopped = True
        self._thread.join(_JOIN_SECONDS)

    def _run(self) -> None:
        try:
            while not self._stopped:
                if not self._capture.grab():
                    self._fail("stopped delivering frames")
                    return
                stamp = self._stamp()
                picture = self._decode()
                if picture is not None:
                    self._put(picture, stamp)
        finally:
            self._capture.release()

    def _decode(self) -> "cv2.typing.MatLike | None":
        try:
            ok, bgr = self._capture.retrieve()
        except cv2.error:  # one broken JPEG; a stream of them ends in the stall timeout
            return None
        return bgr if ok and bgr is not None and bgr.size else None

    def _stamp(self) -> float:
        """Capture time: the driver's monotonic buffer time where it has one, else now."""
        age = self._clock.monotonic() - self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000.0
        return self._clock.now() - (age if 0.0 <= age < 1.0 else 0.0)

    def _put(self, picture: "cv2.typing.MatLike", stamp: float) -> None:
        with self._changed:
            self._newest = (picture, stamp)
            self._last_arrival = self._clock.monotonic()
            self._changed.notify_all()

    def _fail(self, what: str) -> None:
        with self._changed:
            self._failure = what
            self._changed.notify_all()


Property = tuple[str, int, float]  # name, OpenCV's number, value


def open_v4l2(device: str) -> cv2.VideoCapture:
    """Open a device with OpenCV's V4L2 backend."""
    return cv2.VideoCapture(device, cv2.CAP_V4L2)


class V4l2Camera:
    """A camera at ``video_device``; size, format and rate are asked for and read back."""

    live = True

    def __init__(
        self,
        settings: CameraSettings,
        clock: Clock,
        twin: object = None,
        open_capture: Callable[[str], cv2.VideoCapture] = open_v4l2,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._open_capture = open_capture
        self._drain: Drain | None = None

    @property
    def name(self) -> str:
        """Kind and device."""
        return f"v4l2 camera {self._settings.video_device}"

    def open(self) -> tuple[str, ...]:
        """Open and configure, see :class:`~adp_ros.cameras.camera.Camera`."""
        capture = self._open_capture(self._settings.video_device)
        if not capture.isOpened():
            capture.release()
            raise CameraError(
                f"{self.name} cannot be opened: check that it exists, is readable and is not "
                "used by another program"
            )
        notes = configure(capture, self._settings)
        self._drain = Drain(capture, self._clock, self.name, self._settings.stall_timeout)
        return notes

    def read(self, timeout: float) -> Frame | None:
        """Return the newest picture that was not returned before."""
        if self._drain is None:
            raise CameraError(f"{self.name} is not open")
        newest = self._drain.newest(timeout)
        if newest is None:
            return None
        bgr, stamp = newest
        rgb = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
        settings = self._settings
        return Frame(fit_frame(rgb, settings.size, settings.fit, self.name), stamp)  # type: ignore[arg-type]

    def close(self) -> None:
        """Stop the thread, which releases the device."""
        if self._drain is not None:
            self._drain.stop()
            self._drain = None


def configure(capture: cv2.VideoCapture, settings: CameraSettings) -> tuple[str, ...]:
    """Ask for format, size, rate, buffers and controls, and read back.

    The order matters to V4L2: the format comes before the size, the size before the rate.

    Returns:
        One sentence per property that the device did not take as asked.
    """
    asked = [*_format(settings), *_controls(settings)]
    for _, prop, value in asked:
        capture.set(prop, value)
    notes = []
    for name, prop, value in asked:
        got = capture.get(prop)
        if abs(got - value) > 0.01 * abs(value):
            notes.append(f"{name} is {_words(prop, got)}, asked for {_words(prop, value)}")
    return tuple(notes)


def _format(settings: CameraSettings) -> Iterator[Property]:
    width, height = settings.capture_size
    code = cv2.VideoWriter.fourcc(*FOURCC[settings.pixel_format])
    yield "pixel_format", cv2.CAP_PROP_FOURCC, float(code)
    yield "width", cv2.CAP_PROP_FRAME_WIDTH, float(width)
    yield "height", cv2.CAP_PROP_FRAME_HEIGHT, float(height)
    yield "framerate", cv2.CAP_PROP_FPS, settings.framerate
    yield "buffer_size", cv2.CAP_PROP_BUFFERSIZE, float(settings.buffer_size)


def _controls(settings: CameraSettings) -> Iterator[Property]:
    """Controls that are set; one that the device would choose itself is made manual before."""
    for name, prop, value, automatic, manual in (
        ("brightness", cv2.CAP_PROP_BRIGHTNESS, settings.brightness, None, 0.0),
        ("contrast", cv2.CAP_PROP_CONTRAST, settings.contrast, None, 0.0),
        ("saturation", cv2.CAP_PROP_SATURATION, settings.saturation, None, 0.0),
        ("sharpness", cv2.CAP_PROP_SHARPNESS, settings.sharpness, None, 0.0),
        ("gain", cv2.CAP_PROP_GAIN, settings.gain, None, 0.0),
        ("exposure", cv2.CAP_PROP_EXPOSURE, settings.exposure, cv2.CAP_PROP_AUTO_EXPOSURE, 1.0),
        (
            "white_balance",
            cv2.CAP_PROP_WB_TEMPERATURE,
            settings.white_balance,
            cv2.CAP_PROP_AUTO_WB,
            0.0,
        ),
        ("focus", cv2.CAP_PROP_FOCUS, settings.focus, cv2.CAP_PROP_AUTOFOCUS, 0.0),
    ):
        if value == LEAVE:
            continue
        if automatic is not None:
            yield f"automatic {name}", automatic, manual
        yield name, prop, float(value)


def _words(prop: int, value: float) -> str:
    if prop != cv2.CAP_PROP_FOURCC:
        return f"{value:g}"
    code = int(value)
    text = "".join(chr((code >> shift) & 0xFF) for shift in (0, 8, 16, 24))
    return text if text.isprintable() else f"{value:g}"
