"""The arm's samples: is each source alive and sound, and does the arm do what it is told?"""

from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np

from ..errors import ConfigError
from ..geometry import length
from ..health import AHEAD, stamp_problem
from ..robots.kinematics import ArmModel, Chain
from ..settings import check_settings, setting
from ..types import FloatArray, Pose, Twist


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedConfig:
    """What counts as a living source of samples."""

    stale: float = setting(
        0.1,
        "Age of the newest sample from which it is stale; with two ticks to see and confirm it, "
        "and 30 ms for a busy machine, the arm is stopped within 150 ms.",
        unit="s",
        low=0.02,
        high=1.0,
    )
    frozen: float = setting(
        0.1,
        "Time without any change, while the arm is told to move, from which a sensor is dead.",
        unit="s",
        low=0.05,
        high=5.0,
    )
    frozen_rest: float = setting(
        1.0,
        "The same for the torque of an arm at rest, which is never free of noise; 0 turns it off.",
        unit="s",
        low=0.0,
        high=60.0,
    )

    def __post_init__(self) -> None:
        check_settings(self, "feed.")
        if 0.0 < self.frozen_rest < self.frozen:
            raise ConfigError(
                f"feed.frozen_rest is {self.frozen_rest:g}, allowed: 0 or at least feed.frozen, "
                f"{self.frozen:g}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchConfig:
    """When motion and command are said not to agree."""

    time: float = setting(
        0.5,
        "Time over which command and measured motion are compared.",
        unit="s",
        low=0.1,
        high=5.0,
    )
    commanded_speed: float = setting(
        0.03,
        "Commanded speed from which motion is expected; the arm may ignore less.",
        unit="m/s",
        low=0.005,
        high=0.2,
    )
    limit: float = setting(
        1.0,
        "Time of being told to move without moving that stops the arm.",
        unit="s",
        low=0.2,
        high=10.0,
    )
    moved: float = setting(
        0.003, "Displacement that counts as motion.", unit="m", low=0.0002, high=0.1
    )

    def __post_init__(self) -> None:
        check_settings(self, "watch.")
        if self.limit < self.time:
            raise ConfigError(
                f"watch.limit is {self.limit:g}, allowed: from watch.time on, {self.time:g}"
            )


_REPEATS: Final = 3  # equal samples in a row before a sensor can be called frozen
_KEPT_FAULTS: Final = 8


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong.

    Attributes:
        cause: Stable short name, such as ``torque_stale``.
        message: The same in words, with numbers.
    """

    cause: str
    message: str


class FeedMonitor:
    """Judges the samples of one source.

    Args:
        name: Put before each cause: ``torque``, ``pose``, ``joints``.
        config: Limits.
    """

    def __init__(self, name: str, config: FeedConfig) -> None:
        self.name = name
        self._config = config
        self._faults: deque[Fault] = deque(maxlen=_KEPT_FAULTS)
        self._values: FloatArray | None = None
        self._arrival = 0.0
        self._stamp: float | None = None
        self._changed = 0.0
        self.repeats = 0  # equal samples in a row, the first not counted
        self._stale_ticks = 0
        self.samples = 0

    @property
    def seen(self) -> bool:
        """True once a good sample has arrived."""
        return self._values is not None

    def age(self, now: float) -> float:
        """Return the age of the newest good sample in [s], infinite when there is none."""
        return now - self._arrival if self._values is not None else np.inf

    def take(
        self, values: FloatArray, arrival: float, stamp: float | None = None, delay: float = 0.0
    ) -> bool:
        """Take a sample.

        Args:
            values: Numbers of any shape.
            arrival: Time of arrival in [s].
            stamp: Time of measurement in [s] on the sender's clock; None without stamp.
            delay: Age of the stamp on arrival in [s].

        Returns:
            True when the sample may be used.
        """
        if not np.isfinite(values).all():
            self._note("nan", "has a value that is not a finite number")
            return False
        if stamp is not None and delay < -AHEAD:
            self._note("future", f"is {stamp_problem(delay, self._config.stale)}")
            return False
        if stamp is not None and self._stamp is not None and stamp < self._stamp:
            late = 1e3 * (self._stamp - stamp)
            self._note("order", f"is out of order: its stamp is {late:.0f} ms before the last one")
            self._stamp = stamp  # after a jump of the clock, order is judged from here on
            return False
        if stamp is not None and (stamp == self._stamp or delay > self._config.stale):
            return False  # a repeated or old sample does not make the source fresh
        self._stamp = stamp
        self._keep(values, arrival)
        return True

    def poll(self, now: float) -> Fault | None:
        """Return what is wrong now; call once per tick.

        A source must be stale in two ticks in a row: when the whole process was held up, its
        samples wait in the queue and are taken before the second.
        """
        if self._faults:
            return self._faults.popleft()
        age = self.age(now)
        self._stale_ticks = self._stale_ticks + 1 if age > self._config.stale else 0
        if self._values is None:
            return Fault(f"{self.name}_missing", f"{self.name} has not been received")
        if self._stale_ticks > 1:
            limit = 1e3 * self._config.stale
            text = f"{self.name} is {1e3 * age:.0f} ms old, allowed: {limit:.0f} ms"
            return Fault(f"{self.name}_stale", text)
        return None

    def unchanged(self, now: float) -> float:
        """Return for how long the samples have been equal, in [s]; 0 while they are not."""
        return now - self._changed if self.repeats >= _REPEATS else 0.0

    def frozen(self, unchanged: float) -> Fault:
        """Make the fault of a dead sensor."""
        text = f"{self.name} has not changed for {1e3 * unchanged:.0f} ms"
        return Fault(f"{self.name}_frozen", text)

    def _keep(self, values: FloatArray, arrival: float) -> None:
        same = self._values is not None and np.array_equal(values, self._values)
        self.repeats = self.repeats + 1 if same else 0
        if not same:
            self._changed = arrival
        self._values, self._arrival = np.array(values), arrival
        self.samples += 1

    def _note(self, kind: str, text: str) -> None:
        self._faults.append(Fault(f"{self.name}_{kind}", f"{self.name} {text}"))


_TURNING: Final = 0.1  # [rad/s] of commanded turning from which motion is expected


class Feedback:
    """All sources of samples of one arm. Times are in [s] on one clock."""

    def __init__(self, config: FeedConfig, watch: WatchConfig) -> None:
        self._config = config
        self._expected_speed = watch.commanded_speed
        self.torque = FeedMonitor("torque", config)
        self.tool = FeedMonitor("pose", config)
        self.fingers = FeedMonitor("fingers", config)
        self.joint_sources: dict[str, FeedMonitor] = {}
        self.pose: Pose | None = None
        self.pose_at = 0.0
        self.joints: FloatArray | None = None
        self.opening: float | None = None  # of the hand, 0 closed to 1 open
        self._commanded_since: float | None = None
        self._chain: tuple[FloatArray, Chain] | None = None

    def take_pose(self, pose: Pose, arrival: float, stamp: float | None, delay: float) -> None:
        """Take the tool pose, its stamp and the stamp's age on arrival, in [s]."""
        values = np.concatenate([pose.position, pose.rotation.ravel()])
        if self.tool.take(values, arrival, stamp, delay):
            self.pose, self.pose_at = pose, arrival

    def take_joints(
        self,
        source: str,
        joints: FloatArray,
        arrival: float,
        stamp: float | None = None,
        delay: float = 0.0,
    ) -> None:
        """Take joint angles, shape (6,), in [rad].

        Args:
            source: Topic; the driver sends them on two, and each is watched once it was seen.
            joints: The angles.
            arrival: Time of arrival in [s].
            stamp: Time of measurement in [s], None without stamp.
            delay: Age of the stamp on arrival in [s].
        """
        feed = self.joint_sources.setdefault(source, FeedMonitor("joints", self._config))
        if feed.take(joints, arrival, stamp, delay):
            self.joints = np.array(joints)

    def chain(self, model: ArmModel) -> Chain | None:
        """Return the frames at the newest joint angles, None while there are none."""
        if self.joints is None:
            return None
        if self._chain is None or self._chain[0] is not self.joints:
            self._chain = self.joints, Chain.at(model, self.joints)
        return self._chain[1]

    def take_opening(self, opening: float, arrival: float) -> None:
        """Take the measured opening of the hand, 0 closed to 1 open."""
        if self.fingers.take(np.array([opening]), arrival):
            self.opening = opening

    def ages(self, now: float) -> dict[str, float]:
        """Return source -> age of its newest sample in [s], infinite when there is none."""
        ages = {"torque": self.torque.age(now), "pose": self.tool.age(now)}
        if self.fingers.seen:
            ages["fingers"] = self.fingers.age(now)
        return ages | {name: feed.age(now) for name, feed in self.joint_sources.items()}

    def fault(self, now: float, commanded: Twist | None, *, moving: bool) -> Fault | None:
        """Return what is wrong, None when all is well; call once per tick.

        Args:
            now: Time in [s].
            commanded: Velocity that the arm was last told, None when nothing reaches it.
            moving: True while the policy moves the arm.
        """
        faults = [fault for feed in self._feeds() if (fault := feed.poll(now)) is not None]
        if (fault := self.fingers.poll(now)) is not None and fault.cause != "fingers_missing":
            faults.append(fault)
        if not self.joint_sources:
            faults.append(Fault("joints_missing", "joints has not been received"))
        return faults[0] if faults else self._frozen(now, commanded, moving=moving)

    def _feeds(self) -> list[FeedMonitor]:
        return [self.torque, *self.places]

    @property
    def places(self) -> list[FeedMonitor]:
        """Sources that tell where the arm is."""
        return [self.tool, *self.joint_sources.values()]

    def _frozen(self, now: float, commanded: Twist | None, *, moving: bool) -> Fault | None:
        """Find a dead sensor: torque is never constant, the others not while the arm moves.

        Pose and joints that stand still together while the torque lives belong to an arm that
        does not move; that is reported, not stopped.
        """
        limits, torque = self._config, self.torque.unchanged(now)
        if not self._expects_motion(now, commanded):
            watched = moving and commanded is not None and limits.frozen_rest > 0.0
            return self.torque.frozen(torque) if watched and torque >= limits.frozen_rest else None
        if torque >= limits.frozen:
            return self.torque.frozen(torque)
        places = self.places
        still = [feed for feed in places if feed.unchanged(now) >= limits.frozen]
        if still and len(still) < len(places):
            return still[0].frozen(still[0].unchanged(now))
        return None

    def _expects_motion(self, now: float, commanded: Twist | None) -> bool:
        fast = commanded is not None and (
            length(commanded.linear) > self._expected_speed or length(commanded.angular) > _TURNING
        )
        if not fast:
            self._commanded_since = None
            return False
        if self._commanded_since is None:
            self._commanded_since = now
        return now - self._commanded_since >= self._config.frozen


class MotionWatch:
    """Compares commanded speed and measured displacement over a short time."""

    def __init__(self, config: WatchConfig) -> None:
        self._config = config
        self._past: deque[tuple[float, float, FloatArray]] = deque()
        self._resting_since: float | None = None

    def reset(self) -> None:
        """Forget the past, for instance while somebody else moves the arm."""
        self._past.clear()
        self._resting_since = None

    def take(self, now: float, speed: float, position: FloatArray) -> None:
        """Note one tick.

        Args:
            now: Time in [s].
            speed: Commanded linear speed in [m/s], 0 when nothing is sent.
            position: Measured tool position, shape (3,), in [m].
        """
        self._past.append((now, speed, np.array(position)))
        while now - self._past[0][0] > self._config.time:
            self._past.popleft()
        if self.verdict() != "not_moving":
            self._resting_since = None
        elif self._resting_since is None:
            self._resting_since = self._past[0][0]

    def ignored(self, now: float) -> float:
        """Return for how long the arm has ignored commands, in [s]; 0 when that is allowed."""
        time = now - self._resting_since if self._resting_since is not None else 0.0
        return time if time > self._config.limit else 0.0

    def verdict(self) -> str:
        """Return ``not_moving``, ``moving_uncommanded`` or an empty text.

        Only a full window counts in which the command was always, or never, meant to move.
        """
        if not self._past or self._span() < 0.9 * self._config.time:
            return ""
        speeds = [speed for _, speed, _ in self._past]
        always, never = min(speeds) > self._config.commanded_speed, max(speeds) == 0.0
        if not (always or never):
            return ""
        places = np.array([position for _, _, position in self._past])  # (ticks, 3)
        moved = float(np.linalg.norm(places - places[0], axis=1).max())
        if always and moved < self._config.moved:
            return "not_moving"
        return "moving_uncommanded" if never and moved > 2.0 * self._config.moved else ""

    def _span(self) -> float:
        return self._past[-1][0] - self._past[0][0]
