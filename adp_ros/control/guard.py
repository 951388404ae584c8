"""Samples against each other and against what was commanded, and the person's enabling device.

The monitors of :mod:`.feeds` judge each source alone. Here two sources that should tell the same
are compared, and the measured motion with the commanded one: a pose that belongs to another arm, a
second commander, angular velocities in the wrong frame, sources that froze together.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np

from ..geometry import length, rotvec_from_rotation
from ..robots.kinematics import ArmModel, Chain
from ..settings import check_settings, setting
from ..types import FloatArray, JointsSample, Pose, PoseSample, Twist
from .feeds import Fault, FeedMonitor


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardConfig:
    """When samples, commands and people are said not to agree."""

    tick_gap: float = setting(
        0.25,
        "Time from one tick to the next, sleep of the machine counted, that stops a moving arm.",
        unit="s",
        low=0.05,
        high=2.0,
    )
    tool_position: float = setting(
        0.02,
        "Largest distance between tool_pose and the tool that the joint angles lead to.",
        unit="m",
        low=0.002,
        high=0.2,
    )
    tool_angle: float = setting(
        0.1, "Largest angle between the two.", unit="rad", low=0.01, high=1.0
    )
    joint_sources: float = setting(
        0.1,
        "Largest difference between joint_angles and joint_state.",
        unit="rad",
        low=0.01,
        high=1.0,
    )
    linear: float = setting(
        0.05,
        "Largest difference between commanded and measured linear velocity.",
        unit="m/s",
        low=0.01,
        high=0.5,
    )
    angular: float = setting(
        0.15,
        "Largest difference between commanded and measured angular velocity.",
        unit="rad/s",
        low=0.02,
        high=2.0,
    )
    time: float = setting(0.3, "Time over which the two are compared.", unit="s", low=0.1, high=2.0)
    blind_path: float = setting(
        0.01,
        "Commanded way over which not one number of pose and joints has changed: they are frozen "
        "together. A turn counts by a lever of 0.1 m.",
        unit="m",
        low=0.002,
        high=0.1,
    )
    enable: str = setting(
        "optional",
        "Whether a held enabling device (/adp/enable) is needed to move; an optional one is "
        "watched while it is held.",
        choices=("optional", "required"),
    )
    enable_time: float = setting(
        0.25,
        "Time without a message of the held enabling device that stops the arm.",
        unit="s",
        low=0.12,
        high=2.0,
    )

    def __post_init__(self) -> None:
        check_settings(self, "guard.")


_APART: Final = 3  # samples in a row that disagree; two topics are read one after the other
_JUMP: Final = 0.03  # [m]
_JUMP_SPEED: Final = 0.3  # [m/s]; the arm's own cap is 0.2
_TURN_JUMP: Final = 0.2  # [rad]
_TURN_SPEED: Final = 1.6  # [rad/s]; the arm's own cap is 1.07
_JOINT_JUMP: Final = 0.1  # [rad]
_JOINT_MARGIN: Final = 1.5  # of the joints' top speed
_KEPT: Final = 0.8  # [s] of poses and commands
_MESSAGE: Final = 0.01  # [s] for which a driver follows one message at least
_DELAYS: Final = (0.0, 0.04, 0.08, 0.12, 0.16)  # [s] that a command may wait in a queue
_BLIND_SPEED: Final = 0.015  # [m/s] of command that the arm may not even try
_LEVER: Final = 0.1  # [m]
_BLIND_REPEATS: Final = 2
_STILL_TIME: Final = 0.15  # [s]
_STILL_SPEED: Final = 0.01  # [m/s]
_STILL_TURN: Final = 0.05  # [rad/s]
_STILL_FINGERS: Final = 0.1  # [1/s] of the opening


def wrapped(angles: FloatArray) -> FloatArray:
    """Return angles in [rad] as the nearest equal ones to zero, any shape."""
    return np.asarray(np.remainder(angles + np.pi, 2.0 * np.pi) - np.pi)


@dataclass(frozen=True, slots=True)
class _Told:
    """Way, shape (3,), in [m] and turn, shape (3,), in [rad] commanded up to a time in [s].

    ``least``: each message moves the arm for 10 ms; ``most``: until the next one. Between the two
    lies what a driver makes of messages that come late.
    """

    time: float
    least: tuple[FloatArray, FloatArray]
    most: tuple[FloatArray, FloatArray]


def _measured_at(sample: PoseSample | JointsSample) -> float:
    """Return when a sample was measured, in [s]: a busy machine hands it over late."""
    return sample.arrival - max(0.0, sample.delay)


def _distance(point: FloatArray, start: FloatArray, end: FloatArray) -> float:
    """Return the distance of a point from a line segment, all shape (3,)."""
    along = end - start
    share = float((point - start) @ along) / max(float(along @ along), 1e-12)
    return length(point - start - min(max(share, 0.0), 1.0) * along)


class Agreement:
    """Compares samples with each other and with commands. Times are in [s] on one clock.

    Args:
        config: Limits.
        model: The arm.
    """

    def __init__(self, config: GuardConfig, model: ArmModel) -> None:
        self._config = config
        self._model = model
        self._poses: deque[tuple[float, Pose]] = deque()
        self._openings: deque[tuple[float, float]] = deque()
        self._joints: dict[str, tuple[float, FloatArray]] = {}
        self._faults: deque[Fault] = deque(maxlen=8)
        self._tool_apart = self._sources_apart = self._twist_apart = 0
        self._apart: dict[str, Fault] = {}
        self.reset()

    def reset(self) -> None:
        """Forget commands and motion: from now on somebody else, or nobody, moves the arm."""
        self._told: deque[_Told] = deque()
        self._since: float | None = None
        self._blind = 0.0
        self._twist_apart = 0
        self._apart.pop("twist", None)

    def take_joints(self, sample: JointsSample) -> None:
        """Compare joint angles with the last ones, and with those of the other source."""
        if not np.isfinite(sample.joints).all():
            return
        last, at = self._joints.get(sample.source), _measured_at(sample)
        self._joints[sample.source] = at, sample.joints
        if last is not None:
            step = np.abs(wrapped(sample.joints - last[1]))
            speed = _JOINT_MARGIN * self._model.max_joint_speed
            over = step - _JOINT_JUMP - speed * max(0.0, at - last[0])
            if over.max() > 0.0:
                joint = int(np.argmax(over))
                text = f"{sample.source}: joint {joint + 1} jumped by {step[joint]:.2f} rad"
                self._faults.append(Fault("joints_jump", f"{text}, faster than the arm can"))
        others = [values for name, (_, values) in self._joints.items() if name != sample.source]
        if others:
            apart = np.abs(wrapped(sample.joints - others[0]))
            joint = int(np.argmax(apart))
            text = f"joint_angles and joint_state differ by {apart[joint]:.2f} rad at joint "
            limit = self._config.joint_sources
            self._sources_apart = self._count(
                "joints",
                self._sources_apart,
                bool(apart[joint] > limit),
                Fault("joints_disagree", f"{text}{joint + 1}, allowed: {limit:g} rad"),
            )

    def take_pose(self, sample: PoseSample, chain: Chain | None) -> None:
        """Compare the tool pose with the last one, and with where the joints lead.

        Args:
            sample: The pose.
            chain: Frames at the newest joint angles, None while there are none.
        """
        pose = sample.pose
        if not (np.isfinite(pose.position).all() and np.isfinite(pose.rotation).all()):
            return
        at = _measured_at(sample)
        if self._poses:
            before, last = self._poses[-1]
            at = max(before, at)
            self._judge_jump(pose, last, at - before)
        self._poses.append((at, pose))
        while at - self._poses[0][0] > _KEPT:
            self._poses.popleft()
        if chain is not None:
            self._judge_tool(pose, chain.tool)
        self._judge_twist(at)

    def take_opening(self, opening: float, arrival: float) -> None:
        """Note the measured opening of the hand, 0 closed to 1 open."""
        self._openings.append((arrival, opening))
        while arrival - self._openings[0][0] > _KEPT:
            self._openings.popleft()

    def told(self, now: float, twist: Twist, period: float, places: list[FeedMonitor]) -> None:
        """Note the velocity that was sent since the last tick, while our stream moves the arm.

        Args:
            now: Time in [s].
            twist: In the base frame.
            period: Time that it lasted, in [s].
            places: Monitors of pose and joints.
        """
        none = (np.zeros(3), np.zeros(3))
        last = self._told[-1] if self._told else _Told(now - period, none, none)
        self._since = now if self._since is None else self._since
        (least, least_turn), (most, most_turn) = last.least, last.most
        held = min(_MESSAGE, period)
        told = _Told(
            now,
            (least + twist.linear * held, least_turn + twist.angular * held),
            (most + twist.linear * period, most_turn + twist.angular * period),
        )
        self._told.append(told)
        while now - self._told[0].time > _KEPT + _DELAYS[-1]:
            self._told.popleft()
        speed = max(length(twist.linear), _LEVER * length(twist.angular))
        frozen = all(feed.repeats >= _BLIND_REPEATS for feed in places)
        if any(feed.repeats == 0 for feed in places):
            self._blind = 0.0
        elif speed > _BLIND_SPEED:
            self._blind += speed * period
        if frozen and self._blind > self._config.blind_path:
            text = f"pose and joints have not changed over {self._blind:.3f} m of commanded way"
            self._apart["blind"] = Fault("position_frozen", f"{text}: they are frozen together")
        else:
            self._apart.pop("blind", None)

    def fault(self) -> Fault | None:
        """Return what does not agree, None when all does; call once per tick."""
        if self._faults:
            return self._faults.popleft()
        return next(iter(self._apart.values()), None)

    def motion(self, now: float) -> str:
        """Say what moves, or that it is not known; empty when everything stands still."""
        poses = [(at, pose) for at, pose in self._poses if now - at <= 2.0 * _STILL_TIME]
        span = poses[-1][0] - poses[0][0] if poses else 0.0
        if span < 0.5 * _STILL_TIME or now - poses[-1][0] > _STILL_TIME:
            return "where the tool is, is not known"
        late = [entry for entry in poses if poses[-1][0] - entry[0] <= _STILL_TIME]
        (first, start), (last, end) = late[0], late[-1]
        span = max(last - first, 1e-3)
        speed = length(end.position - start.position) / span
        turn = length(rotvec_from_rotation(end.rotation @ start.rotation.T)) / span
        if speed > _STILL_SPEED or turn > _STILL_TURN:
            return f"the tool moves at {speed:.3f} m/s and {turn:.2f} rad/s"
        hand = [entry for entry in self._openings if now - entry[0] <= 2.0 * _STILL_TIME]
        if len(hand) > 1:
            span = max(hand[-1][0] - hand[0][0], 1e-3)
            if abs(hand[-1][1] - hand[0][1]) / span > _STILL_FINGERS:
                return "the fingers move"
        return ""

    def _count(self, name: str, count: int, apart: bool, fault: Fault) -> int:
        count = count + 1 if apart else 0
        if count >= _APART:
            self._apart[name] = fault
        else:
            self._apart.pop(name, None)
        return count

    def _judge_jump(self, pose: Pose, last: Pose, time: float) -> None:
        way = length(pose.position - last.position)
        turn = length(rotvec_from_rotation(pose.rotation @ last.rotation.T))
        if way > _JUMP + _JUMP_SPEED * time or turn > _TURN_JUMP + _TURN_SPEED * time:
            text = f"pose jumped by {way:.3f} m and {turn:.2f} rad, faster than the arm can"
            self._faults.append(Fault("pose_jump", text))

    def _judge_tool(self, pose: Pose, tool: Pose) -> None:
        config = self._config
        way = length(pose.position - tool.position)
        turn = length(rotvec_from_rotation(pose.rotation @ tool.rotation.T))
        text = f"tool_pose is {way:.3f} m and {turn:.2f} rad from where the joint angles lead"
        allowed = f"allowed: {config.tool_position:g} m, {config.tool_angle:g} rad"
        self._tool_apart = self._count(
            "tool",
            self._tool_apart,
            way > config.tool_position or turn > config.tool_angle,
            Fault("pose_disagrees", f"{text}, {allowed}"),
        )

    def _judge_twist(self, now: float) -> None:
        """Compare the way between the last poses with the way commanded a little earlier.

        Both on the time of measurement: late arrivals on a busy machine shift neither.
        """
        config = self._config
        if self._since is None or now - self._since < config.time:
            return
        window = [(at, pose) for at, pose in self._poses if now - at <= config.time + 1e-6]
        span = window[-1][0] - window[0][0]
        if span < 0.8 * config.time:
            return
        start, end = window[0][1], window[-1][1]
        moved = end.position - start.position
        turned = rotvec_from_rotation(end.rotation @ start.rotation.T)
        begin = window[0][0]
        apart_by = [self._apart_by(moved, turned, begin - d, now - d) for d in _DELAYS]
        linear = min(way for way, _ in apart_by) / span
        angular = min(turn for _, turn in apart_by) / span
        apart = linear > config.linear or angular > config.angular
        text = (
            f"measured and commanded motion differ by {linear:.3f} m/s and {angular:.2f} rad/s, "
            f"allowed: {config.linear:g} m/s, {config.angular:g} rad/s"
        )
        self._twist_apart = self._count(
            "twist", self._twist_apart, apart, Fault("motion_disagrees", text)
        )

    def _apart_by(
        self, moved: FloatArray, turned: FloatArray, begin: float, end: float
    ) -> tuple[float, float]:
        """Return how far way and turn are from what was commanded in a time."""
        first, last = self._at(begin), self._at(end)
        way, turn = (
            _distance(measured, last.least[i] - first.least[i], last.most[i] - first.most[i])
            for i, measured in enumerate((moved, turned))
        )
        return way, turn

    def _at(self, time: float) -> _Told:
        return next((t for t in reversed(self._told) if t.time <= time), self._told[0])


class EnablingDevice:
    """A button that a person holds while the arm may move. Times are in [s].

    Args:
        config: Whether it is needed, and how long its silence may last.
    """

    def __init__(self, config: GuardConfig) -> None:
        self._config = config
        self._held_at: float | None = None
        self._watched = False

    def take(self, arrival: float, *, held: bool) -> None:
        """Take a message of the device."""
        self._held_at = arrival if held else None
        self._watched = self._watched or held

    def begin(self, now: float) -> str:
        """Say why motion may not begin, empty when it may."""
        held = self._is_held(now)
        self._watched = held or self._config.enable == "required"
        return "" if held or not self._watched else "the enabling device is not held"

    def problem(self, now: float) -> str:
        """Say why motion must end, empty when it need not."""
        if not self._watched or self._is_held(now):
            return ""
        if self._held_at is None:
            return "the enabling device was released"
        age = now - self._held_at
        return f"the enabling device is silent for {age:.2f} s"

    def _is_held(self, now: float) -> bool:
        return self._held_at is not None and now - self._held_at <= self._config.enable_time
