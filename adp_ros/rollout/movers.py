"""Chunkers without a policy: the scripted expert, and one that stands still."""

from typing import Final

import numpy as np

from ..arm.units import CLOSED_TICKS, RADIANS_PER_TICK, opening_from_ticks
from ..sim.expert import STEPS, Expert, make_expert
from ..types import ActionConvention
from .chunker import PlannedChunk
from .config import RolloutConfig
from .view import View

_CONVENTION: Final = ActionConvention()


class ExpertChunker:
    """The scripted expert, planning from the true state in the newest picture."""

    def __init__(self) -> None:
        self._expert: Expert | None = None

    def begin(self, config: RolloutConfig) -> None:
        """Make the expert of the scene.

        Raises:
            ConfigError: The task has no expert.
        """
        self._expert = make_expert(config.task, config.seed, config.robot_type)

    def plan(self, view: View) -> PlannedChunk:
        """Plan from the true state."""
        if self._expert is None:
            raise RuntimeError("plan before begin")
        actions = self._expert.plan(view.truth.qpos, view.truth.cleaned)
        return PlannedChunk(actions, _CONVENTION)


class HoldChunker:
    """Stands still; the gripper stays as it is."""

    def begin(self, config: RolloutConfig) -> None:
        """Nothing is to be prepared."""

    def plan(self, view: View) -> PlannedChunk:
        """Return zeros and the gripper's present opening."""
        actions = np.zeros((STEPS, 7))
        actions[:, 6] = opening_of(view)
        return PlannedChunk(actions, _CONVENTION)


def opening_of(view: View) -> float:
    """Return the measured opening of the hand, 0 closed to 1 open."""
    ticks = np.clip(view.arm.fingers / RADIANS_PER_TICK, 0.0, CLOSED_TICKS)
    return float(np.mean([opening_from_ticks(t) for t in ticks]))
