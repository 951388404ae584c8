"""Where the arm may be, and the velocities that keep it there.

Towards a border the speed is at most gain * distance: the border is approached, never crossed.
What leads away from a border is free, so that the arm can always come back.
"""

from dataclasses import dataclass, replace
from math import hypot, sqrt
from typing import Final

import numpy as np

from ..errors import ConfigError
from ..robots.kinematics import ArmModel, Chain
from ..settings import check_settings, setting
from ..types import FloatArray, Pose, Twist
from .capsules import ArmGeometry, Clearances
from .place import FIRST_FREE_LINK, Place


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvelopeConfig:
    """Space, joint angles and postures that commands never leave."""

    workspace_low: tuple[float, ...] = setting(
        (-0.45, -0.75, 0.02),
        "Lower corner of the box that the tool stays in, base frame.",
        unit="m",
        low=-1.2,
        high=1.2,
        length=3,
    )
    workspace_high: tuple[float, ...] = setting(
        (0.45, -0.12, 0.80),
        "Upper corner of that box.",
        unit="m",
        low=-1.2,
        high=1.3,
        length=3,
    )
    base_radius: float = setting(
        0.16,
        "Distance from the base's axis that the tool keeps.",
        unit="m",
        low=0.0,
        high=0.5,
    )
    joint_margin: float = setting(
        0.1, "Distance that joints keep from their limits.", unit="rad", low=0.0, high=0.5
    )
    joint_speed_share: float = setting(
        0.9,
        "Share of the joints' top speeds (36 and 48 deg/s) that is used.",
        low=0.05,
        high=1.0,
    )
    singularity_slow: float = setting(
        60.0,
        "Condition number of the Jacobian from which motion towards a singularity slows.",
        low=5.0,
        high=1000.0,
    )
    singularity_stop: float = setting(
        150.0, "Condition number at which it ends.", low=6.0, high=2000.0
    )
    approach_gain: float = setting(
        4.0,
        "Speed towards a border per distance to it.",
        unit="1/s",
        low=0.5,
        high=10.0,
    )
    table_height: float = setting(
        0.0, "Height of the table in the base frame.", unit="m", low=-1.0, high=1.0
    )
    link_clearance: float = setting(
        0.06,
        "Height over the table that elbow and wrist keep.",
        unit="m",
        low=0.0,
        high=0.5,
    )
    tool_reach: float = setting(
        0.066,
        "How far fingers or sponge reach beyond the tool frame.",
        unit="m",
        low=0.0,
        high=0.5,
    )
    table_zone: float = setting(
        0.05,
        "Height over the table below which whatever of the hand is lowest comes down slowly.",
        unit="m",
        low=0.0,
        high=0.5,
    )
    table_speed: float = setting(
        0.05,
        "Speed at which it then comes down; the impact grows with it.",
        unit="m/s",
        low=0.005,
        high=0.2,
    )

    def __post_init__(self) -> None:
        check_settings(self, "envelope.")
        for axis, low, high in zip("xyz", self.workspace_low, self.workspace_high, strict=True):
            if low >= high:
                raise ConfigError(
                    f"envelope.workspace_low is {low:g} along {axis}, "
                    f"allowed: below envelope.workspace_high, {high:g}"
                )
        if self.singularity_slow >= self.singularity_stop:
            raise ConfigError(
                f"envelope.singularity_slow is {self.singularity_slow:g}, "
                f"allowed: below envelope.singularity_stop, {self.singularity_stop:g}"
            )

    @property
    def box(self) -> FloatArray:
        """Lower and upper corner, shape (2, 3), in [m]."""
        return np.array([self.workspace_low, self.workspace_high])


_DECISION: Final = 0.02  # [s] from one tick to the next at most
_GENTLE: Final = 0.5  # share of the deceleration with which the clock slows; limits use all
_LOOK_AHEAD: Final = 0.005  # [s] over which the trend of the condition number is judged
_TINY: Final = 1e-9
_UNCHANGED: Final = 1.0 - 1e-6


