"""Message classes by name, and chunks as the controller reads them."""

from importlib import import_module
from typing import Any, Literal, cast

import numpy as np

from ..errors import PolicyError
from ..msg import ActionChunk
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
