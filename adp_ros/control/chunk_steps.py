"""Grid of policy steps, what a chunk wants in each, and what a chunk must look like."""

from dataclasses import dataclass
from math import ceil, floor
from typing import Final

import numpy as np

from ..errors import ConfigError, PolicyError
from ..settings import check_settings, setting
from ..types import ACTION_SIZE, Chunk, FloatArray

_PERIOD_TOLERANCE: Final = 0.01  # share by which a chunk's step period may differ from ours
_GRIPPER_SLACK: Final = 0.5  # a regression head overshoots 0 and 1; the controller clips


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkConfig:
    """How chunks are timed, merged and requested."""

    execution: str = setting(
        "pipelined",
        "pipelined: the next chunk is computed while this one runs, no step is idle; "
        "sync: the arm waits for each chunk, as in the paper.",
        choices=("pipelined", "sync"),
    )
    merge: str = setting(
        "replace",
        "What happens where two chunks overlap: the new one replaces the old one, or they are "
        "blended over two steps.",
        choices=("replace", "blend"),
    )
    step_period: float = setting(
        0.1, "Time from one policy step to the next.", unit="s", low=0.02, high=1.0
    )
    late_limit: float = setting(
        0.05,
        "An action that is further past its due time is dropped.",
        unit="s",
        low=0.01,
        high=0.5,
    )
    max_age: float = setting(
        2.0,
        "A chunk whose frame is older than this on arrival is refused as stale.",
        unit="s",
        low=0.1,
        high=60.0,
    )
    frame_limit: float = setting(
        1.0,
        "Age of the frame at which an action that was planned from it is no longer executed, "
        "however long the chunk; in sync execution it counts from the chunk's arrival.",
        unit="s",
        low=0.1,
        high=60.0,
    )
    rest_limit: float = setting(
        5.0,
        "Time without any action to execute that stops the arm; until then it waits at rest.",
        unit="s",
        low=0.5,
        high=600.0,
    )
    max_steps: int = setting(64, "Longest chunk that is taken.", unit="actions", low=1, high=1000)
    max_translation: float = setting(
        0.1, "Longest translation of one action that is taken.", unit="m", low=0.001, high=1.0
    )
    max_rotation: float = setting(
        0.6, "Largest rotation of one action that is taken.", unit="rad", low=0.01, high=3.0
    )
    initial_latency: float = setting(
        0.3,
        "Latency from request to chunk assumed until the first chunk has arrived.",
        unit="s",
        low=0.0,
        high=10.0,
    )
    min_lead: float = setting(
        0.4,
        "Shortest time before the end of a chunk at which the next one is requested: slack for a "
        "policy that is slower once than its 95th percentile and one step.",
        unit="s",
        low=0.0,
        high=10.0,
    )
    request_timeout: float = setting(
        2.0,
        "A request that stays unanswered for this long is repeated.",
        unit="s",
        low=0.1,
        high=600.0,
    )

    def __post_init__(self) -> None:
        check_settings(self, "chunk.")
        if self.late_limit > self.step_period / 2:
            raise ConfigError(
                f"chunk.late_limit is {self.late_limit}, allowed: up to half of "
                f"chunk.step_period, {self.step_period / 2:g}"
            )


def check_chunk(chunk: Chunk, config: ChunkConfig) -> None:
    """Refuse a chunk that must not move the arm.

    Args:
        chunk: What a policy planned.
        config: Limits.

    Raises:
        PolicyError: Says which number is wrong and what is allowed.
    """
    actions = chunk.actions
    if actions.ndim != 2 or actions.shape[1] != ACTION_SIZE:
        raise PolicyError(f"chunk has shape {actions.shape}, (steps, {ACTION_SIZE}) is needed")
    if not 1 <= len(actions) <= config.max_steps:
        raise PolicyError(f"chunk has {len(actions)} actions, allowed: 1 to {config.max_steps}")
    if not np.isfinite(actions).all():
        step, column = np.argwhere(~np.isfinite(actions))[0]
        raise PolicyError(f"chunk has {actions[step, column]} in action {step}, number {column}")
    if not abs(chunk.step_period / config.step_period - 1.0) <= _PERIOD_TOLERANCE:
        raise PolicyError(
            f"chunk has a step_period of {chunk.step_period:g} s, "
            f"the controller runs at {config.step_period:g} s"
        )
    _check_range(chunk, config)


