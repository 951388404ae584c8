"""Chunkers for collecting: an expert that is disturbed, a policy that an expert relieves."""

from typing import Final

import numpy as np

from .chunker import Chunker, PlannedChunk
from .config import RolloutConfig
from .movers import ExpertChunker
from .perturbation import Perturbation, draw_perturbation
from .view import View

_STREAM: Final = 0x_A0_1  # of random numbers, apart from the scene's


class NoisyExpert:
    """The scripted expert, disturbed; the same scene and level are always disturbed alike."""

    def __init__(self, level: float) -> None:
        """Prepare.

        Args:
            level: Strength of the disturbances, see
                :func:`adp_ros.rollout.perturbation.draw_perturbation`.
        """
        self._level = level
        self._expert = ExpertChunker()
        self._perturbation: Perturbation | None = None

    def begin(self, config: RolloutConfig) -> None:
        """Draw the disturbances of the episode.

        Raises:
            ConfigError: The task has no expert.
        """
        self._expert.begin(config)
        rng = np.random.default_rng([config.seed, _STREAM, *config.task.encode()])
        self._perturbation = draw_perturbation(rng, self._level, config.limit)

    def plan(self, view: View) -> PlannedChunk:
        """Plan from the true state, disturbed."""
        if self._perturbation is None:
            raise RuntimeError("plan before begin")
        clean = self._expert.plan(view)
        height = float(view.truth.pose.position[2])
        actions = self._perturbation.disturbed(clean.actions, view.time, height)
        return PlannedChunk(actions, clean.convention)


class RelievedPolicy:
    """A policy that moves the arm, in some windows relieved by the expert (DAgger)."""

    def __init__(self, policy: Chunker, expert_share: float) -> None:
        """Prepare.

        Args:
            policy: Who moves the arm mostly.
            expert_share: Share of the windows in which the expert does, drawn anew in each
                episode; the same scene gives the same draws.
        """
        self._policy = policy
        self._share = expert_share
        self._expert = ExpertChunker()
        self._rng = np.random.default_rng(_STREAM)

    def begin(self, config: RolloutConfig) -> None:
        """Prepare both.

        Raises:
            AdpError: One of them cannot do the task.
        """
        self._policy.begin(config)
        self._expert.begin(config)
        self._rng = np.random.default_rng([config.seed, _STREAM + 1, *config.task.encode()])

    def plan(self, view: View) -> PlannedChunk:
        """Let one of them plan; the policy always thinks, so that its gate stays in step.

        Raises:
            AdpError: The policy cannot.
        """
        planned = self._policy.plan(view)
        if self._rng.random() < self._share:
            return self._expert.plan(view)
        return planned
