"""Notes a run for its report, from the topics of the nodes."""

from typing import Final

from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from std_msgs.msg import Header

from ...msg import GateState, InferenceLatency, PruneState, SafetyState
from ...report.from_messages import (
    gate_record,
    latency_record,
    safety_record,
    window_record,
)
from ...report.records import RunRecords
from ...report.run_log import PathPoint, RunLog
from ..messages.stamps import seconds

EARLY: Final = 1.0  # [s]; the first window's frame may be older than the start of the run
RELIABLE: Final = QoSProfile(depth=50)


class RunCollector:
    """Collects what a :class:`RunLog` holds, between :meth:`begin` and :meth:`end`.

    Args:
        node: Owner of the subscriptions.
        robot_type: Kinova's name of the arm, prefix of its topics.
    """

    def __init__(self, node: Node, robot_type: str) -> None:
        self._start = 0.0
        self._collecting = False
        self._records = RunRecords()
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
        self._records = RunRecords()

    def end(self, last: SafetyState | None) -> None:
        """Take nothing more but the state that ended the run, if it has not come here yet.

        Args:
            last: Newest state that the caller has heard.
        """
        if last is not None:
            safety, time = self._records.safety, self._time(last.header)
            if time is not None and (not safety or safety[-1].time < time):
                safety.append(safety_record(last, time))
        self._collecting = False

    def run_log(self, title: str) -> RunLog:
        """Return what was collected so far."""
        return self._records.run_log(title)

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
        if time is not None:
            position = message.pose.position
            self._records.note_position(PathPoint(time, position.x, position.y, position.z))
