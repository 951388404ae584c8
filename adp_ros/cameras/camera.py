"""What a camera is to the rest of the package, the door to all of them, and their settings."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from ..doors import Door, lacks
from ..errors import ConfigError
from ..settings import check_settings, setting
from ..sim.look import DISTRACTORS, LEVEL_NAMES
from ..types import FloatArray, Frame


class Clock(Protocol):
    """Time, handed to a source by the process that owns the clock."""

    def now(self) -> float:
        """Return the time of frame stamps in [s] (the ROS clock in a node)."""

    def monotonic(self) -> float:
        """Return a time for durations in [s]; must be the kernel's monotonic clock."""

    def sleep(self, seconds: float) -> None:
        """Wait; may return early when the process ends."""


class Camera(Protocol):
    """A camera. All calls come from one thread."""

    @property
    def live(self) -> bool:
        """True for a device: it is opened again when it is lost, and equal pictures are a fault."""

    @property
    def name(self) -> str:
        """Kind and device in words, for messages."""

    def open(self) -> tuple[str, ...]:
        """Start the camera.

        Returns:
            One sentence per setting that the camera did not take as asked.

        Raises:
            CameraError: Names the device and what is wrong with it.
        """

    def read(self, timeout: float) -> Frame | None:
        """Wait for the next picture.

        Args:
            timeout: Longest wait in [s].

        Returns:
            A picture that was not returned before, or None when there was none in time.

        Raises:
            CameraError: The camera vanished, ended or delivers unusable frames.
        """

    def close(self) -> None:
        """Release the device; does nothing on a closed camera."""


@dataclass(frozen=True, slots=True)
class TwinSnapshot:
    """State of the simulated scene at one instant.

    Attributes:
        task: Name of the task, which selects the scene.
        seed: Seed of the scene.
        qpos: Generalised positions of the MuJoCo model.
        cleaned: Per dirt cell: wiped, shape (cells,).
        stamp: Time of the state in [s].
    """

    task: str
    seed: int
    qpos: FloatArray
    cleaned: NDArray[np.bool_]
    stamp: float

    @property
    def scene(self) -> tuple[str, int]:
        """Task and seed."""
        return self.task, self.seed


StateProvider = Callable[[float, float], TwinSnapshot | None]
"""(due stamp, timeout) -> newest state once there is one stamped at or after ``due``, else None."""

MakeCamera = Callable[["CameraSettings", Clock, Callable[[], StateProvider]], Camera]
"""(settings, clock, twin) -> camera, not open yet; ``twin()`` begins to listen to the twin."""

_BUILT_IN: Final[Mapping[str, str]] = {
    "twin": "adp_ros.cameras.twin_camera:make_twin_camera",
    "v4l2": "adp_ros.cameras.v4l2:V4l2Camera",
    "video": "adp_ros.cameras.files:VideoFile",
    "images": "adp_ros.cameras.files:ImageFolder",
}


def _fault(thing: Any) -> str:
    if not callable(thing):
        return "can't be called with (settings, clock, twin)"
    members = ("name", "live", "open", "read", "close")
    return lacks(thing, *members) if isinstance(thing, type) else ""


CAMERAS: Final[Door[MakeCamera]] = Door("adp_ros.cameras", "source", _BUILT_IN, _fault)
"""Name of a source -> what makes the camera; other packages' through ``adp_ros.cameras``."""

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")

FOURCC: Final[Mapping[str, str]] = {
    "yuyv": "YUYV",
    "yuyv2rgb": "YUYV",
    "uyvy": "UYVY",
    "uyvy2rgb": "UYVY",
    "mjpeg": "MJPG",
    "mjpeg2rgb": "MJPG",
}
"""usb_cam's name of a pixel format -> V4L2's. Every one is published as rgb8."""
LEAVE: Final = -1  # value of a control that the node does not touch


