"""Settings of chunk execution, and what a chunk must look like to be executed."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from ..errors import ConfigError, PolicyError
from ..settings import check_settings, setting
from ..types import ACTION_SIZE, Chunk

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
