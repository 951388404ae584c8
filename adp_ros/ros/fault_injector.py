"""The processes of a campaign, and how each kind of fault is brought about."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from ..control.torque import TorqueConfig
from ..faults.kinds import SPIKES, Kind
from ..faults.plan import Fault
from ..faults.sdk_kinds import EVERY_KIND, SDK_KINDS
from .fault_bench import CHUNKS, COMMANDS, DRIVER_SERVICES, TOPICS, FaultBench, tampered
from .fault_filters import (
    Filter,
    Freezing,
    Once,
    Swapping,
    adding_torque,
    chunk_filter,
    dropping,
    moved,
    not_a_number,
    repeating,
    shifting,
    turned,
)
from .launch_table import NodeSpec
from .runner import Ended, Program, Runner, node_program
from .stand_in_faults import StandInFaults

# Pictures go through shared memory: after one of the two was killed inside of it, the other may
# go on writing without a reader. A launch ends all nodes when one ends; so these begin together.
PICTURES = ("camera_node", "inference_node")
# The controller knows nothing of the table, so that the arm can be pressed on it.
BLIND = (
    "envelope.table_height:=-0.4",
    "envelope.workspace_low:=[-0.45, -0.75, -0.3]",
)


def campaign_program(spec: NodeSpec, parameters: Sequence[str] = ()) -> Program:
    """Return the process of a node; the controller hears everything through the bench.

    Args:
        spec: Row of the node table.
        parameters: Further parameters ``name:=value`` of the controller.
    """
    program = node_program(spec)
    if spec.executable != "controller_node":
        return program
    driver = f"/{spec.parameters['robot_type']}_driver/out/"
    calls = driver.removesuffix("out/") + "in/"
    topics = [*(driver + name for name in TOPICS), CHUNKS]
    topics += [calls + name for name in (*DRIVER_SERVICES, *COMMANDS)]
    words = [f"{topic}:={tampered(topic)}" for topic in topics]
    extra = [word for remap in words for word in ("-r", remap)]
    extra += [word for parameter in (*BLIND, *parameters) for word in ("-p", parameter)]
    return replace(program, words=(*program.words, *extra))


class Processes:
    """Starts and ends the nodes of a campaign; use it from the main thread.

    Args:
        specs: Rows of the node table.
        environment: Environment of every process.
        write_line: Gets node and line of what they say.
        parameters: Further parameters ``name:=value`` of the controller.
    """

    def __init__(
        self,
        specs: Sequence[NodeSpec],
        environment: Mapping[str, str],
        write_line: Callable[[str, str], None],
        parameters: Sequence[str] = (),
    ) -> None:
        self._specs = {spec.name: spec for spec in specs}
        self._environment, self._write_line = environment, write_line
        self._parameters = parameters
        self._runners = {
            spec.name: Runner([campaign_program(spec, parameters)], environment, write_line)
            for spec in specs
        }

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the nodes."""
        return tuple(self._runners)

    def start(self) -> None:
        """Start all of them."""
        for runner in self._runners.values():
            runner.start()

    def exchange(self, name: str, *parameters: str) -> None:
        """Start a node once more, with further parameters ``name:=value``."""
        runner, spec = self._runners[name], self._specs[name]
        runner.stop()
        program = campaign_program(spec, self._parameters)
        words = [word for parameter in parameters for word in ("-p", parameter)]
        program = replace(program, words=(*program.words, *words))
        self._runners[name] = Runner([program], self._environment, self._write_line)
        self._runners[name].start()

    def start_again(self, name: str) -> None:
        """Start a node whose process has ended, and the one it shares memory with.

        What has not ended is ended first.
        """
        names = PICTURES if name in PICTURES else (name,)
        for each in names:
            self._runners[each].stop()
        for each in names:
            self._runners[each].start()

    def send(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a node."""
        self._runners[name].send_signal(number)

    def ended(self) -> Ended | None:
        """Return a process that has ended, None while all run."""
        found = (runner.ended() for runner in self._runners.values())
        return next((ended for ended in found if ended is not None), None)

    def stop(self) -> None:
        """End all of them."""
        for runner in self._runners.values():
            runner.send_signal(signal.SIGCONT)
            runner.send_signal(signal.SIGINT)
        for runner in self._runners.values():
            runner.stop()


_SOURCES: Final = {
    "torque": "joint_torques",
    "pose": "tool_pose",
    "joints": "joint_state",
    "angles": "joint_angles",
}
_STAMPED: Final = ("tool_pose", "joint_state", "chunk")
_STORM: Final = ("stop", "reset", "start", "tare") * 15
_POSITIONS: Final = ("tool_pose", "joint_state", "joint_angles")
_SLOW: Final = 1.5  # [s]
_PAUSE: Final = 1.0  # [s]
_HOLD: Final = 0.5  # [s] of the enabling device before its loss
_LINES: Final = {"second_velocity": "velocity", "second_chunks": "chunks"}
_CROWD: Final = 50  # messages in the driver's queue
_HALF_CLOSED: Final = 0.3  # of the fingers' travel
_TURNS: Final = 0.1  # [rad/s]
OTHER_FRAME: Final = "driver.angular_frame:=base"
_LAUNCH: Final = ("-m", "adp_ros.cli", "launch", "jaco2_task", "policy:=hold", "camera:=none")
_LAUNCH_TIME: Final = 60.0  # [s] until a second launch has given up
_HELD: Final = {"camera_loss": "camera_node", "inference_hang": "inference_node"}


class Injector:
    """One fault at a time. Times are monotonic, in [s].

    Args:
        bench: What messages pass through.
        processes: What can be killed.
        stand_in: Orders faults of the stand-in for the SDK, None without it.
    """

    def __init__(
        self, bench: FaultBench, processes: Processes, stand_in: StandInFaults | None = None
    ) -> None:
        self._stand_in = stand_in
        self._bench = bench
        self._processes = processes
        self._at: float | None = None
        self._held = ""
        self.problem = ""  # what went wrong besides what the bench sees

    def inject(self, fault: Fault) -> None:
        """Bring a fault about."""
        bench, kind = self._bench, EVERY_KIND[fault.kind]
        self.problem = ""
        bench.changed_at, bench.over_at, self._at = {}, [], None
        if kind.name in SDK_KINDS:
            self._at = self._order(fault)
        elif kind.ends:
            crash = kind.name == "inference_crash"
            self._at = time.monotonic()
            self._processes.send(kind.ends, signal.SIGSEGV if crash else signal.SIGKILL)
        elif kind.name in _HELD:
            self._held, self._at = _HELD[kind.name], time.monotonic()
            self._processes.send(self._held, signal.SIGSTOP)
        elif kind.fault in _CALLS:
            self._at = time.monotonic()
            bench.services_dead = kind.fault == "dead_services"
            for name in _CALLS[kind.fault]:
                bench.call(name)
        elif kind.name in _ACTS:
            _ACTS[kind.name](self)
        elif kind.fault in _LINES:
            self._at = time.monotonic()
            bench.intrude(_LINES[kind.fault])
        elif kind.name == "enable_loss":
            bench.enabling = True
            time.sleep(_HOLD)
            bench.enabling, self._at = False, time.monotonic()
        elif kind.name == "table_press":
            bench.patrol.pressing = True
        elif kind.name == "policy_slow":
            bench.chunk_delay, self._at = _SLOW, time.monotonic()
        else:
            bench.filters = self._filters(fault)
            self._note_silence(kind)

    def _pause_controller(self) -> None:
        self._processes.send("controller_node", signal.SIGSTOP)
        time.sleep(_PAUSE)
        self._at = time.monotonic()
        self._processes.send("controller_node", signal.SIGCONT)

    def _pause_driver(self) -> None:
        """Silence begins with the last sample that has passed."""
        self._processes.send("sim_node", signal.SIGSTOP)
        time.sleep(_PAUSE)
        self._at = max(self._bench.passed_at.values())
        self._processes.send("sim_node", signal.SIGCONT)

    def _crowd(self) -> None:
        self._bench.crowd(_CROWD)
        self._at = time.monotonic()
        self._bench.call("stop")

    def _stop_closing_hand(self) -> None:
        self._bench.patrol.closing = True
        deadline = time.monotonic() + _PATIENCE
        while self._bench.closure < _HALF_CLOSED and time.monotonic() < deadline:
            time.sleep(0.005)
        if self._bench.closure < _HALF_CLOSED:
            self.problem = "the fingers did not close"
        self._at = time.monotonic()
        self._bench.call("stop")

    def _await_turn(self) -> None:
        """The fault is there with the first turn: the twin already reads the other frame."""
        deadline = time.monotonic() + _PATIENCE
        while self._bench.commanded_turn() < _TURNS and time.monotonic() < deadline:
            time.sleep(0.005)
        self._at = time.monotonic()

    def _launch(self) -> None:
        self._at = time.monotonic()
        command = [sys.executable, *_LAUNCH]
        ended = subprocess.run(
            command, capture_output=True, text=True, timeout=_LAUNCH_TIME, check=False
        )
        if ended.returncode != 2 or "has the arm" not in ended.stderr:
            self.problem = f"the second launch ended with {ended.returncode}: {ended.stderr[-200:]}"

    def _order(self, fault: Fault) -> float:
        """Bring a fault between driver and SDK about; return when."""
        if self._stand_in is None:
            raise RuntimeError(f"{fault.kind} needs the stand-in")
        at = self._stand_in.order(fault)
        if fault.kind == "sdk_driver_kill":
            self._processes.send("driver_node", signal.SIGKILL)
        elif fault.kind == "sdk_stop_fails":
            self._bench.call("stop")
        return at

    def stop_call(self, kind: Kind) -> float | None:
        """Return the time from the fault to the driver's call of StopControlAPI, in [s]."""
        at = self.moment(kind)
        return None if self._stand_in is None or at is None else self._stand_in.stop_call(at)

    def moment(self, kind: Kind) -> float | None:
        """Return when the fault was there, None while it is not: no message was affected yet."""
        bench = self._bench
        if self._at is not None:
            return self._at
        if kind.fault in SPIKES:
            return bench.over_at[0] if bench.over_at else None
        swapped = kind.name.endswith("_reordered")
        times = [t[swapped] for t in bench.changed_at.values() if len(t) > int(swapped)]
        return min(times) if times else None

    def clear(self, kind: Kind) -> None:
        """Take the fault away; a process that ended is started again."""
        self._bench.clear()
        if self._stand_in is not None:
            self._stand_in.clear()
        if self._held:
            self._processes.send(self._held, signal.SIGCONT)
            self._held = ""
        if kind.ends:
            self._processes.start_again(kind.ends)

    def _note_silence(self, kind: Kind) -> None:
        """Silence begins with the last sample that has passed."""
        source, _, what = kind.fault.partition("_")
        if what == "stale":
            self._at = self._bench.passed_at[_SOURCES[source]]

    def _filters(self, fault: Fault) -> dict[str, Filter]:
        name = EVERY_KIND[fault.kind].fault
        source, _, what = name.partition("_")
        if name == "torque_spike":
            level = TorqueConfig().stop[fault.joint - 1]
            return {"joint_torques": adding_torque(fault.joint, fault.sign * fault.factor * level)}
        several: dict[str, dict[str, Filter]] = {
            "sample_burst": {topic: Once(repeating(100)) for topic in TOPICS},
            "clock_ahead": {topic: shifting(fault.jump) for topic in _STAMPED[:2]},
            "clock_back": {topic: shifting(-fault.jump) for topic in _STAMPED},
            "position_frozen": {topic: Freezing() for topic in _POSITIONS},
            "pose_apart": {"tool_pose": moved(0.1 * fault.sign)},
            "angles_apart": {"joint_angles": turned(0.3 * fault.sign)},
        }
        if fault.kind in several:
            return several[fault.kind]
        if source == "chunk":
            return {"chunk": chunk_filter(fault.kind)}
        change: dict[str, Filter] = {
            "nan": Once(not_a_number),
            "stale": dropping,
            "frozen": Freezing(),
            "reordered": Swapping(),
        }
        return {_SOURCES[source]: change[what]}


_PATIENCE: Final = 8.0  # [s]
_CALLS: Final[Mapping[str, Sequence[str]]] = MappingProxyType(
    {"stop_called": ("stop",), "service_storm": _STORM, "dead_services": ("stop",)}
)
_ACTS: Final[Mapping[str, Callable[[Injector], None]]] = MappingProxyType(
    {
        "controller_pause": Injector._pause_controller,
        "driver_pause": Injector._pause_driver,
        "backlog": Injector._crowd,
        "fingers_stop": Injector._stop_closing_hand,
        "wrong_frame": Injector._await_turn,
        "second_launch": Injector._launch,
    }
)
