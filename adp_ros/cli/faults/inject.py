"""Brings each kind of fault about, and takes it away again."""

import signal
import time
from typing import Final

from ...faults.kinds import KINDS, Kind
from ...faults.plan import Fault
from ...nodes.observers.fault_bench import TOPICS, FaultBench
from ...nodes.observers.fault_filters import (
    Filter,
    Freezing,
    Once,
    Swapping,
    adding_torque,
    chunk_filter,
    dropping,
    not_a_number,
    repeating,
    shifting,
)
from ...safety import TorqueConfig
from .processes import Processes

_SOURCES: Final = {
    "torque": "joint_torques",
    "pose": "tool_pose",
    "joints": "joint_state",
    "angles": "joint_angles",
}
_STAMPED: Final = ("tool_pose", "joint_state", "chunk")
_STORM: Final = ("stop", "reset", "start", "tare") * 15
_SLOW: Final = 1.5  # [s]
_HELD: Final = {"camera_loss": "camera_node", "inference_hang": "inference_node"}


class Injector:
    """One fault at a time. Times are monotonic, in [s].

    Args:
        bench: What messages pass through.
        processes: What can be killed.
    """

    def __init__(self, bench: FaultBench, processes: Processes) -> None:
        self._bench = bench
        self._processes = processes
        self._at: float | None = None
        self._held = ""

    def inject(self, fault: Fault) -> None:
        """Bring a fault about."""
        bench, kind = self._bench, KINDS[fault.kind]
        bench.changed_at, bench.over_at, self._at = {}, [], None
        if kind.ends:
            crash = kind.name == "inference_crash"
            self._at = time.monotonic()
            self._processes.send(kind.ends, signal.SIGSEGV if crash else signal.SIGKILL)
        elif kind.name in _HELD:
            self._held, self._at = _HELD[kind.name], time.monotonic()
            self._processes.send(self._held, signal.SIGSTOP)
        elif kind.name in ("stop_called", "service_storm"):
            self._at = time.monotonic()
            for name in _STORM if kind.name == "service_storm" else ("stop",):
                bench.call(name)
        elif kind.name == "table_press":
            bench.patrol.pressing = True
        elif kind.name == "policy_slow":
            bench.chunk_delay, self._at = _SLOW, time.monotonic()
        else:
            bench.filters = self._filters(fault)
            self._note_silence(kind)

    def moment(self, kind: Kind) -> float | None:
        """Return when the fault was there, None while it is not: no message was affected yet."""
        bench = self._bench
        if self._at is not None:
            return self._at
        if kind.name in ("torque_spike", "table_press"):
            return bench.over_at[0] if bench.over_at else None
        swapped = kind.name.endswith("_reordered")
        times = [t[swapped] for t in bench.changed_at.values() if len(t) > int(swapped)]
        return min(times) if times else None

    def clear(self, kind: Kind) -> None:
        """Take the fault away; a process that ended is started again."""
        self._bench.clear()
        if self._held:
            self._processes.send(self._held, signal.SIGCONT)
            self._held = ""
        if kind.ends:
            self._processes.start_again(kind.ends)

    def _note_silence(self, kind: Kind) -> None:
        """Silence begins with the last sample that has passed."""
        source, _, what = kind.name.partition("_")
        if what == "stale":
            self._at = self._bench.passed_at[_SOURCES[source]]

    def _filters(self, fault: Fault) -> dict[str, Filter]:
        source, _, what = fault.kind.partition("_")
        if fault.kind == "torque_spike":
            level = TorqueConfig().stop[fault.joint - 1]
            return {"joint_torques": adding_torque(fault.joint, fault.sign * fault.factor * level)}
        if fault.kind == "sample_burst":
            return {topic: Once(repeating(100)) for topic in TOPICS}
        if fault.kind == "clock_back":
            return {topic: shifting(-fault.jump) for topic in _STAMPED}
        if source == "chunk":
            return {"chunk": chunk_filter(fault.kind)}
        change: dict[str, Filter] = {
            "nan": Once(not_a_number),
            "stale": dropping,
            "frozen": Freezing(),
            "reordered": Swapping(),
        }
        return {_SOURCES[source]: change[what]}