@dataclass(frozen=True, slots=True)
class Limited:
    """A velocity inside the envelope.

    Attributes:
        twist: The velocity.
        reasons: Limits that reduced it, such as ``workspace``; empty when none did.
        near: What the arm is about to touch, in words; empty when nothing.
    """

    twist: Twist
    reasons: tuple[str, ...]
    near: str = ""


class Envelope:
    """The envelope of one arm.

    Args:
        config: Its settings.
        model: The arm.
        deceleration: With which the arm slows before the table, in [m/s^2].
        geometry: The whole arm among what stands around it; None: only joints and tool count.

    Raises:
        ConfigError: When the envelope does not contain the arm's home pose, or something stands
            in it.
    """

    def __init__(
        self,
        config: EnvelopeConfig,
        model: ArmModel,
        deceleration: float,
        geometry: ArmGeometry | None = None,
    ) -> None:
        self._config = config
        self._model = model
        self._geometry = geometry
        self._latest: tuple[FloatArray, float | None, Place] | None = None
        self._deceleration = 0.5 * deceleration  # half is left for the path's own turns
        self._box = config.box
        self._lower = model.lower + config.joint_margin
        self._upper = model.upper - config.joint_margin
        self._check_home()
        if geometry is not None:
            geometry.check_posture(model.home, "home pose")

    def place(self, joints: FloatArray, pose: Pose, opening: float | None) -> Place:
        """Return a posture with its clearances; computed once for the same array of joints.

        Args:
            joints: Joint angles, shape (6,), in [rad].
            pose: Measured tool pose.
            opening: Of the hand, 0 closed to 1 open; None: open.
        """
        latest = self._latest
        if latest is not None and latest[0] is joints and latest[1] == opening:
            return replace(latest[2], pose=pose)
        place = Place.at(self._model, joints, pose)
        place = replace(place, clearances=self.near(place.chain, opening))
        self._latest = joints, opening, place
        return place

    def near(self, chain: Chain, opening: float | None = None) -> Clearances | None:
        """Return what the arm could touch, None where its shape does not count.

        Args:
            chain: Frames of the arm.
            opening: Of the hand, 0 closed to 1 open; None: open.
        """
        if self._geometry is None:
            return None
        angles = None if opening is None else self._geometry.angles(opening)
        return self._geometry.clearances(chain, angles)

    def outside(self, place: Place, *, joint_motion: bool = False) -> str:
        """Name the border that a posture is beyond, empty when it is inside.

        Args:
            place: The posture.
            joint_motion: True for an arm that is moved joint by joint: singularities are no border.
        """
        position, config = place.pose.position, self._config
        if np.any(position < self._box[0]) or np.any(position > self._box[1]):
            return "workspace"
        if hypot(position[0], position[1]) < config.base_radius:
            return "base"
        if np.any(place.joints < self._lower) or np.any(place.joints > self._upper):
            return "joint_limit"
        if place.condition > config.singularity_stop and not joint_motion:
            return "singularity"
        heights, _ = place.link_heights(np.zeros(6))
        if np.any(heights < config.table_height + config.link_clearance):
            return "link_clearance"
        return "contact" if self._overlap(place.clearances) > 0.0 else ""

    def depth(self, joints: FloatArray, chain: Chain, near: Clearances | None) -> float:
        """Return how far a posture is outside, lengths in [m] and angles in [rad] added up.

        Singularities are no border here: the arm is moved joint by joint.

        Args:
            joints: Shape (6,), in [rad].
            chain: Frames at these joints.
            near: What the arm could touch there, see :meth:`near`.
        """
        position, config = chain.origin[-1], self._config
        box = np.maximum(self._box[0] - position, position - self._box[1])
        base = config.base_radius - hypot(position[0], position[1])
        over = np.maximum(self._lower - joints, joints - self._upper)
        low = config.table_height + config.link_clearance - chain.origin[FIRST_FREE_LINK:6, 2]
        parts: list[float] = [*box.tolist(), base, *over.tolist(), *low.tolist()]
        return sum(max(0.0, part) for part in parts) + self._overlap(near)

    def _overlap(self, near: Clearances | None) -> float:
        return 0.0 if near is None or self._geometry is None else self._geometry.overlap(near)

    def limit(self, twist: Twist, place: Place, rate: float = 1.0) -> Limited:
        """Reduce a velocity until it leads nowhere outside.

        The tool slides along the box and the table; everything else slows the whole motion, so
        that its direction stays.

        Args:
            twist: Wanted tool velocity in the base frame.
            place: Where the arm is.
            rate: Share of the speed that is left of it, see :meth:`clock_rate`.
        """
        reasons: list[str] = []
        wanted = twist.linear.tolist()
        inside = self._inside_box(wanted, place)
        if any(abs(a - b) > _TINY for a, b in zip(inside, wanted, strict=True)):
            reasons.append("workspace")
        descent = max(inside[2], -self._descent_allowed(place))
        if descent - inside[2] > _TINY:
            reasons.append("table")
        linear = np.array([inside[0], inside[1], descent])
        shares, near = self._shares(np.concatenate([linear, twist.angular]), place, rate)
        reason = min(shares, key=lambda name: shares[name])
        share = min(1.0, shares[reason])
        if share < _UNCHANGED:
            reasons.append(reason)
        return Limited(Twist(linear * share, twist.angular * share), tuple(reasons), near)

    def clock_rate(self, twist: Twist, place: Place, slowest: float) -> tuple[float, str, str]:
        """Return the share of a velocity that no limit would reduce any further.

        Limits that need a share under the slowest one are left to :meth:`limit`.

        Args:
            twist: Planned tool velocity in the base frame.
            place: Where the arm is.
            slowest: Smallest share that is returned.

        Returns:
            The share, the limit that asks for it, empty for none, and what is near in words.
        """
        wanted = twist.linear.tolist()
        rows = zip(self._inside_box(wanted, place, sqrt(_GENTLE)), wanted, strict=True)
        shares = [(a / b, "workspace") for a, b in rows if abs(a - b) > _TINY]
        shares.append((self._descent_allowed(place, _GENTLE) / max(-wanted[2], _TINY), "table"))
        whole = np.concatenate([twist.linear, twist.angular])
        others, near = self._shares(whole, place, brakes=_GENTLE)
        shares += [(share, name) for name, share in others.items()]
        helped = [(share, name) for share, name in shares if slowest <= share < _UNCHANGED]
        share, reason = min(helped, default=(1.0, ""))
        return share, reason, near if reason == "contact" else ""

    def _inside_box(self, linear: list[float], place: Place, share: float = 1.0) -> list[float]:
        gain = share * self._config.approach_gain
        low, high = self._box.tolist()
        rows = zip(linear, place.pose.position.tolist(), low, high, strict=True)
        return [
            min(max(v, min(0.0, gain * (a - at))), max(0.0, gain * (b - at)))
            for v, at, a, b in rows
        ]

    def _descent_allowed(self, place: Place, brakes: float = 1.0) -> float:
        config, pose = self._config, place.pose
        end = pose.position[2] + config.tool_reach * min(0.0, pose.rotation[2, 2])
        lowest = end - config.table_height
        if place.clearances is not None and self._geometry is not None:
            heights = place.clearances.distance[self._geometry.at_table]
            lowest = min(lowest, float(heights.min(initial=lowest)))
        return self._descent_from(lowest, brakes)

    def _descent_from(self, height: float, brakes: float) -> float:
        above = max(0.0, height - self._config.table_zone)
        return sqrt(self._config.table_speed**2 + 2.0 * brakes * self._deceleration * above)

    def _table_share(self, speeds: FloatArray, place: Place, brakes: float) -> float:
        """Parts of the hand also come down when it turns."""
        if place.clearances is None or self._geometry is None:
            return 1.0
        at_table = self._geometry.at_table
        heights = place.clearances.distance[at_table].tolist()
        rates = (place.clearances.gradient[at_table] @ speeds).tolist()
        return min(
            (
                self._descent_from(height, brakes) / -rate
                for height, rate in zip(heights, rates, strict=True)
                if -rate > self._config.table_speed
            ),
            default=1.0,
        )

    def _shares(
        self, twist: FloatArray, place: Place, rate: float = 1.0, brakes: float = 1.0
    ) -> tuple[dict[str, float], str]:
        """Return the share of a velocity that each limit allows, and what is near in words."""
        speeds = place.joint_speeds(twist)
        if not any(abs(speed) > _TINY for speed in speeds.tolist()):
            return {"table": 1.0}, ""
        contact, near = self._contact_share(speeds, place, brakes)
        shares = {
            "base": self._base_share(twist, place),
            "joint_speed": self._joint_speed_share(speeds),
            "joint_limit": self._joint_limit_share(speeds, place),
            "singularity": self._singularity_share(speeds, place, rate),
            "link_clearance": self._clearance_share(speeds, place),
            "table": self._table_share(speeds, place, brakes),
            "contact": contact,
        }
        return shares, near

    def _base_share(self, twist: FloatArray, place: Place) -> float:
        x, y = place.pose.position[:2]
        distance = max(hypot(x, y), _TINY)
        inward = -(x * twist[0] + y * twist[1]) / distance
        allowed = self._config.approach_gain * max(0.0, distance - self._config.base_radius)
        return min(1.0, allowed / inward) if inward > _TINY else 1.0

    def _joint_speed_share(self, speeds: FloatArray) -> float:
        top = self._config.joint_speed_share * self._model.max_joint_speed
        fastest: float = max((np.abs(speeds) / top).tolist())
        return min(1.0, 1.0 / fastest)

    def _joint_limit_share(self, speeds: FloatArray, place: Place) -> float:
        above, below = (self._upper - place.joints).tolist(), (place.joints - self._lower).tolist()
        share = 1.0
        for speed, up, down in zip(speeds.tolist(), above, below, strict=True):
            if abs(speed) > _TINY:
                room = max(0.0, up if speed > 0.0 else down)
                share = min(share, self._config.approach_gain * room / abs(speed))
        return share

    def _singularity_share(self, speeds: FloatArray, place: Place, rate: float) -> float:
        """Near a singularity 1 / condition falls about in proportion to the distance from it."""
        slow, stop = 1.0 / self._config.singularity_slow, 1.0 / self._config.singularity_stop
        here = 1.0 / place.condition
        if here > slow:
            return 1.0
        falls = (here - 1.0 / place.condition_after(speeds, _LOOK_AHEAD)) / _LOOK_AHEAD
        if falls <= 0.0:
            return 1.0
        room = max(0.0, here - stop)
        left = room / (slow - stop) / max(rate, _TINY)
        return min(1.0, left, self._config.approach_gain * room / falls)

    def _clearance_share(self, speeds: FloatArray, place: Place) -> float:
        heights, rates = place.link_heights(speeds)
        room = heights - self._config.table_height - self._config.link_clearance
        share = 1.0
        for left, rate in zip(room.tolist(), rates.tolist(), strict=True):
            if -rate > _TINY:
                share = min(share, self._config.approach_gain * max(0.0, left) / -rate)
        return share

    def _contact_share(self, speeds: FloatArray, place: Place, brakes: float) -> tuple[float, str]:
        if place.clearances is None or self._geometry is None:
            return 1.0, ""
        slowdown = self._geometry.slowdown(place.clearances, speeds, _DECISION, brakes)
        return slowdown.factor, slowdown.cause

    def _check_home(self) -> None:
        home = Place.at(self._model, self._model.home, Chain.at(self._model, self._model.home).tool)
        border = self.outside(home)
        if border:
            x, y, z = home.pose.position
            raise ConfigError(
                f"envelope does not contain the home pose of {self._model.robot_type}, tool at "
                f"({x:.3f}, {y:.3f}, {z:.3f}) m: it is beyond the border {border!r}"
            )
