"""Who plans in a rollout: a policy, an expert, a disturbed or relieved one, or nothing.

The executed motion strays from the expert's, so that the expert's answers to strange states can
be learnt (DART, Laskey et al. 2017).
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..adp.adp_settings import AdpSettings
from ..policies.policy import load_policy
from ..policies.setup import PolicySetup, declare_policy
from ..policies.window import Window
from ..robots.jaco2.interface import CLOSED_TICKS, RADIANS_PER_TICK, opening_from_ticks
from ..sim.task import Expert, make_expert
from ..types import FloatArray, Observation
from .rollout_result import Chunker, RolloutConfig, SceneView

STEP: Final = 0.1  # [s]
_DRIFT: Final = np.array([0.018, 0.018, 0.012, 0.05, 0.05, 0.15])  # [m/s], [rad/s] at level 1
_MEMORY: Final = 0.85  # of the drift from step to step
_KICKS: Final = 0.25  # [1/s] at level 1
_KICK: Final = np.array([0.08, 0.08, 0.06, 0.15, 0.15, 0.5])  # [m/s], [rad/s] at level 1
_KICK_STEPS: Final = (2, 6)
_GRIPS: Final = 0.06  # [1/s] at level 1
_GRIP_STEPS: Final = (2, 6)
_FREE: Final = 0.18  # [m] above the table, from where on nothing is in the way
_LEAST: Final = 0.15  # share of the disturbances that is left at the table


@dataclass(frozen=True, slots=True)
class Perturbation:
    """Disturbances of one episode, per step of 0.1 s.

    Attributes:
        motion: Added to the expert's increments, shape (T, 6): translation and rotation vector
            in the base frame, in [m] and [rad].
        flipped: True where the gripper does the opposite, shape (T,).
    """

    motion: FloatArray
    flipped: NDArray[np.bool_]

    def disturbed(self, actions: FloatArray, start: float, height: float) -> FloatArray:
        """Return a chunk with the disturbances of its time.

        Args:
            actions: The expert's chunk, shape (n, 7), in the default convention.
            start: When its first action is due, in [s] since the episode began.
            height: Of the tool above the table, in [m]: close to it things are touched, and
                disturbances are smaller, none of them downwards.
        """
        at = max(0, round(start / STEP))
        steps = np.minimum(np.arange(at, at + len(actions)), len(self.flipped) - 1)
        moved = actions.copy()
        push = self.motion[steps] * float(np.clip(height / _FREE, _LEAST, 1.0))
        if height < _FREE:
            push[:, 2] = np.maximum(push[:, 2], 0.0)
        moved[:, :6] += push
        moved[:, 6] = np.where(self.flipped[steps], 1.0 - moved[:, 6], moved[:, 6])
        return moved


def draw_perturbation(rng: np.random.Generator, level: float, duration: float) -> Perturbation:
    """Draw the disturbances of an episode of a duration in [s].

    Level 0 is none, 1 drifts of some centimetres and a kick every 4 s.
    """
    count = round(duration / STEP) + 10
    drift = np.empty((count, 6))  # a smooth velocity, of the drift's size on average
    now = rng.normal(0.0, 1.0, 6)
    for step in range(count):
        now = _MEMORY * now + float(np.sqrt(1.0 - _MEMORY**2)) * rng.normal(0.0, 1.0, 6)
        drift[step] = now * _DRIFT
    motion = drift * (level * STEP)
    flipped = np.zeros(count, dtype=bool)
    for begin, end in _events(rng, count, _KICKS * level, _KICK_STEPS):
        motion[begin:end] += _KICK * rng.uniform(-1.0, 1.0, 6) * (min(level, 1.5) * STEP)
    for begin, end in _events(rng, count, _GRIPS * level, _GRIP_STEPS):
        flipped[begin:end] = True
    return Perturbation(motion, flipped)


def _events(
    rng: np.random.Generator, count: int, rate: float, lengths: tuple[int, int]
) -> list[tuple[int, int]]:
    """Return begin and end of events that come with a rate in [1/s]."""
    begins = np.flatnonzero(rng.random(count) < rate * STEP)
    return [(int(b), int(b + rng.integers(*lengths))) for b in begins]


class ExpertChunker:
    """The scripted expert, planning from the true state in the newest picture."""

    def __init__(self) -> None:
        self._expert: Expert | None = None

    def begin(self, config: RolloutConfig) -> None:
        """Make the expert of the scene.

        Raises:
            ConfigError: The task has no expert.
        """
        self._expert = make_expert(config.scene)

    def plan(self, view: SceneView) -> Window:
        """Plan from the true state."""
        if self._expert is None:
            raise RuntimeError("plan before begin")
        actions = self._expert.plan(view.truth.qpos, view.truth.cleaned)
        return Window(window=view.window, actions=actions)


def opening_of(view: SceneView) -> float:
    """Return the measured opening of the hand, 0 closed to 1 open."""
    ticks = np.clip(view.arm.fingers / RADIANS_PER_TICK, 0.0, CLOSED_TICKS)
    return float(np.mean([opening_from_ticks(t) for t in ticks]))


class PolicyChunker:
    """Plans with a checkpoint from the front camera's picture.

    Loaded once, a setup serves any number of chunkers; ``adp`` stands in place of its own settings.

    Raises:
        ConfigError: The pruner's settings are not allowed.
    """

    def __init__(self, setup: PolicySetup, adp: AdpSettings | None = None) -> None:
        self._setup = setup if adp is None else setup.with_adp(adp)
        self._planner = self._setup.planner(self._setup.convention)
        self._instruction = ""

    def begin(self, config: RolloutConfig) -> None:
        """Take the task's instruction; gate and pruner begin again with window 0."""
        self._instruction = config.scene.task.instruction
        self._planner = self._setup.planner(self._setup.convention)

    def plan(self, view: SceneView) -> Window:
        """Plan one window."""
        state = self._setup.state(lambda: view.arm)
        observation = Observation((view.rgb(),), self._instruction, state)
        return self._planner.plan(observation, view.window, view.measured)


