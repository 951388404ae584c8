"""What a task is: an instruction, the items on the table, when it is done, who can show it.

A task is data and knows nothing of the simulator: progress and success are functions of a
:class:`SceneState`, which the twin fills with its true state. Kinds of tasks and the tasks made
of them are in :mod:`adp_ros.sim.tasks`; other packages add theirs through the entry points
``adp_ros.tasks``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from ..types import FloatArray
from .items import Item
from .stain import DirtPatch


@dataclass(frozen=True, slots=True)
class ItemState:
    """True state of one item.

    Attributes:
        start: Where it lay at the start, shape (3,), in [m], base frame.
        position: Where its origin is, shape (3,), in [m], base frame.
        touched: True while the arm touches it.
    """

    start: FloatArray
    position: FloatArray
    touched: bool


@dataclass(frozen=True, slots=True)
class SceneState:
    """True state of everything that a task is judged by.

    Attributes:
        items: Name -> state of each item on the table.
        cleaned: Per dirt cell: wiped. Shape (cells,), empty without dirt.
    """

    items: Mapping[str, ItemState] = field(default_factory=dict)
    cleaned: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=bool))


@runtime_checkable
class Task(Protocol):
    """A task of the twin."""

    @property
    def name(self) -> str:
        """Name in commands and messages."""

    @property
    def instruction(self) -> str:
        """What the policy is told."""

    @property
    def items(self) -> tuple[Item, ...]:
        """What lies on the table, without distractors."""

    @property
    def not_with(self) -> tuple[str, ...]:
        """Items that its instruction would fit as well, never used as distractors."""

    @property
    def dirt(self) -> DirtPatch | None:
        """A stain to wipe away, the hand then holds a sponge; None without."""

    @property
    def time_limit(self) -> float:
        """Time after which an attempt has failed, in [s]."""

    @property
    def make_expert(self) -> "Callable[[SceneConfig], Expert] | None":
        """Makes the scripted expert of one of its scenes; None when it has none."""

    def progress(self, state: SceneState) -> float:
        """Share of the task that is done, 0 to 1."""

    def success(self, state: SceneState) -> bool:
        """Tell whether the task is done."""


@dataclass(frozen=True, slots=True)
class SceneConfig:
    """Everything that a scene of the twin is a function of.

    Attributes:
        task: What is to be done in it.
        seed: Seed of the placement, the look and the sensors' noise, at least 0.
        robot_type: Kind of arm, ``j2n6s300`` or ``j2n6s200``.
        distractors: Whether other items share the table: ``always``, ``never``, or ``auto`` for
            half of the seeds.
        randomisation: Level of the look: ``none``, ``default``, ``strong``; changes no motion.
    """

    task: Task
    seed: int = 0
    robot_type: str = "j2n6s300"
    distractors: str = "auto"
    randomisation: str = "default"


class Expert(Protocol):
    """Plans chunks from the twin's true state, in the form of a policy's.

    An expert has no memory and no state that a policy could not have learnt from pictures; it
    can therefore plan from any state, also one that another policy has brought about.
    """

    def plan(self, qpos: FloatArray, cleaned: NDArray[np.bool_]) -> FloatArray:
        """Plan one chunk.

        Args:
            qpos: Positions of the twin's model, shape (nq,).
            cleaned: Per cell of the stain: wiped, shape (cells,); empty without one.

        Returns:
            Increments at 10 Hz, shape (8, 7), in the default action convention (base frame,
            rotation vectors): [m], [rad], gripper 0 closed to 1 open.

        Raises:
            TwinError: The state is not one of this scene.
        """

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

        Raises:
            TwinError: The state is not one of this scene.
        """


def make_expert(scene: SceneConfig) -> Expert:
    """Make the expert of a scene.

    Raises:
        ConfigError: When the task has none, or there is no such robot type.
        TwinError: When the seed is negative.
    """
    if scene.task.make_expert is None:
        raise ConfigError(f"task {scene.task.name!r} has no expert")
    return scene.task.make_expert(scene)
