"""Pick and place: one item, wholly into a receptacle.

The expert goes over the item, down, closes, up, over the receptacle, down, opens, up. It has no
memory: which of these comes next follows from tool, fingers, item and receptacle. All heights and
speeds are continuous functions of these, so that a policy can learn them from pictures.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ...errors import TwinError
from ...geometry import rotation_from_quaternion, rotation_from_rotvec
from ...robots.jaco2.arms import arm_model
from ...robots.kinematics import forward
from ...types import ACTION_SIZE, FloatArray, Pose
from ..items import Grasp, Item, Receptacle
from ..stain import DirtPatch
from ..task import Expert, SceneConfig, SceneState
from .motion import SHUT, STEP, STEPS, Step, angle_between, finger_after, towards, turning


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceTask:
    """Put all of one item inside a receptacle and let go of it.

    Attributes:
        name: Name in commands and messages.
        instruction: What the policy is told.
        item: What is to be taken; it must have a grasp for the expert.
        target: Where it belongs.
        not_with: Items that the instruction would fit as well, never used as distractors.
        time_limit: Time after which an attempt has failed, in [s].
    """

    name: str
    instruction: str
    item: Item
    target: Receptacle
    not_with: tuple[str, ...] = ()
    time_limit: float = 60.0
    dirt: DirtPatch | None = field(default=None, init=False)

    @property
    def items(self) -> tuple[Item, ...]:
        """The item and its receptacle."""
        return (self.item, self.target)

    @property
    def make_expert(self) -> Callable[[SceneConfig], Expert] | None:
        """:class:`PlaceExpert`; None for an item that can't be grasped."""
        return None if self.item.grasp is None else PlaceExpert

    def progress(self, state: SceneState) -> float:
        """Share of the way to the receptacle's middle that the item has come."""
        if self.success(state):
            return 1.0
        item, target = state.items[self.item.name], state.items[self.target.name]
        whole = float(np.linalg.norm(target.position[:2] - item.start[:2]))
        left = float(np.linalg.norm(target.position[:2] - item.position[:2]))
        return float(np.clip(1.0 - left / max(whole, 1e-6), 0.0, 0.99))

    def success(self, state: SceneState) -> bool:
        """All of it inside seen from above, on the receptacle's floor, not held."""
        item, target = state.items[self.item.name], state.items[self.target.name]
        across = float(np.linalg.norm(item.position[:2] - target.position[:2]))
        above = float(item.position[2] - target.position[2])
        rests = 0.0 < above < 0.06
        inside = across + self.item.radius <= self.target.inner_radius
        return inside and rests and not item.touched


_ACROSS: Final = 0.030  # [m] from the hand's middle at which fingers still get hold of an item
_ALONG: Final = 0.040  # [m], the same along the hand's y axis, across which they close
_DEEP: Final = (-0.005, 0.055)  # [m] from the tool frame along its z
_SLACK: Final = 0.07  # [rad] before the stall angle that counts as holding