def _control(description: str) -> Any:
    return setting(LEAVE, description, low=LEAVE, high=65535)


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraSettings:
    """Where pictures come from and how they are delivered."""

    source: str = setting(
        "twin",
        "Where pictures come from: twin (the simulated scene), v4l2 (a device), video, images (a "
        "folder), or a camera of another package.",
    )
    video_device: str = setting(
        "/dev/video0", "V4L2 device; prefer the stable name under /dev/v4l/by-id."
    )
    path: str = setting("", "Video file, or folder of .png and .jpg pictures in name order.")
    loop: bool = setting(True, "Start a video or folder over when it ends.")
    image_width: int = setting(
        640,
        "Width of a published picture; policies are trained on 640x480.",
        unit="px",
        low=16,
        high=8192,
    )
    image_height: int = setting(480, "Height of a published picture.", unit="px", low=16, high=8192)
    framerate: float = setting(
        30.0, "Pictures per second; a video keeps its own rate.", unit="Hz", low=0.1, high=240.0
    )
    capture_width: int = setting(
        0,
        "Width asked of the V4L2 device; 0: as published. For 16:9: 1280 x 720 with fit crop.",
        unit="px",
        low=0,
        high=8192,
    )
    capture_height: int = setting(
        0, "Height asked of the V4L2 device; 0: as published.", unit="px", low=0, high=8192
    )
    fit: str = setting(
        "exact",
        "What to do with a picture of another size: refuse, crop the centre, pad black, stretch. "
        "The policy depends on this geometry: use what it was trained on.",
        choices=("exact", "crop", "pad", "stretch"),
    )
    pixel_format: str = setting("yuyv", "Format asked of the V4L2 device.", choices=tuple(FOURCC))
    buffer_size: int = setting(
        2,
        "Frames the V4L2 driver buffers; 1 halves the rate of some.",
        unit="frames",
        low=1,
        high=10,
    )
    brightness: int = _control("Brightness of the V4L2 device; -1 leaves it.")
    contrast: int = _control("Contrast; -1 leaves it.")
    saturation: int = _control("Saturation; -1 leaves it.")
    sharpness: int = _control("Sharpness; -1 leaves it.")
    gain: int = _control("Gain; -1 leaves it.")
    exposure: int = _control("Exposure in the device's units; -1 leaves it. Fix it as in training.")
    white_balance: int = setting(
        LEAVE, "White balance; -1 leaves it.", unit="K", low=-1, high=20000
    )
    focus: int = _control("Focus in the device's units; -1 leaves it.")
    stall_timeout: float = setting(
        3.0, "A V4L2 device without a frame for so long is lost.", unit="s", low=0.1, high=60.0
    )
    reconnect_delay: float = setting(
        0.5,
        "Wait before the first try to reopen; doubles each time.",
        unit="s",
        low=0.05,
        high=60.0,
    )
    reconnect_delay_max: float = setting(
        8.0, "Longest wait between two tries to reopen.", unit="s", low=0.05, high=600.0
    )
    reconnect_limit: float = setting(
        60.0,
        "Reported as lost after this time; tries go on.",
        unit="s",
        low=1.0,
        high=86400.0,
    )
    frozen_warn: float = setting(
        1.0,
        "V4L2 pictures that stay equal for so long are a warning.",
        unit="s",
        low=0.1,
        high=3600.0,
    )
    frozen_error: float = setting(
        5.0, "Equal for so long: an error, and no longer published.", unit="s", low=0.1, high=3600.0
    )
    frozen_threshold: float = setting(
        0.05,
        "Mean difference up to which two pictures are equal.",
        unit="grey levels",
        low=0.0,
        high=255.0,
    )
    camera_name: str = setting(
        "camera", "First part of the topics' names (/camera/image_raw), hardware id in diagnostics."
    )
    frame_id: str = setting("camera_optical_frame", "Frame of the picture's header.")
    camera_info_url: str = setting(
        "", "Calibration YAML: a path, file:///path or package://name/path; empty: uncalibrated."
    )
    jpeg_quality: int = setting(90, "Quality of the compressed pictures.", low=1, high=100)
    idle: bool = setting(
        True,
        "Draw the twin (source twin) only on processor time that nothing else wants (SCHED_IDLE), "
        "so that the control loop is on time.",
    )
    robot_type: str = setting(
        "j2n6s300",
        "Arm in the simulated scene (source twin), and the one that stops when the node ends.",
    )
    distractors: str = setting(
        "auto", "Of the simulated scene (source twin), as in sim.yaml.", choices=DISTRACTORS
    )
    randomisation: str = setting(
        "default", "Of the simulated scene (source twin), as in sim.yaml.", choices=LEVEL_NAMES
    )

    def __post_init__(self) -> None:
        check_settings(self)
        if self.source not in CAMERAS.built_in:
            CAMERAS.get(self.source)  # refuses what there is not
        if not _NAME.fullmatch(self.camera_name):
            raise ConfigError(
                f"camera_name is {self.camera_name!r}, allowed: a letter, then letters, digits, _"
            )
        if self.source in ("video", "images") and not self.path:
            raise ConfigError(f"path is '', a {self.source} source needs it")
        if (self.capture_width == 0) != (self.capture_height == 0):
            raise ConfigError(
                f"capture_width is {self.capture_width} and capture_height is "
                f"{self.capture_height}, give both or none"
            )
        if self.frozen_error < self.frozen_warn:
            raise ConfigError(
                f"frozen_error is {self.frozen_error} s, allowed: at least frozen_warn "
                f"({self.frozen_warn} s)"
            )

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of a published picture in [px]."""
        return self.image_width, self.image_height

    @property
    def capture_size(self) -> tuple[int, int]:
        """Width and height asked of the V4L2 device in [px]."""
        return self.capture_width or self.image_width, self.capture_height or self.image_height
