"""Kinds of faults, and what the controller must do about each: DESIGN's safety table, to test."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from types import MappingProxyType
from typing import Final

TORQUE: Final = 0.04  # [s] from the sample's arrival to the first zero; 99 % within half of it
FEEDBACK: Final = 0.15  # [s] from the last good sample, or from the bad one
ASKED: Final = 0.2  # [s] from the call, or from the end of the process
TOGETHER: Final = 0.3  # [s]: a centimetre of commanded way, at 0.04 m/s or more
GRAPH: Final = 0.3  # [s]: discovery, then a look at the graph every 50 ms
DISAGREES: Final = 0.6  # [s] from the first turn: 0.3 s are compared, three samples in a row
ENABLE: Final = 0.45  # [s] from the last message: 0.25 s of silence are allowed
CHUNK: Final = 0.6  # [s] from the bad chunk: at most one step, then the ramp from full speed
STARVED: Final = 2.0  # [s]: what was planned is finished, then the ramp
SPIKES: Final = ("torque_spike", "table_press")  # what one sample of the torque tells
PLANNERS: Final = ("camera_node", "inference_node")


class Reaction(str, Enum):
    """What must happen."""

    STOP = "stop"  # zero velocity, latched until a reset
    REST = "rest"  # to rest, not latched: motion goes on when the fault is over
    NONE = "none"  # nothing: the arm goes on

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault.

    Attributes:
        name: Stable short name.
        description: What is done, in words.
        reaction: What must happen.
        limit: Time from the fault to the first zero velocity, in [s].
        causes: Beginnings of the causes that may be given for a stop.
        standstill: Time from the fault until the tool stands still, in [s]; None: no limit.
        needs: Nodes that must run.
        ends: Node whose process ends, empty for none.
        homing: It comes while the arm is on its way home.
        braking: Longest time in [s] and way in [m] from the first zero velocity to standstill;
            None: no limit.
        fingers: Largest motion of the fingers after the first zero velocity, as a share of their
            travel; None: no limit.
    """

    name: str
    description: str
    reaction: Reaction
    limit: float = FEEDBACK
    causes: tuple[str, ...] = ()
    standstill: float | None = None
    needs: tuple[str, ...] = ()
    ends: str = ""
    homing: bool = False
    braking: tuple[float, float] | None = None
    fingers: float | None = None

    @property
    def fault(self) -> str:
        """What is done, whatever the arm does meanwhile."""
        return self.name.removeprefix(_HOME)


_HOME: Final = "home_"
_BRAKING: Final = (0.25, 0.015)  # [s], [m] at up to 0.1 m/s
_FINGERS: Final = 0.02


def _home(kind: Kind) -> Kind:
    """Make a kind that comes while the arm is on its way home."""
    text = f"on the way home: {kind.description}"
    name = f"{_HOME}{kind.name}"
    return replace(kind, name=name, description=text, homing=True, braking=_BRAKING)


def _stop(name: str, description: str, *causes: str, limit: float = FEEDBACK) -> Kind:
    return Kind(name, description, Reaction.STOP, limit, causes)


def _kill(name: str, description: str, node: str, *causes: str) -> Kind:
    needs = (node,) if node in PLANNERS else ()
    limit = FEEDBACK if node == "sim_node" else ASKED
    unseen = node == "sim_node" or "SIGKILL" not in description  # the twin itself; a core dump
    standstill = None if unseen else ASKED
    return Kind(name, description, Reaction.STOP, limit, causes, standstill, needs, node)


def _rest(name: str, description: str, *needs: str, limit: float = CHUNK) -> Kind:
    return Kind(name, description, Reaction.REST, limit, needs=needs)


def _none(name: str, description: str) -> Kind:
    return Kind(name, description, Reaction.NONE)


def _samples(source: str, topic: str, cause: str, *, stamped: bool) -> list[Kind]:
    kinds = [
        _stop(f"{source}_nan", f"one {topic} sample is not a number", f"{cause}_nan"),
        _stop(f"{source}_stale", f"{topic} falls silent", f"{cause}_stale"),
        _stop(f"{source}_frozen", f"{topic} repeats one value", f"{cause}_frozen"),
    ]
    if stamped:
        text = f"two {topic} samples change places"
        kinds.append(_stop(f"{source}_reordered", text, f"{cause}_order"))
    return kinds