@dataclass(frozen=True, slots=True)
class TableState:
    """Tool, fingers, the item to take, and its receptacle; base frame.

    Attributes:
        item: What is to be taken.
        grasp: How.
        target: Where it belongs.
        pose: Tool pose.
        finger: Mean angle of the fingers, in [rad]; 0 is open.
        position: Origin of the item, shape (3,), in [m].
        rotation: Item -> base, shape (3, 3).
        receptacle: Origin of the receptacle, shape (3,), in [m].
    """

    item: Item
    grasp: Grasp
    target: Receptacle
    pose: Pose
    finger: float
    position: FloatArray
    rotation: FloatArray
    receptacle: FloatArray

    @property
    def across(self) -> float:
        """Distance from the item to the receptacle's middle, seen from above, in [m]."""
        return float(np.linalg.norm(self.position[:2] - self.receptacle[:2]))

    @property
    def above_floor(self) -> float:
        """Height of the item's lowest point above the receptacle's floor, in [m]."""
        floor = self.receptacle[2] - self.target.half_height + self.target.floor
        return float(self.position[2] - self.reach_down() - floor)

    @property
    def between_fingers(self) -> bool:
        """True when closing the fingers would get hold of the item."""
        x, y, z = self.pose.rotation.T @ (self.position - self.pose.position)
        return bool(abs(x) < _ACROSS and abs(y) < _ALONG and _DEEP[0] < z < _DEEP[1])

    @property
    def held(self) -> bool:
        """True when the item is in the closed hand."""
        return self.between_fingers and self.finger > self.grasp.closed - _SLACK

    def reach_down(self) -> float:
        """Return how far the item reaches below its origin as it lies, in [m]."""
        up = np.abs(self.rotation[2])
        if self.item.shape == "box":
            return float(up @ np.array(self.item.size))
        radius, half = self.item.size
        return float(up[2] * half + np.hypot(up[0], up[1]) * radius)

    def after(self, step: Step) -> "TableState":
        """Return the state after a step: a held item moves with the tool, a dropped one falls."""
        pose = step.after(self.pose)
        stall = self.grasp.closed if self.between_fingers else SHUT
        finger = finger_after(self.finger, step.opening, stall)
        moved = replace(self, pose=pose, finger=finger)
        if self.held and step.opening < 0.5:
            turn = rotation_from_rotvec(step.turn)
            arm = turn @ (self.position - self.pose.position)
            return replace(moved, position=pose.position + arm, rotation=turn @ self.rotation)
        if self.held or not moved.held:
            return moved._fallen()
        return moved

    def _fallen(self) -> "TableState":
        floor = self.target.floor if self.across < self.target.inner_radius else 0.0
        position = self.position.copy()
        position[2] = min(position[2], max(floor + self.reach_down(), position[2] - 0.05))
        return replace(self, position=position)


def body_pose(qpos: FloatArray, start: int) -> tuple[FloatArray, FloatArray]:
    """Return position, shape (3,), and rotation, shape (3, 3), of a free body."""
    w, x, y, z = qpos[start + 3 : start + 7]
    rotation = rotation_from_quaternion(np.array([x, y, z, w]))
    return np.array(qpos[start : start + 3], dtype=np.float64), rotation


_FREE_SPEED: Final = 0.12  # [m/s]
_LOW_SPEED: Final = 0.05  # [m/s] within _LOW of the item's or the receptacle's height
_LOW: Final = 0.06  # [m]
_SPEED_GAIN: Final = 1.0  # [1/s], speed per height above that
_LIFT_SPEED: Final = 0.09  # [m/s], up
_TURN_SPEED: Final = 0.28  # [rad/s]
_HOVER: Final = 0.14  # [m] above the grasp
_CARRY: Final = 0.10  # [m] of the held item above the receptacle's floor
_OVER: Final = 0.008  # [m] from above the item or the middle, within which the tool comes down
_CENTERED: Final = 0.012  # [m] from the item, within which the hand closes
_AT_HEIGHT: Final = 0.005  # [m] from the height of the grasp, the same
_ALIGNED: Final = 0.12  # [rad] from the grasp's orientation, the same
_BEGUN: Final = 0.15  # [rad] of the fingers from which closing goes on
_EMPTY: Final = 0.17  # [rad] beyond the stall angle: there is nothing between the fingers
_RELEASE: Final = 0.012  # [m] above the receptacle's floor, at which the hand opens
_LOWER_SPEED: Final = 0.03  # [m/s], down to the receptacle's floor within _CLOSE of it
_CLOSE: Final = 0.03  # [m]
_EDGE: Final = 0.003  # [m] that a placed item keeps from the receptacle's edge
_FREED: Final = 0.25  # [rad] before the stall angle: the hand lets go
_LEAVE: Final = 0.16  # [m] above the placed item