def _check_range(chunk: Chunk, config: ChunkConfig) -> None:
    translation = np.linalg.norm(chunk.actions[:, :3], axis=1)
    rotation = np.linalg.norm(chunk.actions[:, 3:6], axis=1)
    gripper = np.abs(chunk.actions[:, 6] - 0.5)
    for name, sizes, limit, unit in (
        ("a translation", translation, config.max_translation, " m"),
        ("a rotation", rotation, config.max_rotation, " rad"),
        ("a gripper value off centre", gripper, 0.5 + _GRIPPER_SLACK, ""),
    ):
        worst = int(np.argmax(sizes))
        if sizes[worst] > limit:
            raise PolicyError(
                f"chunk has {name} of {sizes[worst]:.3g}{unit} in action {worst}, "
                f"allowed: up to {limit:g}{unit}"
            )


ROUNDING: Final = 1e-6  # share of a period that counts as the same instant


@dataclass(frozen=True, slots=True)
class StepGrid:
    """Slots of one step each.

    Attributes:
        origin: Start of slot 0, in [s].
        period: In [s].
    """

    origin: float
    period: float

    def start(self, slot: int) -> float:
        """Return the start of a slot, in [s]."""
        return self.origin + slot * self.period

    def slot_at(self, now: float) -> int:
        """Return the slot that a time lies in."""
        return floor((now - self.origin) / self.period + ROUNDING)

    def slot_for(self, due: float, lateness: float) -> int:
        """Return the last slot that starts at most ``lateness`` after an action's due time."""
        return floor((due + lateness - self.origin) / self.period + ROUNDING)

    @classmethod
    def through(cls, due: float, period: float, now: float, lateness: float) -> "StepGrid":
        """Lay out a grid on the due times of a chunk.

        Args:
            due: Due time of its first action, in [s].
            period: In [s].
            now: Time in [s]; slot 0 is the first that started less than ``lateness`` ago.
            lateness: In [s].
        """
        passed = max(0, ceil((now - lateness - due) / period - ROUNDING))
        return cls(due + passed * period, period)


_MOTION: Final = 6  # numbers of an action that are a motion; the last one is the gripper


def action_between(actions: FloatArray, at: float) -> FloatArray:
    """Return the motion of one step that begins at a place between two actions.

    The step gets of each of the two actions the share that falls into it, so that steps in a row
    move exactly as far as the chunk wanted until then. Increments are small, so shares of
    rotations add up, too. The gripper is that of the action with the larger share.

    Args:
        actions: Increments of one step each and the gripper, shape (T, 7).
        at: Where the step begins, counted in actions from the start of the first; before it and
            beyond the last one the step is the first action, or the last.

    Returns:
        Shape (7,), float64.
    """
    last = len(actions) - 1
    within = min(max(at, 0.0), float(last))
    before = int(within + ROUNDING)
    share = within - before  # of the action after
    if share < ROUNDING:
        return np.array(actions[before], dtype=np.float64)
    pair = np.array(actions[before : before + 2], dtype=np.float64)  # (2, 7)
    mixed: FloatArray = pair[round(share)].copy()
    mix_motion(mixed, pair[0], pair[1], share)
    return mixed


def mix_motion(into: FloatArray, first: FloatArray, second: FloatArray, share: float) -> None:
    """Give an action the motion of two others; its gripper stays.

    Args:
        into: Action that is changed, shape (7,).
        first: An action.
        second: Another one.
        share: Of the second, 0 to 1.
    """
    into[:_MOTION] = (1.0 - share) * first[:_MOTION] + share * second[:_MOTION]