def load_setup(
    checkpoint: Path, adp: AdpSettings, device: str = "cpu", **options: Any
) -> PolicySetup:
    """Load a checkpoint, onto ``cpu`` or ``cuda``, once for any number of chunkers.

    Args:
        checkpoint: Its directory, or a policy server's mapping file.
        adp: Settings of gate and pruning.
        device: Where it runs.
        options: Further settings of that kind of policy.

    Raises:
        CheckpointError: It is unusable, or does not declare what moving an arm needs.
        ConfigError: A setting does not fit it.
    """
    directory = checkpoint.expanduser()
    return declare_policy(load_policy(directory, device=device, **options), directory, adp)


_STREAM: Final = 0x_A0_1  # of random numbers, apart from the scene's


class NoisyExpert:
    """The scripted expert, disturbed as :func:`draw_perturbation` says.

    The same scene and level are always disturbed alike.
    """

    def __init__(self, level: float) -> None:
        self._level = level
        self._expert = ExpertChunker()
        self._perturbation: Perturbation | None = None

    def begin(self, config: RolloutConfig) -> None:
        """Draw the disturbances of the episode."""
        self._expert.begin(config)
        rng = np.random.default_rng([config.seed, _STREAM, *config.task.encode()])
        self._perturbation = draw_perturbation(rng, self._level, config.limit)

    def plan(self, view: SceneView) -> Window:
        """Plan from the true state, disturbed."""
        if self._perturbation is None:
            raise RuntimeError("plan before begin")
        clean = self._expert.plan(view)
        height = float(view.truth.pose.position[2])
        actions = self._perturbation.disturbed(clean.actions, view.time, height)
        return replace(clean, actions=actions)


class RelievedPolicy:
    """A policy that moves the arm, in a share of the windows relieved by the expert (DAgger).

    The windows are drawn in each episode; the same scene gives the same draws.
    """

    def __init__(self, policy: Chunker, expert_share: float) -> None:
        self._policy = policy
        self._share = expert_share
        self._expert = ExpertChunker()
        self._rng = np.random.default_rng(_STREAM)

    def begin(self, config: RolloutConfig) -> None:
        """Prepare both."""
        self._policy.begin(config)
        self._expert.begin(config)
        self._rng = np.random.default_rng([config.seed, _STREAM + 1, *config.task.encode()])

    def plan(self, view: SceneView) -> Window:
        """Let one of them plan; the policy always thinks, so that its gate stays in step."""
        planned = self._policy.plan(view)
        if self._rng.random() < self._share:
            return self._expert.plan(view)
        return planned