class PlaceExpert:
    """Plans chunks for a task of putting one item into a receptacle."""

    def __init__(self, scene: SceneConfig) -> None:
        """Learn what is to be put where.

        Args:
            scene: Of a task whose first item can be grasped and whose second is a receptacle.

        Raises:
            ConfigError: When there is no such robot type.
            TwinError: When the task has no such items, or the seed is negative.
        """
        if scene.seed < 0:
            raise TwinError(f"seed is {scene.seed}, allowed: 0 and above")
        item, target = scene.task.items if len(scene.task.items) == 2 else (None, None)
        if item is None or item.grasp is None or not isinstance(target, Receptacle):
            words = "has no item to grasp and receptacle to put it into"
            raise TwinError(f"task {scene.task.name!r} {words}")
        self._item, self._grasp, self._target = item, item.grasp, target
        self._arm = arm_model(scene.robot_type)

    def state(self, qpos: FloatArray) -> TableState:
        """Read the positions of the twin's model.

        Args:
            qpos: Positions, shape (nq,): arm, fingers, then 7 numbers for each item.

        Raises:
            TwinError: When there are too few positions for this scene.
        """
        fingers = 6 + self._arm.fingers
        if len(qpos) < fingers + 14:
            raise TwinError(f"state has {len(qpos)} positions, at least {fingers + 14} are needed")
        position, rotation = body_pose(qpos, fingers)
        receptacle, _ = body_pose(qpos, fingers + 7)
        return TableState(
            item=self._item,
            grasp=self._grasp,
            target=self._target,
            pose=forward(self._arm, qpos[:6]),
            finger=float(np.mean(qpos[6:fingers])),
            position=position,
            rotation=rotation,
            receptacle=receptacle,
        )

    def plan(self, qpos: FloatArray, cleaned: NDArray[np.bool_]) -> FloatArray:
        """Plan one chunk, see :meth:`~adp_ros.sim.task.Expert.plan`."""
        state = self.state(qpos)
        chunk = np.empty((STEPS, ACTION_SIZE))
        for i in range(STEPS):
            step = next_step(state)
            chunk[i] = step.as_action()
            state = state.after(step)
        return chunk

    def landmarks(
        self, qpos: FloatArray, cleaned: NDArray[np.bool_] | None = None
    ) -> dict[str, FloatArray]:
        """Return the true places, see :meth:`~adp_ros.sim.task.Expert.landmarks`."""
        state = self.state(qpos)
        places = {"item": state.position, "receptacle": state.receptacle}
        return places | {"tool": state.pose.position}


def next_step(s: TableState) -> Step:
    """Return the step that the expert takes in a state."""
    inside = s.across + s.item.radius <= s.target.inner_radius - _EDGE
    if inside and s.above_floor < _RELEASE:
        return _leave(s)
    if s.held and s.finger < s.grasp.closed + _EMPTY:
        return _carry(s)
    return _reach(s)


def _leave(s: TableState) -> Step:
    """Open, then rise straight up and stay."""
    here = s.pose.position
    near = float(np.linalg.norm(here[:2] - s.position[:2])) < _HOVER
    rise = s.position[2] + _LEAVE - here[2]
    free = np.clip((s.grasp.closed - _FREED - s.finger) / 0.2, 0.0, 1.0)
    if not near or rise <= 0.0:
        return Step(np.zeros(3), np.zeros(3), 1.0)
    way = towards(here, here + np.array([0.0, 0.0, rise]), _FREE_SPEED)
    return Step(way * free, np.zeros(3), 1.0)


def _carry(s: TableState) -> Step:
    """Lift, go above the receptacle's middle, lower."""
    way = s.receptacle[:2] - s.position[:2]
    away = float(np.linalg.norm(way))
    height = float(np.clip(1.5 * (away - _OVER), 0.0, _CARRY))
    lifted = 1.0 if away < 2.0 * _OVER else float(np.clip((s.above_floor - 0.01) / 0.04, 0.0, 1.0))
    slowed = float(np.clip((s.above_floor - _CLOSE) / _CLOSE, 0.0, 1.0))
    speed = _LOWER_SPEED + slowed * (_speed(s.above_floor) - _LOWER_SPEED)
    move = _move(np.array([*way, height - s.above_floor]), speed, lifted)
    turn = turning(s.pose.rotation, down(yaw_of(s.pose.rotation)), _TURN_SPEED)
    return Step(move, turn, 0.0)


