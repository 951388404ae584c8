"""What an expert for placing looks at, and a rough model of what becomes of it."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from ...geometry import rotation_from_quaternion, rotation_from_rotvec
from ...types import FloatArray, Pose
from ..items import Grasp, Item, Receptacle
from .fingers import SHUT, finger_after
from .motion import Step

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
        """Return the state after a step: held things move with the tool, dropped ones fall."""
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
