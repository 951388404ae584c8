"""The package's own messages to and from the library's types."""

from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module
from typing import Any, Literal, cast

import numpy as np

from ..adp.gate_rules import Decision
from ..errors import PolicyError
from ..health import LatencySummary
from ..msg import ActionChunk, GateState, InferenceLatency, PruneState
from ..policies.window import STAGES, TokenAudit, Window, WindowTimes, decision_columns
from ..types import ACTION_SIZE, ActionConvention, Chunk
from .stamps import seconds


def message_class(type_name: str) -> type[Any]:
    """Return the class of a type such as ``sensor_msgs/msg/Image``.

    Raises:
        ImportError, KeyError: It is not installed.
        ValueError: The name is none of a message.
    """
    package, kind, name = type_name.split("/")
    found: type[Any] = vars(import_module(f"{package}.{kind}"))[name]
    return found


_Frame = Literal["base", "tool"]
_Rotation = Literal["euler_xyz", "rpy", "rotvec"]


def chunk_from_message(msg: ActionChunk, clock_offset: float) -> Chunk:
    """Read a chunk.

    Args:
        msg: The message.
        clock_offset: Added to its stamp, to get from ROS time to the controller's clock, in [s].

    Raises:
        PolicyError: When the actions are not rows of 7.
        ConfigError: When a frame or the rotation order is unknown.
    """
    actions = np.array(msg.actions, dtype=np.float64)
    if actions.size == 0 or actions.size % ACTION_SIZE:
        raise PolicyError(
            f"chunk has {actions.size} numbers, a multiple of {ACTION_SIZE} is needed"
        )
    convention = ActionConvention(
        cast(_Frame, msg.translation_frame),
        cast(_Frame, msg.rotation_frame),
        cast(_Rotation, msg.rotation),
    )
    return Chunk(
        actions=actions.reshape(-1, ACTION_SIZE),
        stamp=seconds(msg.header.stamp) + clock_offset,
        window=int(msg.window),
        step_period=float(msg.step_period),
        convention=convention,
        pruned=bool(msg.pruned),
    )


def chunk_message(window: Window, step_period: float, policy: str) -> ActionChunk:
    """Pack what is executed in a window; the header is left to the caller.

    Args:
        window: The window.
        step_period: Time from one action to the next in [s].
        policy: Which policy planned it.
    """
    convention = window.convention
    return ActionChunk(
        window=window.window,
        step_period=step_period,
        actions=np.ascontiguousarray(window.actions, dtype=np.float64).ravel().tolist(),
        pruned=window.pruned,
        policy=policy,
        translation_frame=convention.translation_frame,
        rotation_frame=convention.rotation_frame,
        rotation=convention.rotation,
    )


def gate_message(decision: Decision) -> GateState:
    """Pack a decision of the gate about the window that closed."""
    columns = decision_columns(decision)
    states = {name: int(columns[name]) for name in ("state", "next_state")}
    return GateState(**columns | states)


def prune_message(audit: TokenAudit, window: int) -> PruneState:
    """Pack the audit of one forward pass."""
    return PruneState(window=window, **audit.columns())


def latency_message(
    times: WindowTimes, window: int, summaries: Sequence[LatencySummary]
) -> InferenceLatency:
    """Pack the stage times of one window and the statistics of the last ones, in [ms]."""
    return InferenceLatency(
        window=window,
        **asdict(times),
        stages=list(STAGES),
        mean=[s.mean for s in summaries],
        p50=[s.p50 for s in summaries],
        p95=[s.p95 for s in summaries],
        p99=[s.p99 for s in summaries],
    )
