"""What a fault does to messages on their way from the driver or the policy to the controller.

A filter takes each message and returns what is passed on instead. Messages are never changed in
place.
"""

from collections.abc import Callable
from copy import deepcopy
from math import degrees, nan
from typing import Any

from geometry_msgs.msg import PoseStamped
from kinova_msgs.msg import JointAngles
from sensor_msgs.msg import JointState

from ..errors import ConfigError
from ..msg import ActionChunk
from .stamps import seconds, time_message

Filter = Callable[[Any], list[Any]]


def dropping(_: Any) -> list[Any]:
    """Pass nothing."""
    return []


def repeating(times: int) -> Filter:
    """Pass each message several times."""
    return lambda message: [message] * times


def shifting(jump: float) -> Filter:
    """Stamp each message later by `jump` [s]."""

    def change(message: Any) -> list[Any]:
        changed = deepcopy(message)
        changed.header.stamp = time_message(seconds(message.header.stamp) + jump)
        return [changed]

    return change


def adding_torque(joint: int, torque: float) -> Filter:
    """Add a torque in [N m] to a joint, 1 to 6."""

    def change(message: JointAngles) -> list[JointAngles]:
        changed, name = deepcopy(message), f"joint{joint}"
        setattr(changed, name, getattr(message, name) + torque)
        return [changed]

    return change


def moved(way: float) -> Filter:
    """Put the tool pose elsewhere by a way along x, in [m]."""

    def change(message: PoseStamped) -> list[PoseStamped]:
        changed = deepcopy(message)
        changed.pose.position.x += way
        return [changed]

    return change


def turned(angle: float) -> Filter:
    """Turn joint 1 of the angles by an angle in [rad]."""

    def change(message: JointAngles) -> list[JointAngles]:
        changed = deepcopy(message)
        changed.joint1 += degrees(angle)
        return [changed]

    return change


class Freezing:
    """Passes the first message's values for ever, with fresh stamps."""

    def __init__(self) -> None:
        self._first: Any = None

    def __call__(self, message: Any) -> list[Any]:
        """Return the values of the first message."""
        if self._first is None:
            self._first = message
        changed = deepcopy(self._first)
        if not isinstance(message, JointAngles):
            changed.header.stamp = message.header.stamp
        return [changed]


class Once:
    """Applies a filter to the first message only."""

    def __init__(self, change: Filter) -> None:
        self._change = change
        self._done = False

    def __call__(self, message: Any) -> list[Any]:
        """Return the first message changed, every other one as it is."""
        if self._done:
            return [message]
        self._done = True
        return self._change(message)


class Swapping:
    """Lets the first two messages change places."""

    def __init__(self) -> None:
        self._held: Any = None
        self._done = False

    def __call__(self, message: Any) -> list[Any]:
        """Hold the first message until the second has passed."""
        if self._done:
            return [message]
        if self._held is None:
            self._held = message
            return []
        self._done = True
        return [message, self._held]


def not_a_number(message: Any) -> list[Any]:
    """Spoil one number of a sample."""
    changed = deepcopy(message)
    if isinstance(changed, JointAngles):
        changed.joint3 = nan
    elif isinstance(changed, JointState):
        changed.position[2] = nan
    else:
        changed.pose.position.x = nan
    return [changed]


def chunk_filter(kind: str) -> Filter:
    """Return what a fault of the policy does to its chunks.

    Args:
        kind: ``chunk_nan``, ``chunk_huge``, ``chunk_empty``, ``chunk_shape``, ``chunk_old``,
            ``chunk_lost`` or ``chunk_burst``.

    Raises:
        ConfigError: There is no such fault.
    """
    if kind == "chunk_lost":
        return dropping
    if kind == "chunk_burst":
        return repeating(50)
    if kind == "chunk_old":
        return shifting(-5.0)
    changes: dict[str, Callable[[list[float]], list[float]]] = {
        "chunk_nan": lambda actions: [*actions[:9], nan, *actions[10:]],
        "chunk_huge": lambda actions: [*actions[:7], 3.0, *actions[8:]],
        "chunk_empty": lambda _: [],
        "chunk_shape": lambda actions: actions[:13],
    }
    if kind not in changes:
        raise ConfigError(f"there is no fault of chunks {kind!r}")

    def change(message: ActionChunk) -> list[ActionChunk]:
        changed = deepcopy(message)
        changed.actions = changes[kind](list(message.actions))
        return [changed]

    return change