def _reach(s: TableState) -> Step:
    """Go above the item with the hand turned, lower, close."""
    here = s.pose.position
    wanted = down(grasp_yaw(s.grasp, s.rotation))
    low = s.position[2] + s.grasp.above
    away = float(np.linalg.norm(s.position[:2] - here[:2]))
    askew = angle_between(s.pose.rotation, wanted)
    level = abs(here[2] - low) < _AT_HEIGHT
    begins = away < _CENTERED and level and askew < _ALIGNED
    goes_on = s.finger > _BEGUN and s.between_fingers and abs(here[2] - low) < 4.0 * _AT_HEIGHT
    if (begins or goes_on) and s.finger < s.grasp.closed + _EMPTY:
        return Step(np.zeros(3), np.zeros(3), 0.0)
    height = max(1.2 * (away - _OVER), 0.35 * (askew - 0.5 * _ALIGNED), 0.3 * (s.finger - _BEGUN))
    way = s.position - here
    way[2] = low + float(np.clip(height, 0.0, _HOVER)) - here[2]
    raised = 1.0 if away < 3.0 * _OVER else float(np.clip((here[2] - low) / 0.05, 0.0, 1.0))
    move = _move(way, _speed(here[2] - low), raised)
    return Step(move, turning(s.pose.rotation, wanted, _TURN_SPEED), 1.0)


def _move(way: FloatArray, speed: float, across: float) -> FloatArray:
    """Return one step's translation; `across` is the share of the speed allowed sideways."""
    start = np.zeros(3)
    speed = max(speed, _LIFT_SPEED) if way[2] > 0.0 else speed
    up = towards(start, np.array([0.0, 0.0, way[2]]), speed)
    side = towards(start, np.array([way[0], way[1], 0.0]), speed)
    whole = up + across * side
    return np.asarray(whole * min(1.0, speed * STEP / max(float(np.linalg.norm(whole)), 1e-9)))


def _speed(height: float) -> float:
    """Return the speed at a height above the grasp or the floor, in [m/s]."""
    return float(np.clip(_LOW_SPEED + _SPEED_GAIN * (height - _LOW), _LOW_SPEED, _FREE_SPEED))


def down(yaw: float) -> FloatArray:
    """Return tool-down with the tool's x axis in a direction, tool -> base, shape (3, 3)."""
    c, s = float(np.cos(yaw)), float(np.sin(yaw))
    return np.array([[c, s, 0.0], [s, -c, 0.0], [0.0, 0.0, -1.0]])


def yaw_of(rotation: FloatArray) -> float:
    """Return the direction of the tool's x axis seen from above, in [rad]."""
    return float(np.arctan2(rotation[1, 0], rotation[0, 0]))


def grasp_yaw(grasp: Grasp, rotation: FloatArray) -> float:
    """Return the direction in which the fingers should close on an item.

    Args:
        grasp: How it is taken.
        rotation: Item -> base, shape (3, 3); a bar lies along its y axis.

    Returns:
        In [rad]; of those that fit, the one nearest to the preferred one.
    """
    if grasp.symmetry == 0:
        return grasp.yaw
    axis = 1 if grasp.symmetry == 2 else int(np.argmin(np.abs(rotation[2])))
    across = float(np.arctan2(rotation[1, axis], rotation[0, axis])) - 0.5 * np.pi
    period = 2.0 * np.pi / grasp.symmetry
    off = (across - grasp.yaw + 0.5 * period) % period - 0.5 * period
    return grasp.yaw + float(off)
