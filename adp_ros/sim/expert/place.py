"""Expert for placing: over the item, down, close, up, over the receptacle, down, open, up.

It has no memory: which of these comes next follows from tool, fingers, item and receptacle. All
heights and speeds are continuous functions of these, so that a policy can learn them from
pictures.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ...errors import TwinError
from ...kinematics import arm_model, forward
from ...types import ACTION_SIZE, FloatArray
from ..items import Grasp, Item, Receptacle
from ..tasks import Task
from .motion import STEP, STEPS, Step, angle_between, towards, turning
from .table_state import TableState, body_pose

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

    def __init__(self, task: Task, seed: int, robot_type: str) -> None:
        """Learn what is to be put where.

        Args:
            task: A task whose first item can be grasped and whose second is a receptacle.
            seed: Seed of the scene, at least 0; everything needed is in the state.
            robot_type: Kind of arm.

        Raises:
            ConfigError: When there is no such robot type.
            TwinError: When the task has no such items, or the seed is negative.
        """
        if seed < 0:
            raise TwinError(f"seed is {seed}, allowed: 0 and above")
        self._item, self._grasp, self._target = _parts(task)
        self.task = task.name
        self.seed = seed
        self._arm = arm_model(robot_type)

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
        """Plan one chunk.

        Args:
            qpos: Positions of the twin's model, shape (nq,).
            cleaned: Of no account here.

        Returns:
            Increments at 10 Hz, shape (8, 7): base frame, rotation vectors; [m], [rad], gripper
            0 to 1.

        Raises:
            TwinError: When there are too few positions for this scene.
        """
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
        """Return the true places that matter, see :meth:`Expert.landmarks`.

        Raises:
            TwinError: When there are too few positions for this scene.
        """
        state = self.state(qpos)
        return {
            "item": state.position,
            "receptacle": state.receptacle,
            "tool": state.pose.position,
        }


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
    """Return the translation of one step.

    Args:
        way: To the target, shape (3,), in [m].
        speed: Largest speed in [m/s].
        across: Share of the speed that is allowed across: first up, then across.
    """
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


def can_place(task: Task) -> bool:
    """Tell whether a task is to put a thing that can be grasped into a receptacle."""
    items = task.items
    return len(items) == 2 and items[0].grasp is not None and isinstance(items[1], Receptacle)


def _parts(task: Task) -> tuple[Item, Grasp, Receptacle]:
    if len(task.items) == 2:
        item, target = task.items
        if item.grasp is not None and isinstance(target, Receptacle):
            return item, item.grasp, target
    raise TwinError(f"task {task.name!r} has no item to grasp and receptacle to put it into")
