"""Settings of the recorder."""

from dataclasses import dataclass
from typing import Final

from ..settings import check_settings, setting

FRAMES: Final = ("jpeg+used", "used", "jpeg", "raw")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSettings:
    """What is recorded, where, and how much memory and disk it may take.

    Raises:
        ConfigError: Names the setting, its value and what is allowed.
    """

    directory: str = setting("bags", "Folder in which each recording gets a folder of its own.")
    frames: str = setting(
        "jpeg+used",
        "Pictures: raw: all, uncompressed (28 MB/s at 640x480, 30 Hz); jpeg: all, compressed, "
        "so that a replay differs in the last digits; used: those that chunks were planned from, "
        "uncompressed (one camera only); jpeg+used: both.",
        choices=FRAMES,
    )
    exclude: tuple[str, ...] = setting(
        ("/adp/overlay", "/parameter_events"), "Topics that are not recorded."
    )
    compression: str = setting(
        "none", "Compression of the file's chunks.", choices=("none", "lz4", "zstd")
    )
    flush_period: float = setting(
        0.5, "What is older than this is on its way to the disk.", unit="s", low=0.05, high=1.0
    )
    min_free_space: float = setting(
        2.0, "Recording ends in order when less is left on the disk.", unit="GB", low=0.05, high=1e4
    )
    queue_size: int = setting(
        256, "Messages that wait for the disk; more are dropped.", unit="MB", low=8, high=16384
    )
    frame_memory: int = setting(256, "Pictures that wait to be used.", unit="MB", low=8, high=16384)
    nice: int = setting(5, "Nice value: recording yields to the control loop.", low=0, high=19)
    launch: str = setting("", "Launch arguments as JSON, noted in the bag.")

    def __post_init__(self) -> None:
        check_settings(self)

    @property
    def records_raw(self) -> bool:
        """Every uncompressed picture."""
        return self.frames == "raw"

    @property
    def records_used(self) -> bool:
        """The uncompressed pictures that chunks were planned from."""
        return self.frames in ("used", "jpeg+used")

    @property
    def records_jpeg(self) -> bool:
        """Every compressed picture."""
        return self.frames in ("jpeg", "jpeg+used")
