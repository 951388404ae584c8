"""All settings of the controller."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ..errors import ConfigError
from ..robots.kinematics import ArmModel
from ..robots.robot import robot_named
from ..settings import Groups, check_settings, setting
from .capsules import GeometryConfig
from .chunk_steps import ChunkConfig
from .envelope import EnvelopeConfig
from .feeds import FeedConfig, WatchConfig
from .guard import GuardConfig
from .homing import HomeConfig
from .supervisor import SafetyConfig
from .torque import TorqueConfig
from .velocity import VelocityConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmConfig:
    """Which arm it is and what it carries."""

    robot_type: str = setting(
        "j2n6s300",
        "Kind of arm, prefix of the driver's topics: j2n6s200, j2n6s300, j2s6s200 or j2s6s300.",
    )
    angular_frame: str = setting(
        "tool",
        "Frame in which the driver reads angular velocities: Kinova's staff says tool, its "
        "README reads like base.",
        choices=("tool", "base"),
    )
    inertia: str = setting(
        "kinova",
        "Whose masses the gravity model uses: Kinova's URDF or dm_control's MuJoCo model.",
        choices=("kinova", "dm_control"),
    )
    payload_mass: float = setting(
        0.0, "Mass of what the hand always carries.", unit="kg", low=0.0, high=2.6
    )
    payload_position: tuple[float, ...] = setting(
        (0.0, 0.0, 0.03),
        "Its centre in the tool frame.",
        unit="m",
        low=-0.5,
        high=0.5,
        length=3,
    )
    dry_run: bool = setting(False, "Compute everything, send nothing to the arm.")

    def __post_init__(self) -> None:
        check_settings(self)
        robot_named(self.robot_type)  # refuses what there is not

    def model(self) -> ArmModel:
        """Return the arm with its payload."""
        arm = robot_named(self.robot_type).arm(self.inertia)
        return arm.with_payload(self.payload_mass, self.payload_position)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamConfig:
    """The stream of velocity messages.

    The driver takes one message per 10 ms and queues what comes faster, so that the arm goes on
    after the stream has ended; a rate just under 100 Hz never fills its queue.
    """

    period: float = setting(
        0.01005,
        "Time from one message to the next: 99.5 Hz.",
        unit="s",
        low=0.01,
        high=0.02,
    )
    minimum_gap: float = setting(
        0.0095,
        "Least time from one message to the next after a late one.",
        unit="s",
        low=0.009,
        high=0.02,
    )
    on_time: float = setting(
        0.005, "Deviation from the period that counts as on time.", unit="s", low=0.001, high=0.01
    )
    fifo_priority: int = setting(0, "SCHED_FIFO priority of the loop; 0 for none.", low=0, high=98)
    cpu: int = setting(-1, "Processor that the loop is bound to; -1 for any.", low=-1, high=1023)

    def __post_init__(self) -> None:
        check_settings(self, "stream.")
        if self.minimum_gap > self.period:
            raise ConfigError(
                f"stream.minimum_gap is {self.minimum_gap:g}, allowed: up to stream.period, "
                f"{self.period:g}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class StopConfig:
    """What happens after a stop."""

    zero_time: float = setting(
        0.5,
        "Least time over which zero velocity is sent after a stop.",
        unit="s",
        low=0.1,
        high=5.0,
    )
    retry_time: float = setting(
        1.0,
        "A driver that does not answer is asked again after this; zeros go on meanwhile.",
        unit="s",
        low=0.1,
        high=10.0,
    )

    retreat_distance: float = setting(
        0.0,
        "Way up after a stop by torque, once the arm has come to rest; 0 for none.",
        unit="m",
        low=0.0,
        high=0.05,
    )
    retreat_speed: float = setting(0.02, "Speed of that way.", unit="m/s", low=0.005, high=0.05)

    def __post_init__(self) -> None:
        check_settings(self, "stop.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerSettings:
    """Everything the controller needs to know, by subject."""

    arm: ArmConfig = field(default_factory=ArmConfig)
    chunk: ChunkConfig = field(default_factory=ChunkConfig)
    velocity: VelocityConfig = field(default_factory=VelocityConfig)
    envelope: EnvelopeConfig = field(default_factory=EnvelopeConfig)
    safety: SafetyConfig = field(default_factory=SafetyConfig)
    stream: StreamConfig = field(default_factory=StreamConfig)
    stop: StopConfig = field(default_factory=StopConfig)
    guard: GuardConfig = field(default_factory=GuardConfig)
    home: HomeConfig = field(default_factory=HomeConfig)
    geometry: GeometryConfig = field(default_factory=GeometryConfig)

    @classmethod
    def from_groups(cls, groups: Mapping[str, Any]) -> "ControllerSettings":
        """Put together the groups of :data:`GROUPS`, each as its configuration."""
        safety = SafetyConfig(**{name: groups[name] for name in ("torque", "feed", "watch")})
        others = ("chunk", "velocity", "envelope", "geometry", "guard", "home", "stream", "stop")
        return cls(arm=groups[""], safety=safety, **{name: groups[name] for name in others})


GROUPS: Final[Groups] = {
    "": ArmConfig,
    "chunk": ChunkConfig,
    "velocity": VelocityConfig,
    "envelope": EnvelopeConfig,
    "geometry": GeometryConfig,
    "torque": TorqueConfig,
    "feed": FeedConfig,
    "watch": WatchConfig,
    "guard": GuardConfig,
    "home": HomeConfig,
    "stream": StreamConfig,
    "stop": StopConfig,
}
"""Parameters of the controller: prefix of their names -> settings."""
