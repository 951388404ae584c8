"""The controller's own messages to and from the library's types."""

from typing import Literal, cast

import numpy as np

from ...errors import PolicyError
from ...msg import ActionChunk, SafetyState
from ...safety import SafetySnapshot, Status
from ...types import ACTION_SIZE, ActionConvention, Chunk
from .stamps import seconds

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


def safety_message(state: SafetySnapshot) -> SafetyState:
    """Pack the safety state; the header is left to the caller."""
    return SafetyState(
        status=int(state.status),
        cause=state.cause,
        message=state.message,
        residual_torque=state.residual.tolist(),
        slow_torque=state.slow.tolist(),
        stop_torque=state.stop.tolist(),
        armed=state.status in (Status.ARMED, Status.RUNNING, Status.SLOWED),
        latched=state.status is Status.STOPPED,
    )
