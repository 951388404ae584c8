"""Notes a run for its report, from the topics of the nodes."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from std_msgs.msg import Header

from ..msg import GateState, InferenceLatency, PruneState, SafetyState
from ..report.run_log import (
    GateRecord,
    LatencyRecord,
    PathPoint,
    RunLog,
    SafetyRecord,
    WindowRecord,
)
from ..stages import STAGES
from .stamps import seconds

STATUS_NAMES: Final = ("disarmed", "armed", "running", "slowed", "stopped")
PATH_PERIOD: Final = 0.1  # [s]; the arm's pose comes far more often than a plot needs it
EARLY: Final = 1.0  # [s]; the first window's frame may be older than the start of the run
RELIABLE: Final = QoSProfile(depth=50)


@dataclass(slots=True)
class _Records:
    windows: list[WindowRecord] = field(default_factory=list)
    gates: list[GateRecord] = field(default_factory=list)
    latencies: list[LatencyRecord] = field(default_factory=list)
    safety: list[SafetyRecord] = field(default_factory=list)
    path: list[PathPoint] = field(default_factory=list)


class RunCollector:
    """Collects what a :class:`RunLog` holds, between :meth:`begin` and :meth:`end`.

    Args:
        node: Owner of the subscriptions.
        robot_type: Kinova's name of the arm, prefix of its topics.
    """

    def __init__(self, node: Node, robot_type: str) -> None:
        self._start = 0.0
        self._collecting = False
        self._records = _Records()
        listen = node.create_subscription
        listen(PruneState, "/adp/prune_state", self._on_prune, RELIABLE)
        listen(GateState, "/adp/gate_state", self._on_gate, RELIABLE)
        listen(InferenceLatency, "/adp/latency", self._on_latency, RELIABLE)
        listen(SafetyState, "/adp/safety_state", self._on_safety, RELIABLE)
        pose_topic = f"/{robot_type}_driver/out/tool_pose"
        listen(PoseStamped, pose_topic, self._on_pose, qos_profile_sensor_data)

    @property
    def start(self) -> float:
        """Stamp at which the run began, in [s]."""
        return self._start

    def begin(self, start: float) -> None:
        """Forget everything; take what comes and is stamped `start` [s] or little before."""
        self._start = start
        self._collecting = True
        self._records = _Records()

    def end(self) -> None:
        """Take nothing more."""
        self._collecting = False

    def run_log(self, title: str) -> RunLog:
        """Return what was collected so far."""
        records = self._records
        return RunLog(
            title=title,
            windows=tuple(records.windows),
            gates=tuple(records.gates),
            latencies=tuple(records.latencies),
            safety=tuple(records.safety),
            path=tuple(records.path),
        )

    def _time(self, header: Header) -> float | None:
        """Return a message's time in the run, None when it belongs to no run."""
        time = seconds(header.stamp) - self._start
        return time if self._collecting and time >= -EARLY else None

    def _on_prune(self, message: PruneState) -> None:
        if (time := self._time(message.header)) is not None:
            self._records.windows.append(window_record(message, time))

    def _on_gate(self, message: GateState) -> None:
        if (time := self._time(message.header)) is not None:
            self._records.gates.append(gate_record(message, time))

    def _on_latency(self, message: InferenceLatency) -> None:
        if (time := self._time(message.header)) is not None:
            self._records.latencies.append(latency_record(message, time))

    def _on_safety(self, message: SafetyState) -> None:
        if (time := self._time(message.header)) is not None:
            self._records.safety.append(safety_record(message, time))

    def _on_pose(self, message: PoseStamped) -> None:
        time = self._time(message.header)
        path = self._records.path
        if time is None or (path and time < path[-1].time + PATH_PERIOD):
            return
        position = message.pose.position
        if np.isfinite([position.x, position.y, position.z]).all():
            path.append(PathPoint(time, position.x, position.y, position.z))


def window_record(message: PruneState, time: float) -> WindowRecord:
    """Read the audit of one window, `time` [s] into the run."""
    return WindowRecord(
        time=time,
        window=message.window,
        tokens_total=message.tokens_total,
        tokens_kept=message.tokens_kept,
        flops=message.flops,
        flops_full=message.flops_full,
    )


def gate_record(message: GateState, time: float) -> GateRecord:
    """Read one decision of the gate."""
    return GateRecord(
        time=time,
        window=message.window,
        prune=message.next_state == GateState.PRUNED,
        reason=message.reason,
        rule=message.rule,
        motion=message.motion,
        upper=message.upper,
        lower=message.lower,
    )


def latency_record(message: InferenceLatency, time: float) -> LatencyRecord:
    """Read the times of one window."""
    times = (
        message.frame_age, message.preprocess, message.vision, message.scoring,
        message.llm, message.head, message.total, message.frame_to_chunk,
    )  # fmt: skip
    stages = dict(zip(STAGES, times, strict=True))
    return LatencyRecord(time=time, window=message.window, stages=stages)


def safety_record(message: SafetyState, time: float) -> SafetyRecord:
    """Read one state of the safety machine."""
    return SafetyRecord(
        time=time,
        status=STATUS_NAMES[message.status],
        cause=message.cause,
        message=message.message,
        residual=tuple(message.residual_torque),
        slow=tuple(message.slow_torque),
        stop=tuple(message.stop_torque),
    )
