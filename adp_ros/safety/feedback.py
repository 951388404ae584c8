"""Torque, pose and joints of the arm: the newest samples, and whether they can be trusted."""

from typing import Final

import numpy as np

from ..geometry import length
from ..types import FloatArray, Pose, Twist
from .config import FeedConfig, WatchConfig
from .feed import Fault, FeedMonitor

_TURNING: Final = 0.1  # [rad/s] of commanded turning from which motion is expected


class Feedback:
    """All sources of samples of one arm. Times are in [s] on one clock."""

    def __init__(self, config: FeedConfig, watch: WatchConfig) -> None:
        self._config = config
        self._expected_speed = watch.commanded_speed
        self.torque = FeedMonitor("torque", config)
        self.tool = FeedMonitor("pose", config)
        self.joint_sources: dict[str, FeedMonitor] = {}
        self.pose: Pose | None = None
        self.pose_at = 0.0
        self.joints: FloatArray | None = None
        self._commanded_since: float | None = None

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

    def ages(self, now: float) -> dict[str, float]:
        """Return source -> age of its newest sample in [s], infinite when there is none."""
        ages = {"torque": self.torque.age(now), "pose": self.tool.age(now)}
        return ages | {name: feed.age(now) for name, feed in self.joint_sources.items()}

    def fault(self, now: float, commanded: Twist | None, *, moving: bool) -> Fault | None:
        """Return what is wrong, None when all is well; call once per tick.

        Args:
            now: Time in [s].
            commanded: Velocity that the arm was last told, None when nothing reaches it.
            moving: True while the policy moves the arm.
        """
        faults = [fault for feed in self._feeds() if (fault := feed.poll(now)) is not None]
        if not self.joint_sources:
            faults.append(Fault("joints_missing", "joints has not been received"))
        return faults[0] if faults else self._frozen(now, commanded, moving=moving)

    def _feeds(self) -> list[FeedMonitor]:
        return [self.torque, self.tool, *self.joint_sources.values()]

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
        places = self._feeds()[1:]
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
