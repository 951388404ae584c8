"""Wiping: a stain off the table, with the sponge in the hand.

The expert goes lane after lane over the stain, the sponge pressed lightly. It has no memory: the
next step follows from the tool pose and the cells that are still dirty. A lane lies along the
dirt's present edge and is narrower than the sponge; a column that it missed belongs to the next
one. A lane is entered at its nearer end, and with dirt on both sides the shorter side comes first:
each step there makes it shorter, so no rest is left behind for which the sponge would have to turn
round.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ...errors import TwinError
from ...robots.jaco2.arms import arm_model
from ...robots.kinematics import forward
from ...types import ACTION_SIZE, FloatArray, Pose
from ..items import Item
from ..placement import place
from ..stain import SPONGE_BOTTOM, DirtPatch, sponge_underside, wiped_cells
from ..task import Expert, SceneConfig, SceneState
from .motion import STEPS, Step, angle_between, towards, turning

# Tool down; its x along the base's y, so that the sponge's long side lies across the lanes.
_DOWN: Final = ((0.0, 1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, -1.0))
_PRESS: Final = 0.011  # [m] that the sponge gives way: 3.9 N
_RAISED: Final = 0.15  # [m], tool height for turning and for long ways
_DONE: Final = 0.22  # [m], tool height when all is clean
_FREE_SPEED: Final = 0.10  # [m/s]
_WIPE_SPEED: Final = 0.045  # [m/s]
_LOWER_SPEED: Final = 0.03  # [m/s], down to the table
_TURN_SPEED: Final = 0.28  # [rad/s]
_NEAR: Final = 0.13  # [m] to a dirty cell: the sponge stays on the table
_OVER: Final = 0.03  # [m] to a dirty cell: the sponge comes down
_CLEAR: Final = 0.02  # [m] from the table, above which it comes down only over a dirty cell
_ALIGNED: Final = 0.12  # [rad] from tool-down within which the sponge may touch
_LANE: Final = 0.060  # [m], width of a lane; the sponge is 0.1 m wide
_EDGE: Final = 0.030  # [m] from the outermost dirty cells of a lane to its middle
_LAST: Final = 0.025  # [m] from the outermost cells of the stain to the middle of its last lane
_SPOTS: Final = 2  # dirty cells of a lane for which the sponge comes only at the end
_REST: Final = 6  # the same once it is _LEFT away from the lane's middle
_LEFT: Final = 0.045  # [m]
_ASIDE: Final = 0.020  # [m] from a lane's middle: it heads for an end of the lane


@dataclass(frozen=True, slots=True, kw_only=True)
class WipeTask:
    """Wipe a stain off the table with the sponge in the hand.

    Attributes:
        name: Name in commands and messages.
        instruction: What the policy is told.
        dirt: The stain.
        wiped_for_success: Share of its cells, 0 to 1; more must be wiped.
        time_limit: Time after which an attempt has failed, in [s].
        not_with: Items never used as distractors.
    """

    name: str
    instruction: str
    dirt: DirtPatch
    wiped_for_success: float = 0.8
    time_limit: float = 120.0
    items: tuple[Item, ...] = field(default=(), init=False)  # nothing else lies on the table
    not_with: tuple[str, ...] = ()

    @property
    def make_expert(self) -> Callable[[SceneConfig], Expert]:
        """:class:`WipeExpert`."""
        return WipeExpert

    def progress(self, state: SceneState) -> float:
        """Share of the cells that are wiped."""
        return float(np.mean(state.cleaned))

    def success(self, state: SceneState) -> bool:
        """More than the needed share is wiped."""
        return self.progress(state) > self.wiped_for_success


class WipeExpert:
    """Plans chunks for one scene of a wiping task."""

    def __init__(self, scene: SceneConfig) -> None:
        """Learn where the stain is.

        Raises:
            ConfigError: When there is no such robot type.
            TwinError: When the task has no stain, or the seed is negative.
        """
        self._cells = place(scene).cells
        if not len(self._cells):
            raise TwinError(f"task {scene.task.name!r} has no stain to wipe")
        self._arm = arm_model(scene.robot_type)

    def plan(self, qpos: FloatArray, cleaned: NDArray[np.bool_]) -> FloatArray:
        """Plan one chunk, see :meth:`~adp_ros.sim.task.Expert.plan`."""
        clean = self._checked(cleaned)
        pose = forward(self._arm, qpos[:6])
        chunk = np.empty((STEPS, ACTION_SIZE))
        for i in range(STEPS):
            step = self._step(pose, clean)
            chunk[i] = step.as_action()
            pose = step.after(pose)
            underside = sponge_underside(pose.position, pose.rotation)
            underside[2] = max(underside[2], 0.0)  # the table does not give way
            clean |= wiped_cells(underside, pose.rotation, self._cells)
        return chunk

    def landmarks(
        self, qpos: FloatArray, cleaned: NDArray[np.bool_] | None = None
    ) -> dict[str, FloatArray]:
        """Return the true places, see :meth:`~adp_ros.sim.task.Expert.landmarks`.

        The item is where the sponge's middle goes next, the receptacle the middle of all dirty
        cells; of all cells once everything is clean.
        """
        clean = self._checked(np.zeros(len(self._cells)) if cleaned is None else cleaned)
        dirty = self._cells if clean.all() else self._cells[~clean]
        tool = forward(self._arm, qpos[:6]).position
        return {
            "item": np.array([*self._next(dirty, tool), 0.0]),
            "receptacle": np.array([*dirty.mean(axis=0), 0.0]),
            "tool": tool,
        }

    def _checked(self, cleaned: NDArray[Any]) -> NDArray[np.bool_]:
        if len(cleaned) != len(self._cells):
            raise TwinError(f"state has {len(cleaned)} cells, the scene {len(self._cells)}")
        return np.array(cleaned, dtype=bool)

    def _step(self, pose: Pose, clean: NDArray[np.bool_]) -> Step:
        down = _nearest_down(pose.rotation)
        turn = turning(pose.rotation, down, _TURN_SPEED)
        aligned = angle_between(pose.rotation, down) < _ALIGNED
        target = self._target(pose, clean, aligned)
        way = towards(pose.position, target, _speed(pose, target))
        if target[2] < SPONGE_BOTTOM and pose.position[2] < SPONGE_BOTTOM + _CLEAR:
            # at once, not with the way along the lane: a sponge that hovers wipes nothing
            way[2] = towards(pose.position[2:], target[2:], _LOWER_SPEED)[0]
        return Step(way, turn, 0.0)

    def _target(self, pose: Pose, clean: NDArray[np.bool_], aligned: bool) -> FloatArray:
        if clean.all():
            return np.array([*pose.position[:2], _DONE])
        over = self._next(self._cells[~clean], pose.position)
        away = float(np.linalg.norm(over - pose.position[:2]))
        pressed = SPONGE_BOTTOM - _PRESS
        if not aligned:
            return np.array([*over, _RAISED])
        height = pressed + float(np.clip(1.5 * (away - _NEAR), 0.0, _RAISED - pressed))
        if pose.position[2] > SPONGE_BOTTOM + _CLEAR and _OVER < away < _NEAR:
            height = max(height, min(float(pose.position[2]), _RAISED))  # first over it, then down
        return np.array([*over, height])

    def _next(self, dirty: FloatArray, tool: FloatArray) -> FloatArray:
        """Return where the sponge's middle goes next.

        Args:
            dirty: Centres of the dirty cells, at least one, shape (n, 2), in [m].
            tool: Where the tool is, shape (3,), in [m].

        Returns:
            Shape (2,), in [m]: across in the middle of the lane; along at the nearest dirt of the
            side that has less, from above or from beside the lane at its nearer end.
        """
        edge = float(dirty[:, 0].min())
        in_lane = dirty[:, 0] < edge + _LANE
        middle = min(edge + _EDGE, float(self._cells[:, 0].max()) - _LAST)
        bearable = _REST if abs(tool[0] - middle) > _LEFT else _SPOTS
        if in_lane.sum() <= bearable and not in_lane.all():
            return self._next(dirty[~in_lane], tool)
        along = dirty[in_lane, 1] - tool[1]
        if tool[2] > SPONGE_BOTTOM + _CLEAR or abs(tool[0] - middle) > _ASIDE:
            along = np.array([along.min(), along.max()])
        else:  # the side with less: the dirt's short end is not left behind
            sides = (along[along < 0.0], along[along >= 0.0])
            along = min((side for side in sides if len(side)), key=len)
        return np.array([middle, tool[1] + along[np.argmin(np.abs(along))]])


def _nearest_down(rotation: FloatArray) -> FloatArray:
    """Return tool-down, turned by half a turn where that is nearer: the sponge is symmetric."""
    down = np.array(_DOWN)
    other = down @ np.diag([-1.0, -1.0, 1.0])
    return min(down, other, key=lambda r: angle_between(rotation, r))


def _speed(pose: Pose, target: FloatArray) -> float:
    if pose.position[2] >= _RAISED - 0.03:
        return _FREE_SPEED
    return _LOWER_SPEED if target[2] < pose.position[2] - 0.01 else _WIPE_SPEED
