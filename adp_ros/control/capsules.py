"""Distances of the whole arm to table, walls, boxes and itself, and how much they slow it down.

The arm is a set of capsules (:mod:`adp_ros.robots.shape`) with the fingers at their opening and,
if there is one, a held object. Every distance comes with its gradient over the joints, so that the
approach speed of any motion is known: the arm is slowed so far that it can still brake.
"""

from dataclasses import dataclass
from math import pi, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from ..geometry import cross, length
from ..robots.kinematics import JOINTS, ArmModel, Chain
from ..robots.shape import ArmShape, FingerShape
from ..settings import check_settings, setting
from ..types import FloatArray

_WALL, _BOX = 4, 6  # numbers of one wall, one box
_MOVING: Final = 2  # lower frames can't come nearer to anything that stands around
_STILL: Final = 1e-4  # [m/s] of approach that is none
HELD: Final = "held object"


@dataclass(frozen=True, slots=True, kw_only=True)
class GeometryConfig:
    """What stands around the arm, what it holds, how it brakes."""

    walls: tuple[float, ...] = setting(
        (),
        "Walls, four numbers each: x, y, z of the direction out of the wall, and its distance from "
        "the base along it; allowed is what lies beyond. [0.0, -1.0, 0.0, -0.3]: y at most 0.3.",
    )
    boxes: tuple[float, ...] = setting(
        (),
        "Boxes such as the mount, six numbers each: lowest x, y, z, then highest.",
        unit="m",
        low=-10.0,
        high=10.0,
    )
    held_length: float = setting(
        0.0, "How far the held object reaches beyond the tool frame.", unit="m", low=0.0, high=0.5
    )
    held_radius: float = setting(
        0.0, "Radius of the held object; 0: nothing is held.", unit="m", low=0.0, high=0.3
    )
    margin: float = setting(0.005, "Distance that counts as contact.", unit="m", low=0.0, high=0.2)
    touch: float = setting(
        0.02,
        "How far the capsules of fingers and held object may reach into the table, which they are "
        "meant to touch; capsules are thicker than fingers.",
        unit="m",
        low=0.0,
        high=0.1,
    )
    deceleration: float = setting(
        0.64, "How the driver brakes a point of the arm.", unit="m/s^2", low=0.05, high=10.0
    )
    driver_latency: float = setting(
        0.05,
        "Age of the joint angles and time until the driver begins to brake, together.",
        unit="s",
        low=0.0,
        high=1.0,
    )

    def __post_init__(self) -> None:
        check_settings(self, "geometry.")
        for name, values, size in (("walls", self.walls, _WALL), ("boxes", self.boxes, _BOX)):
            if len(values) % size:
                raise ConfigError(
                    f"geometry.{name} has {len(values)} numbers, {size} for each are needed"
                )
        for i in range(len(self.walls) // _WALL):
            if not np.linalg.norm(self.walls[_WALL * i : _WALL * i + 3]) > 0.0:
                raise ConfigError(f"geometry.walls: direction of wall {i + 1} is 0, 0, 0")
        for i in range(len(self.boxes) // _BOX):
            box = self.boxes[_BOX * i : _BOX * (i + 1)]
            if not all(low < high for low, high in zip(box[:3], box[3:], strict=True)):
                raise ConfigError(
                    f"geometry.boxes: box {i + 1} is {box}, the lowest corner comes first"
                )


@dataclass(frozen=True, slots=True)
class Clearances:
    """Distances between parts of the arm and what they could touch.

    Attributes:
        distance: Negative inside of each other, shape (k,), in [m].
        gradient: Change of the distance per joint angle, shape (k, 6), in [m/rad].
        pairs: Indices of the two names of each, shape (k, 2).
        names: What the indices stand for.
    """

    distance: FloatArray
    gradient: FloatArray
    pairs: NDArray[np.int64]
    names: tuple[str, ...]

    def words(self, index: int) -> str:
        """Say which two bodies a distance is between, and how far they are apart."""
        first, second = self.pairs[index]
        away = 1e3 * self.distance[index]
        return f"{self.names[first]} {away:.0f} mm from {self.names[second]}"


@dataclass(frozen=True, slots=True)
class Slowdown:
    """What the distances allow.

    Attributes:
        factor: Share of the speed, 0 to 1.
        cause: What is in the way, empty when nothing is.
    """

    factor: float
    cause: str


_FREE: Final = Slowdown(1.0, "")


class ArmGeometry:
    """Computes the clearances of one arm among what stands around it."""

    def __init__(
        self, model: ArmModel, shape: ArmShape, config: GeometryConfig, table_height: float = 0.0
    ) -> None:
        """Prepare the arrays.

        Args:
            model: Kinematics of the arm.
            shape: Its capsules.
            config: What stands around it.
            table_height: Height of the table's top in the base frame, in [m].
        """
        self._model, self._shape, self.config = model, shape, config
        names = [capsule.name for capsule in shape.links]
        frames = [capsule.frame for capsule in shape.links]
        radii = [capsule.radius for capsule in shape.links]
        ends = [np.array([capsule.start, capsule.end]) for capsule in shape.links]
        self._fingers = slice(len(ends), len(ends) + len(shape.fingers))
        names += [finger.name for finger in shape.fingers]
        radii += [finger.radius for finger in shape.fingers]
        ends += [finger.ends(0.0) for finger in shape.fingers]
        self._hinge = np.array([_hinge(finger) for finger in shape.fingers])  # (n, 3, 2, 3)
        frames += [JOINTS] * len(shape.fingers)
        if config.held_radius > 0.0:
            names.append(HELD)
            radii.append(config.held_radius)
            frames.append(JOINTS)
            tip = model.rotation[-1] @ np.array([0.0, 0.0, config.held_length])
            ends.append(np.stack([model.offset[-1], model.offset[-1] + tip]))
        self._frame, self._radius = np.array(frames), np.array(radii)
        self._local = np.array(ends)  # (n, 2, 3)
        walls = np.array(config.walls).reshape(-1, _WALL)
        lengths = np.linalg.norm(walls[:, :3], axis=1, keepdims=True)
        table = np.array([[0.0, 0.0, 1.0, table_height]])
        self._planes = np.concatenate([table, walls / lengths])  # (m, 4)
        self._boxes = np.array(config.boxes).reshape(-1, 2, 3)
        around = ["table", *(f"wall {i + 1}" for i in range(len(walls)))]
        around += [f"box {i + 1}" for i in range(len(self._boxes))]
        self.names = (*names, *around)
        movers = np.flatnonzero(self._frame >= _MOVING)
        self._at_planes = _each(movers, len(self._planes))
        self._at_boxes = _each(movers, len(self._boxes))
        index = {name: i for i, name in enumerate(names)}
        pairs = [(index[a], index[b]) for a, b in shape.apart]
        if config.held_radius > 0.0:
            hand = {name for name, frame in zip(names, frames, strict=True) if frame >= JOINTS - 2}
            pairs += [(index[HELD], index[name]) for name in names if name not in hand]
        self._own = np.array(pairs, dtype=int).reshape(-1, 2)
        self._belongs = np.arange(JOINTS) < self._frame[:, None]  # joints that move each capsule
        self._closed = np.array([finger.closed for finger in shape.fingers])
        # Pairs are in the order of planes, boxes, the arm itself.
        capsule, plane = self._at_planes
        at_table = np.flatnonzero((plane == 0) & (self._frame[capsule] >= JOINTS))
        count = len(capsule) + len(self._at_boxes[0]) + len(self._own)
        self._contact = np.full(count, config.margin)
        self._contact[at_table[capsule[at_table] >= self._fingers.start]] = -config.touch
        self._at_table = at_table
        self._bounds: tuple[Clearances, float, float] | None = None  # of the latest clearances

    @property
    def at_table(self) -> NDArray[np.int64]:
        """Indices of the distances between the table and hand, fingers and held object."""
        return self._at_table

    def angles(self, opening: float) -> FloatArray:
        """Return the fingers' angles, shape (fingers,), in [rad].

        Args:
            opening: Of the hand, 0 closed to 1 open.
        """
        return np.asarray((1.0 - opening) * self._closed)

    def overlap(self, clearances: Clearances) -> float:
        """Return by how much distances fall below what counts as contact, added up, in [m]."""
        return float(np.maximum(self._contact - clearances.distance, 0.0).sum())

    def clearances(self, chain: Chain, fingers: FloatArray | None = None) -> Clearances:
        """Return all distances in a posture.

        Args:
            chain: Frames of the arm.
            fingers: Angles of the fingers' first joints, shape (fingers,), in [rad]; None: open.
        """
        ends = self._ends(chain, fingers)
        parts = [self._to_planes(ends), self._to_boxes(ends), self._to_itself(ends)]
        first, second, distance, normal, at, other = map(np.concatenate, zip(*parts, strict=True))
        own = slice(len(first) - len(self._own), None)  # the other end moves as well
        moving = np.concatenate([first, second[own]])
        points = np.concatenate([at, other[own]])
        speeds = self._velocity(chain, moving, points, np.concatenate([normal, -normal[own]]))
        gradient = speeds[: len(first)]
        gradient[own] += speeds[len(first) :]
        return Clearances(distance, gradient, np.stack([first, second], axis=1), self.names)

    def slowdown(
        self, clearances: Clearances, rates: FloatArray, period: float, brakes: float = 1.0
    ) -> Slowdown:
        """Say how fast the arm may move so that it can brake before it touches anything.

        Args:
            clearances: Distances in the present posture.
            rates: Joint speeds that are about to be commanded, shape (6,), in [rad/s].
            period: Time until the next decision, in [s].
            brakes: Share of the deceleration that is made use of.

        Returns:
            A factor on these speeds: 1 when nothing is near or the arm moves away, 0 at contact.
        """
        config = self.config
        if self._is_far(clearances, length(rates), period, brakes):
            return _FREE
        approach = -clearances.gradient @ rates  # (k,), [m/s]
        free = np.maximum(clearances.distance - self._contact, 0.0)
        deceleration = brakes * config.deceleration
        lag = deceleration * (config.driver_latency + period)
        allowed = np.sqrt(lag * lag + 2.0 * deceleration * free) - lag
        share = np.where(approach > _STILL, allowed / np.maximum(approach, _STILL), np.inf)
        tightest = int(np.argmin(share))
        if share[tightest] >= 1.0:
            return _FREE
        return Slowdown(float(share[tightest]), clearances.words(tightest))

    def _is_far(self, clearances: Clearances, speed: float, period: float, brakes: float) -> bool:
        """Tell whether joints of a speed together can't bring anything near too fast."""
        if self._bounds is None or self._bounds[0] is not clearances:
            free = float((clearances.distance - self._contact).min())
            steepest = sqrt(float(_dot(clearances.gradient, clearances.gradient).max()))
            self._bounds = clearances, free, steepest
        _, free, steepest = self._bounds
        return steepest * speed <= allowed_speed(free, self.config, period, brakes)

    def check_posture(self, joints: FloatArray, what: str) -> None:
        """Refuse surroundings that a posture touches.

        Args:
            joints: Joint angles, shape (6,), in [rad].
            what: Name of the posture, for the message.

        Raises:
            ConfigError: Names what is in the way, and of what.
        """
        found = self.clearances(Chain.at(self._model, joints))
        nearest = int(np.argmin(found.distance - self._contact))
        if found.distance[nearest] <= self._contact[nearest]:
            raise ConfigError(
                f"geometry: {what} is in contact: {found.words(nearest)}, "
                f"more than {1e3 * self._contact[nearest]:g} mm are needed"
            )

    def _ends(self, chain: Chain, fingers: FloatArray | None) -> FloatArray:
        """Return both ends of each capsule in the base frame, shape (n, 2, 3)."""
        local = self._local
        if fingers is not None and len(self._hinge):
            local = local.copy()
            middle, cosine, sine = self._hinge.transpose(1, 0, 2, 3)  # (fingers, 2, 3) each
            angle = np.asarray(fingers)[:, None, None]
            local[self._fingers] = middle + np.cos(angle) * cosine + np.sin(angle) * sine
        rotation = np.concatenate([np.eye(3)[None], chain.rotation[:JOINTS]])
        origin = np.concatenate([np.zeros((1, 3)), chain.origin[:JOINTS]])
        turned = local @ rotation[self._frame].transpose(0, 2, 1)  # (n, 2, 3)
        return np.asarray(turned + origin[self._frame][:, None])

    def _velocity(
        self, chain: Chain, capsule: NDArray[np.int64], at: FloatArray, normal: FloatArray
    ) -> FloatArray:
        """Return the speed of points of capsules along normals, per joint speed, shape (k, 6)."""
        axes, origins = chain.axes, chain.origin[:JOINTS]
        moment = cross(at, normal) @ axes.T - normal @ cross(axes, origins).T
        return np.where(self._belongs[capsule], moment, 0.0)

    def _to_planes(self, ends: FloatArray) -> "_Parts":
        """Distances to table and walls; the lower end of each capsule counts."""
        first, plane = self._at_planes
        normal = self._planes[plane, :3]
        heights = np.einsum("kei,ki->ke", ends[first], normal) - self._planes[plane, 3:]
        lower = (heights[:, 1] < heights[:, 0]).astype(int)
        distance = heights.min(axis=1) - self._radius[first]
        at = ends[first, lower]
        return first, len(self._frame) + plane, distance, normal, at, at

    def _to_boxes(self, ends: FloatArray) -> "_Parts":
        """Distances to boxes, exact along each capsule's line."""
        first, box = self._at_boxes
        number = len(self._frame) + len(self._planes) + box
        if not len(box):
            return first, number, np.zeros(0), np.zeros((0, 3)), np.zeros((0, 3)), np.zeros((0, 3))
        low, high = self._boxes[box, 0], self._boxes[box, 1]  # (k, 3)
        start, way = ends[first, 0], ends[first, 1] - ends[first, 0]
        at = start + _nearest_share(start, way, low, high)[:, None] * way
        gap = at - np.clip(at, low, high)
        apart = np.sqrt(_dot(gap, gap))
        inside = apart < 1e-9
        gap[inside] = (at - 0.5 * (low + high))[inside] + 1e-9
        normal = gap / np.where(inside, np.sqrt(_dot(gap, gap)), apart)[:, None]
        return first, number, apart - self._radius[first], normal, at, at

    def _to_itself(self, ends: FloatArray) -> "_Parts":
        """Distances between parts of the arm."""
        first, second = self._own.T
        at, other = closest_points(ends[first], ends[second])
        gap = at - other
        apart = np.sqrt(_dot(gap, gap))
        normal = gap / np.maximum(apart, 1e-9)[:, None]
        distance = apart - self._radius[first] - self._radius[second]
        return first, second, distance, normal, at, other


def _each(movers: "_Indices", count: int) -> tuple["_Indices", "_Indices"]:
    """Return every pair of a moving capsule and one of so many things around."""
    return np.repeat(movers, count), np.tile(np.arange(count), len(movers))


def _hinge(finger: FingerShape) -> FloatArray:
    """Return what an angle's ends are made of: middle + cos * second + sin * third, (3, 2, 3)."""
    open_, across, back = (finger.ends(angle) for angle in (0.0, 0.5 * pi, pi))
    middle = 0.5 * (open_ + back)
    return np.stack([middle, open_ - middle, across - middle])


_Indices = NDArray[np.int64]
_Parts = tuple[_Indices, _Indices, FloatArray, FloatArray, FloatArray, FloatArray]
"""Capsules, what they are near to, distance, normal to the capsule, both points."""


def closest_points(one: FloatArray, two: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the closest points of pairs of lines with two ends.

    Args:
        one: Ends of the first lines, shape (k, 2, 3), in [m].
        two: Ends of the second lines, shape (k, 2, 3), in [m].

    Returns:
        Points on the first and on the second lines, shape (k, 3) each, in [m].
    """
    d1, d2 = one[:, 1] - one[:, 0], two[:, 1] - two[:, 0]
    r = one[:, 0] - two[:, 0]
    a, e = np.maximum(_dot(d1, d1), 1e-12), np.maximum(_dot(d2, d2), 1e-12)
    b, c, f = _dot(d1, d2), _dot(d1, r), _dot(d2, r)
    across = a * e - b * b
    s = np.clip(np.where(across > 1e-12, (b * f - c * e) / np.maximum(across, 1e-12), 0.0), 0, 1)
    t = (b * s + f) / e
    beyond = (t < 0.0) | (t > 1.0)
    t = np.clip(t, 0.0, 1.0)
    s = np.where(beyond, np.clip((b * t - c) / a, 0.0, 1.0), s)
    return one[:, 0] + s[:, None] * d1, two[:, 0] + t[:, None] * d2


def _dot(one: FloatArray, two: FloatArray) -> FloatArray:
    return np.asarray(np.einsum("ij,ij->i", one, two))


def _nearest_share(
    start: FloatArray, way: FloatArray, low: FloatArray, high: FloatArray
) -> FloatArray:
    """Return where along lines they are nearest to boxes, 0 to 1, shape (k,).

    The squared distance is convex and quadratic between the crossings of the boxes' six planes:
    its slope is evaluated there, and is linear between the two where it changes sign.
    """
    safe = np.where(np.abs(way) < 1e-12, 1e-12, way)
    crossings = np.concatenate([(low - start) / safe, (high - start) / safe], axis=1)
    zero, one = np.zeros((len(way), 1)), np.ones((len(way), 1))
    share = np.sort(np.concatenate([zero, np.clip(crossings, 0.0, 1.0), one], axis=1), axis=1)
    points = start[:, None] + share[:, :, None] * way[:, None]  # (k, 8, 3)
    gap = points - np.clip(points, low[:, None], high[:, None])
    slope = np.einsum("kpi,ki->kp", gap, way)
    last = np.clip((slope < 0.0).sum(axis=1) - 1, 0, share.shape[1] - 2)
    rows = np.arange(len(way))
    s0, s1 = slope[rows, last], slope[rows, last + 1]
    t0, t1 = share[rows, last], share[rows, last + 1]
    part = np.where(s1 - s0 > 1e-15, -s0 / np.maximum(s1 - s0, 1e-15), 0.0)
    return np.asarray(t0 + np.clip(part, 0.0, 1.0) * (t1 - t0))


def braking_distance(speed: float, config: GeometryConfig, period: float) -> float:
    """Return the way that a point goes on after a decision to stop, in [m].

    Args:
        speed: In [m/s].
        config: How it brakes.
        period: Time between two decisions, in [s].
    """
    return speed * (config.driver_latency + period) + speed**2 / (2.0 * config.deceleration)


def allowed_speed(
    distance: float, config: GeometryConfig, period: float, brakes: float = 1.0
) -> float:
    """Return the speed from which a point still stops within a distance, in [m/s].

    Args:
        distance: In [m].
        config: How it brakes.
        period: Time between two decisions, in [s].
        brakes: Share of the deceleration that is made use of.
    """
    deceleration = brakes * config.deceleration
    lag = deceleration * (config.driver_latency + period)
    return sqrt(lag * lag + 2.0 * deceleration * max(distance, 0.0)) - lag
