"""The way home: looked for in joint space, checked before the arm moves, driven by our stream."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from ..errors import SafetyError
from ..geometry import length
from ..robots.kinematics import ArmModel, Chain, way_home
from ..settings import check_settings, setting
from ..types import FloatArray
from .envelope import Envelope
from .place import Place
from .velocity import scaled_to


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeConfig:
    """Who brings the arm home, and how fast."""

    mover: str = setting(
        "controller",
        "controller: our own stream, along a way that was checked, under all limits and stops; "
        "driver: the driver's home_arm, whose way nobody checks and which no stop interrupts.",
        choices=("controller", "driver"),
    )
    speed: float = setting(0.08, "Tool speed on the way home.", unit="m/s", low=0.02, high=0.15)

    def __post_init__(self) -> None:
        check_settings(self, "home.")


_STEP: Final = 0.05  # [rad] of the fastest joint from one checked posture to the next
_LIFTS: Final = (0.1, 0.2, 0.3)  # [m]
_LIFT_STEP: Final = 0.005  # [m]
_REACH: Final = 0.3  # [rad] of one branch of the search
_BRANCHES: Final = 3000  # until the search gives up
_SHORTCUTS: Final = 60
_DEEPER: Final = 0.01  # [m] or [rad] outside of the envelope that an arm off its way explains


def plan_home(
    model: ArmModel, envelope: Envelope, joints: FloatArray, opening: float | None = None
) -> FloatArray:
    """Find a way home that stays inside the envelope.

    Tried in turn: straight there in joint space; the same after the tool was lifted; a search with
    two trees of postures that grow towards each other (RRT-Connect, Kuffner and LaValle 2000), the
    same every time. A way may begin outside of the envelope when it leads inside without going
    out further.

    Args:
        model: The arm.
        envelope: Where it may be.
        joints: Where it is, shape (6,), in [rad].
        opening: Of the hand, 0 closed to 1 open; None: open.

    Returns:
        Postures, shape (n, 6), in [rad]; the first is where the arm is.

    Raises:
        SafetyError: There is none.
    """
    checker = _Checker(model, envelope, opening)
    for way in _simple_ways(model, joints):
        if checker.leads_inside(way):
            return way
    found = _search(checker, joints, joints + way_home(model, joints))
    if found is None:
        raise SafetyError(
            "home refused: no way home inside the envelope was found, move the arm by joystick"
        )
    return found


class _Checker:
    def __init__(self, model: ArmModel, envelope: Envelope, opening: float | None) -> None:
        self.model = model
        self._envelope = envelope
        self._opening = opening

    def depth(self, joints: FloatArray) -> float:
        """Return how far a posture is outside of the envelope, 0 inside."""
        chain = Chain.at(self.model, joints)
        return self._envelope.depth(joints, chain, self._envelope.near(chain, self._opening))

    def leads_inside(self, way: FloatArray) -> bool:
        """Tell whether a way never goes out, or further out than it began."""
        before = np.inf
        for joints in way:
            depth = self.depth(joints)
            if depth > before + 1e-6:
                return False
            before = depth
        return before == 0.0


def _simple_ways(model: ArmModel, joints: FloatArray) -> Iterator[FloatArray]:
    yield _straight(joints, joints + way_home(model, joints))
    for lift in _LIFTS:
        up = _lifted(model, joints, lift)
        yield np.concatenate([up, _straight(up[-1], up[-1] + way_home(model, up[-1]))])


def _straight(start: FloatArray, end: FloatArray) -> FloatArray:
    """Return postures on a straight line in joint space, shape (n, 6)."""
    count = max(1, int(np.ceil(np.max(np.abs(end - start)) / _STEP)))
    return np.asarray(start + (end - start) * (np.arange(count + 1) / count)[:, None])


def _lifted(model: ArmModel, joints: FloatArray, lift: float) -> FloatArray:
    """Return postures that raise the tool by a way in [m], shape (n, 6)."""
    postures, up = [joints], np.array([0.0, 0.0, _LIFT_STEP, 0.0, 0.0, 0.0])
    for _ in range(round(lift / _LIFT_STEP)):
        jacobian = Chain.at(model, postures[-1]).jacobian()
        damped = jacobian @ jacobian.T + 1e-4 * np.eye(6)
        postures.append(postures[-1] + jacobian.T @ np.linalg.solve(damped, up))
    return np.array(postures)


class _Tree:
    def __init__(self, checker: _Checker, root: FloatArray) -> None:
        self._checker = checker
        self.postures = [root]
        self._parents = [-1]
        self._depths = [checker.depth(root)]

    def grow(self, target: FloatArray) -> bool:
        """Grow from the nearest posture towards a target, as far as it is free; True: reached."""
        nearest = int(np.argmin(np.linalg.norm(np.array(self.postures) - target, axis=1)))
        while True:
            here = self.postures[nearest]
            far = float(np.max(np.abs(target - here)))
            if far < 1e-9:
                return True
            there = here + (target - here) * min(1.0, _REACH / far)
            depth = self._depths[nearest]
            for joints in _straight(here, there)[1:]:
                deeper = self._checker.depth(joints)
                if deeper > depth:
                    return False
                depth = deeper
            self.postures.append(there)
            self._parents.append(nearest)
            self._depths.append(depth)
            nearest = len(self.postures) - 1

    def branch(self) -> list[FloatArray]:
        """Return the postures from the newest to the root."""
        number, found = len(self.postures) - 1, []
        while number >= 0:
            found.append(self.postures[number])
            number = self._parents[number]
        return found


def _search(checker: _Checker, start: FloatArray, home: FloatArray) -> FloatArray | None:
    model, rng = checker.model, np.random.default_rng(0)
    if checker.depth(home) > 0.0:
        return None
    low = np.where(np.isinf(model.lower), np.minimum(start, home) - 2.0, model.lower)
    high = np.where(np.isinf(model.upper), np.maximum(start, home) + 2.0, model.upper)
    here, there = _Tree(checker, start), _Tree(checker, home)
    first = here
    while len(here.postures) + len(there.postures) < _BRANCHES:
        here.grow(rng.uniform(low, high))
        if there.grow(here.postures[-1]):
            ends = (here, there) if here is first else (there, here)
            return _shortened(checker, [*ends[0].branch()[::-1], *ends[1].branch()[1:]], rng)
        here, there = there, here
    return None


def _shortened(
    checker: _Checker, corners: list[FloatArray], rng: np.random.Generator
) -> FloatArray:
    """Cut corners where that is free; return the postures of the way, shape (n, 6)."""
    for _ in range(_SHORTCUTS):
        if len(corners) < 3:
            break
        first, last = sorted(rng.choice(len(corners), 2, replace=False))
        if last - first > 1 and checker.leads_inside(_straight(corners[first], corners[last])):
            corners = corners[: first + 1] + corners[last:]
    parts = [_straight(a, b)[1:] for a, b in zip(corners[:-1], corners[1:], strict=True)]
    return np.concatenate([corners[0][None], *parts])


_GAIN: Final = 3.0  # [1/s] of joint angles towards the way
_AHEAD: Final = 0.15  # [rad] that the way may run ahead of the joints
_TURN: Final = 0.5  # [rad/s] of the tool
_ACCELERATION: Final = 0.7  # [rad/s^2] of all joints together
_SPEED_SHARE: Final = 0.5  # of the joints' top speeds
_ARRIVED: Final = 0.02  # [rad]
_SLOW: Final = 0.02  # [rad/s] of all joints together
_SLACK: Final = 10.0  # [s] longer than planned that a way may take


class Homing:
    """Follows a way home, joint by joint. Times are in [s].

    Args:
        config: How fast.
        envelope: Where the arm may be.
        model: The arm.
    """

    def __init__(self, config: HomeConfig, envelope: Envelope, model: ArmModel) -> None:
        self._config = config
        self._envelope = envelope
        self._top = _SPEED_SHARE * model.max_joint_speed
        self._way: FloatArray = np.zeros((1, 6))
        self._at = 0.0  # number of the posture reached, with fraction
        self._speeds: FloatArray = np.zeros(6)
        self._until = 0.0
        self._depth = 0.0
        self.done = False

    def begin(self, way: FloatArray, now: float) -> None:
        """Start along a way, shape (n, 6), in [rad]."""
        self._way, self._at, self.done = way, 0.0, False
        self._speeds, self._depth = np.zeros(6), np.inf
        turn = float(np.abs(np.diff(way, axis=0)).max(axis=1, initial=0.0).sum())
        self._until = now + 2.0 * turn / self._config.speed + _SLACK  # a lever of 1 m at most

    def problem(self, now: float, place: Place) -> str:
        """Say why the way home must end, empty when it need not."""
        if now > self._until:
            return "the way home takes too long"
        depth = self._envelope.depth(place.joints, place.chain, place.clearances)
        if depth > self._depth + _DEEPER:
            border = self._envelope.outside(place, joint_motion=True)
            return f"the way home left the envelope by {depth:.3f} ({border})"
        self._depth = min(self._depth, depth)
        return ""

    def speeds(
        self, joints: FloatArray, jacobian: FloatArray, period: float, share: float
    ) -> FloatArray:
        """Return the joint speeds of this tick; ``done`` when the arm is home.

        Args:
            joints: Measured, shape (6,), in [rad].
            jacobian: Tool velocity per joint speed, shape (6, 6).
            period: Time since the last tick in [s].
            share: Of the speed that is allowed now.

        Returns:
            Shape (6,), in [rad/s].
        """
        last = len(self._way) - 1
        before, after = min(int(self._at), last), min(int(self._at) + 1, last)
        direction = self._way[after] - self._way[before]
        gap = self._way[before] + (self._at - before) * direction - joints
        pace = share / self._slowest(direction, jacobian) if np.abs(gap).max() < _AHEAD else 0.0
        wanted = direction * pace + _GAIN * gap
        wanted = wanted * (share / max(share, self._slowest(wanted, jacobian)))
        self._speeds = self._speeds + scaled_to(wanted - self._speeds, _ACCELERATION * period)
        self._at = min(float(last), self._at + pace * period)
        near = np.abs(self._way[-1] - joints).max() < _ARRIVED
        self.done = self._at >= last and bool(near) and length(self._speeds) < _SLOW
        return self._speeds

    def _slowest(self, speeds: FloatArray, jacobian: FloatArray) -> float:
        """Return by how much joint speeds exceed what is allowed: 1 at the limit."""
        twist = jacobian @ speeds
        rates = (
            length(twist[:3]) / self._config.speed,
            length(twist[3:]) / _TURN,
            float(np.max(np.abs(speeds) / self._top)),
        )
        return max(*rates, 1e-9)
