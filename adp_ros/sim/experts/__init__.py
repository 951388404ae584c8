"""Scripted experts: functions of the twin's true state, in the form of a policy's chunks.

An expert has no memory and no state that a policy could not have learnt from pictures; it can
therefore plan from any state, also one that another policy has brought about.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from ...errors import ConfigError
from ...types import FloatArray
from ..tasks import all_tasks, find_task
from ..tasks.task import Task
from .place import PlaceExpert, can_place
from .wipe import WipeExpert


class Expert(Protocol):
    """Plans chunks from the twin's true state."""

    task: str
    seed: int

    def plan(self, qpos: FloatArray, cleaned: NDArray[np.bool_]) -> FloatArray:
        """Return increments at 10 Hz, shape (8, 7), in the default action convention."""
        ...

    def landmarks(
        self, qpos: FloatArray, cleaned: NDArray[np.bool_] | None = None
    ) -> dict[str, FloatArray]:
        """Return true places that a policy may be taught to find, never told.

        Args:
            qpos: Positions of the twin's model, shape (nq,).
            cleaned: Per cell of the stain: wiped, shape (cells,); None: nothing is wiped.

        Returns:
            ``item`` (what to act on next), ``receptacle`` (where to) and ``tool``, shape (3,)
            each, in [m], base frame. :meth:`adp_ros.sim.look.View.project` puts them into the
            picture.
        """
        ...


def _expert_for(task: Task) -> Callable[[Task, int, str], Expert] | None:
    """Return what can do a task; a new task of a known kind needs no entry anywhere."""
    if task.dirt is not None:
        return WipeExpert
    return PlaceExpert if can_place(task) else None


EXPERTS: Final[Mapping[str, Callable[[Task, int, str], Expert]]] = MappingProxyType(
    {name: found for name, task in all_tasks().items() if (found := _expert_for(task))}
)


def make_expert(task: str, seed: int, robot_type: str = "j2n6s300") -> Expert:
    """Make the expert of one scene.

    Args:
        task: Name of the task.
        seed: Seed of the scene.
        robot_type: Kind of arm.

    Raises:
        ConfigError: When there is no such task or robot type, or the task has no expert.
        TwinError: When the seed is negative.
    """
    found = find_task(task)
    if task not in EXPERTS:
        raise ConfigError(f"task {task!r} has no expert, allowed: {', '.join(EXPERTS)}")
    return EXPERTS[task](found, seed, robot_type)
