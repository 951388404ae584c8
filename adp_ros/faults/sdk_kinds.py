"""Kinds of faults between our own driver and Kinova's SDK; they need the stand-in for it.

Where the driver stops the arm by itself the controller learns of it as it learns of an arm that
something holds: it commands motion and sees none.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from .kinds import ASKED, FEEDBACK, KINDS, Kind, Reaction

DRIVER: Final = "driver_node"
NOTICED: Final = 1.7  # [s]: commanded but not moving for 1 s, and what the ramp takes
_SAMPLES: Final = ("torque_", "pose_", "joints_", "position_")
_SEEN: Final = ("motion_", "pose_", "joints_", "not_moving", "blocked", "stuck")


def _kind(
    name: str,
    description: str,
    *causes: str,
    reaction: Reaction = Reaction.STOP,
    limit: float = FEEDBACK,
    standstill: float | None = ASKED,
    ends: str = "",
) -> Kind:
    return Kind(name, description, reaction, limit, causes, standstill, (DRIVER,), ends)


_ALL: Final = (
    _kind("sdk_torques_fail", "the torques can't be read", *_SAMPLES, standstill=None),
    _kind("sdk_joints_fail", "the joints can't be read", *_SAMPLES, standstill=None),
    _kind("sdk_pose_fails", "the tool pose can't be read", *_SAMPLES, standstill=None),
    _kind(
        "sdk_others_fail", "queue, status, speeds or forces can't be read",
        reaction=Reaction.NONE, standstill=None,
    ),
    _kind(
        "sdk_points_fail", "points can't be sent", *_SEEN, *_SAMPLES, limit=NOTICED, standstill=0.3
    ),
    _kind(
        "sdk_stop_fails", "/adp/stop is called, and StopControlAPI fails", "stop_called",
        limit=ASKED, standstill=0.4,
    ),
    _kind("sdk_old_data", "every read returns the same values", *_SAMPLES, limit=0.3,
          standstill=None),
    _kind("sdk_unplugged", "the arm is unplugged", "node_lost", *_SAMPLES),
    _kind("sdk_hang", "a call does not return", "node_lost", *_SAMPLES, ends=DRIVER),
    _kind("sdk_driver_kill", "SIGKILL of the driver", "node_lost", limit=ASKED, ends=DRIVER),
    _kind("sdk_joystick", "somebody uses the joystick", *_SEEN, limit=NOTICED, standstill=0.35),
    _kind(
        "sdk_slow", "a call takes 2.5 ms", reaction=Reaction.NONE, standstill=None
    ),
)  # fmt: skip

SDK_KINDS: Final[Mapping[str, Kind]] = MappingProxyType({kind.name: kind for kind in _ALL})
EVERY_KIND: Final[Mapping[str, Kind]] = MappingProxyType({**KINDS, **SDK_KINDS})
