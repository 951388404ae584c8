"""Stored pictures as a camera: a video file or a folder of images, at real-time pace."""

import re
from pathlib import Path

import cv2
import numpy as np

from ..errors import CameraError
from ..types import Frame, Rgb
from .camera import CameraSettings, Clock
from .picture_geometry import fit_frame


class Pacer:
    """Absolute deadlines one period in [s] apart, the first at once.

    A late caller skips, it never catches up.
    """

    def __init__(self, period: float, clock: Clock) -> None:
        self._period = period
        self._clock = clock
        self._due: float | None = None

    def wait(self, timeout: float) -> bool:
        """Wait until the next picture is due.

        Args:
            timeout: Longest wait in [s].

        Returns:
            True when it is due, False when the time ran out before.
        """
        now = self._clock.monotonic()
        due = now if self._due is None else self._due
        if due - now > timeout:
            self._clock.sleep(timeout)
            return False
        if due > now:
            self._clock.sleep(due - now)
            now = self._clock.monotonic()
            if now < due:  # woken early: the process ends
                return False
        late = now - due
        self._due = due + self._period if late < self._period else now + self._period
        return True


SUFFIXES = (".png", ".jpg", ".jpeg")


class VideoFile:
    """A video file, at the rate that the file states."""

    live = False

    def __init__(self, settings: CameraSettings, clock: Clock, twin: object = None) -> None:
        self._settings = settings
        self._clock = clock
        self._capture: cv2.VideoCapture | None = None
        self._pacer = Pacer(1.0 / settings.framerate, clock)

    @property
    def name(self) -> str:
        """Kind and file."""
        return f"video {self._settings.path}"

    def open(self) -> tuple[str, ...]:
        """Open the file, see :class:`~adp_ros.cameras.camera.Camera`."""
        if not Path(self._settings.path).is_file():
            raise CameraError(f"{self.name} does not exist")
        capture = cv2.VideoCapture(self._settings.path)
        if not capture.isOpened():
            raise CameraError(f"{self.name} cannot be read as a video")
        self._capture = capture
        stated, usual = float(capture.get(cv2.CAP_PROP_FPS)), self._settings.framerate
        self._pacer = Pacer(1.0 / (stated if stated > 0 else usual), self._clock)
        return () if stated > 0 else (f"states no frame rate, {usual:g} Hz is used",)

    def read(self, timeout: float) -> Frame | None:
        """Return the next picture when it is due."""
        if self._capture is None:
            raise CameraError(f"{self.name} is not open")
        if not self._pacer.wait(timeout):
            return None
        settings = self._settings
        ok, bgr = self._capture.read()
        if not ok and settings.loop:
            self._capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
            ok, bgr = self._capture.read()
            if not ok:
                raise CameraError(f"{self.name} has no readable frame")
        if not ok:
            raise CameraError(f"{self.name} has ended; set loop to start it over")
        rgb = fit_frame(_rgb(bgr), settings.size, settings.fit, self.name)
        return Frame(rgb, self._clock.now())

    def close(self) -> None:
        """Close the file."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None


class ImageFolder:
    """A folder of pictures in the order of their names, numbers in them by their value.

    Files whose name begins with a dot are none: other systems keep their notes in them.
    """

    live = False

    def __init__(self, settings: CameraSettings, clock: Clock, twin: object = None) -> None:
        self._settings = settings
        self._clock = clock
        self._pacer = Pacer(1.0 / settings.framerate, clock)
        self._files: tuple[Path, ...] = ()
        self._index = 0

    @property
    def name(self) -> str:
        """Kind and folder."""
        return f"image folder {self._settings.path}"

    def open(self) -> tuple[str, ...]:
        """List the folder, see :class:`~adp_ros.cameras.camera.Camera`."""
        folder = Path(self._settings.path)
        if not folder.is_dir():
            raise CameraError(f"{self.name} does not exist")
        self._files = picture_files(folder)
        self._index = 0
        if not self._files:
            raise CameraError(f"{self.name} has no picture, allowed: {', '.join(SUFFIXES)}")
        return ()

    def read(self, timeout: float) -> Frame | None:
        """Return the next picture when it is due."""
        if not self._files:
            raise CameraError(f"{self.name} is not open")
        if not self._pacer.wait(timeout):
            return None
        if self._index == len(self._files):
            if not self._settings.loop:
                raise CameraError(f"{self.name} has ended; set loop to start it over")
            self._index = 0
        file = self._files[self._index]
        self._index += 1
        rgb = fit_frame(
            read_picture(file), self._settings.size, self._settings.fit, f"picture {file}"
        )
        return Frame(rgb, self._clock.now())

    def close(self) -> None:
        """Forget the list of pictures."""
        self._files = ()


def picture_files(folder: Path) -> tuple[Path, ...]:
    """Return the pictures of a folder: ``frame_2`` before ``frame_10``, no hidden files."""
    found = (p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.name[0] != ".")
    return tuple(sorted(found, key=lambda path: (_by_number(path.name), path.name)))


def read_picture(file: Path) -> Rgb:
    """Read a picture, shape (H, W, 3).

    Raises:
        CameraError: It can't be read.
    """
    bgr = cv2.imread(str(file), cv2.IMREAD_COLOR)
    if bgr is None:
        raise CameraError(f"picture {file} cannot be read")
    return _rgb(bgr)


def _by_number(name: str) -> list[tuple[int, str]]:
    """Split a name into texts and numbers, so that numbers sort by value."""
    parts = re.findall(r"\d+|\D+", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _rgb(bgr: "cv2.typing.MatLike") -> Rgb:
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)