_ALL: Final = (
    _stop("torque_spike", "torque of one joint beyond its level", "torque", limit=TORQUE),
    _stop("table_press", "the arm presses on the table at 0.05 m/s", "torque", limit=TORQUE),
    *_samples("torque", "joint_torques", "torque", stamped=False),
    *_samples("pose", "tool_pose", "pose", stamped=True),
    *_samples("joints", "joint_state", "joints", stamped=True),
    *_samples("angles", "joint_angles", "joints", stamped=False),
    _none("torque_reordered", "two joint_torques samples, which have no stamp, change places"),
    _none("sample_burst", "the driver's samples come 100 times each"),
    _stop("clock_back", "the driver's clock jumps back", "pose_order", "joints_order"),
    _stop("clock_ahead", "the driver's clock jumps ahead", "pose_future", "joints_future"),
    _stop(
        "position_frozen", "pose and both joint sources repeat one value", "position_frozen",
        "motion_disagrees", "pose_frozen", "joints_frozen", limit=TOGETHER,
    ),
    _stop("pose_apart", "tool_pose is 10 cm off", "pose_jump", "pose_disagrees"),
    _stop("angles_apart", "joint_angles are 0.3 rad off", "joints_jump", "joints_disagree"),
    _stop("controller_pause", "the controller is paused for 1 s", "time_gap", limit=ASKED),
    _stop(
        "second_velocity", "another node publishes velocities", "second_publisher", limit=GRAPH
    ),
    _stop("second_chunks", "another node publishes chunks", "second_publisher", limit=GRAPH),
    _stop("enable_loss", "the enabling device falls silent", "enable_lost", limit=ENABLE),
    _rest("chunk_nan", "chunks hold a value that is not a number"),
    _rest("chunk_huge", "chunks hold a translation of 3 m"),
    _rest("chunk_empty", "chunks are empty"),
    _rest("chunk_shape", "chunks hold 13 numbers"),
    _rest("chunk_old", "chunks' frames are 5 s old", limit=STARVED),
    _rest("chunk_lost", "chunks are lost", limit=STARVED),
    _none("chunk_burst", "each chunk comes 50 times"),
    _rest("policy_slow", "chunks come 1.5 s later", limit=STARVED),
    _rest("camera_loss", "the camera hangs (SIGSTOP)", *PLANNERS, limit=STARVED),
    _rest("inference_hang", "inference hangs (SIGSTOP)", *PLANNERS, limit=STARVED),
    _stop("stop_called", "/adp/stop is called", "stop_called", limit=ASKED),
    replace(
        _stop("backlog", "stop with 50 messages in the driver's queue", "stop_called", limit=ASKED),
        braking=_BRAKING,
    ),
    replace(
        _stop("fingers_stop", "stop while the fingers close", "stop_called", limit=ASKED),
        fingers=_FINGERS,
    ),
    replace(
        _stop("dead_services", "stop; the driver's services never answer", "stop_called",
              limit=ASKED),
        braking=_BRAKING,
    ),
    _stop("wrong_frame", "the driver reads angular velocity in the other frame",
          "motion_disagrees", limit=DISAGREES),
    _stop("driver_pause", "the driver is paused for 1 s", "torque_", "pose_", "joints_",
          "fingers_"),
    _none("second_launch", "the same arm is launched a second time"),
    _home(_stop("stop_called", "/adp/stop is called", "stop_called", limit=ASKED)),
    _home(_stop("torque_spike", "torque of one joint beyond its level", "torque", limit=TORQUE)),
    _home(_stop("pose_stale", "tool_pose falls silent", "pose_stale")),
    _home(_stop("torque_nan", "one joint_torques sample is not a number", "torque_nan")),
    _home(
        _stop("second_velocity", "another node publishes velocities", "second_publisher",
              limit=GRAPH)
    ),
    _stop("service_storm", "60 calls of stop, reset, start and tare", "stop_called", limit=ASKED),
    _kill("camera_kill", "SIGKILL of the camera", "camera_node", "node_lost"),
    _kill("inference_kill", "SIGKILL of inference", "inference_node", "node_lost"),
    _kill("inference_crash", "inference crashes (SIGSEGV)", "inference_node", "node_lost"),
    _kill(
        "driver_kill", "SIGKILL of the driver (sim_node), then restart", "sim_node",
        "torque_", "pose_", "joints_",
    ),
    _kill("controller_kill", "SIGKILL of the controller: the stream ends", "controller_node"),
)  # fmt: skip

KINDS: Final[Mapping[str, Kind]] = MappingProxyType({kind.name: kind for kind in _ALL})
