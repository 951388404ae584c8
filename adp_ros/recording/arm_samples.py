"""The arm's state at a time, from the driver's newest messages in a bag."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from ..arm.messages import joints_from_state, pose_from_message
from ..arm.robot import robot_named
from ..arm.units import RADIANS_PER_TICK
from ..errors import ObservationError
from ..policy.state_layout import ArmState
from .decode import Packed
from .timeline import Event, Kind

_PARTS: Final = (Kind.POSE, Kind.JOINTS, Kind.FINGERS)


class ArmSamples:
    """Finds messages by time.

    Args:
        read: Returns the arm's events, in order; called at the first look.
        robot_type: Kinova's name of the arm.
    """

    def __init__(self, read: Callable[[], Sequence[Event]], robot_type: str) -> None:
        self._read = read
        self._robot_type = robot_type
        self._samples: dict[Kind, tuple[list[int], list[Packed]]] | None = None

    def state(self, time: int) -> ArmState:
        """Return the newest state that had arrived at a time in [ns].

        Raises:
            BagError: A message can't be decoded.
            ConfigError: The robot is unknown.
            ObservationError: A part of it was not recorded.
        """
        robot = robot_named(self._robot_type)
        newest = {kind: self._newest(kind, time) for kind in _PARTS}
        for kind, message in newest.items():
            if message is None:
                raise ObservationError(f"nothing was recorded on {robot.topic_out(kind.value)}")
        fingers = newest[Kind.FINGERS]
        ticks = np.array([fingers.finger1, fingers.finger2, fingers.finger3])
        return ArmState(
            pose_from_message(newest[Kind.POSE]),
            joints_from_state(newest[Kind.JOINTS], robot),
            RADIANS_PER_TICK * ticks[: robot.fingers],
        )

    def _newest(self, kind: Kind, time: int) -> Any:
        if self._samples is None:
            self._samples = self._sorted()
        arrivals, messages = self._samples[kind]
        at = bisect_right(arrivals, time)
        return messages[at - 1].unpack() if at else None

    def _sorted(self) -> dict[Kind, tuple[list[int], list[Packed]]]:
        samples: dict[Kind, tuple[list[int], list[Packed]]] = {kind: ([], []) for kind in _PARTS}
        for event in self._read():
            if event.kind in samples:
                arrivals, messages = samples[event.kind]
                arrivals.append(event.arrival)
                messages.append(event.value)
        return samples
