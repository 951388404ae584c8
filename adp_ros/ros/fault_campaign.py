"""A campaign: start, move, fault, look, stop, reset, again."""

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from ..control.torque import TorqueConfig
from ..errors import AdpError
from ..faults.judge import Judgement, judge
from ..faults.kinds import KINDS, Kind, Reaction
from ..faults.plan import Fault
from .fault_bench import CHUNKS, TOPICS, FaultBench, tampered
from .fault_filters import (
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
from .launch_table import NodeSpec
from .runner import Ended, Program, Runner, node_program
from .twin_run import refusal

_POLL: Final = 0.005  # [s]
_ANSWER: Final = 5.0  # [s] for a service


class CampaignError(AdpError):
    """The campaign cannot go on."""


class Waiting:
    """What a campaign does most of the time.

    Args:
        bench: Watches and calls.
        interrupted: Asked often; True ends the wait.
    """

    def __init__(self, bench: FaultBench, interrupted: Callable[[], bool]) -> None:
        self._bench = bench
        self._interrupted = interrupted

    def _ask(self, name: str) -> str:
        """Call a service; return why it refused, empty when it did not."""
        future = self._bench.call(name)
        self._wait(future.done, _ANSWER)
        return refusal(name, future)

    def _until(self, condition: Callable[[], bool], timeout: float, what: str) -> None:
        if not self._wait(condition, timeout):
            state = f"{self._bench.status or 'silent'}, {self._bench.commanded_speed():.3f} m/s"
            raise CampaignError(f"waited {timeout:.0f} s in vain for {what} (controller: {state})")

    def _wait(self, condition: Callable[[], bool], timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                return False
            self._pause()
        return True

    def _sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._pause()

    def _pause(self) -> None:
        if self._interrupted():
            raise KeyboardInterrupt
        time.sleep(_POLL)


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
    topics = [*(driver + name for name in TOPICS), CHUNKS]
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


_READY: Final = 300.0  # [s] until all nodes run
_STATE: Final = 0.5  # [s] for the state that follows
_TRIES: Final = 10  # of a fault, when the arm had just stopped by itself
_MOTION: Final = 30.0  # [s] until the arm moves again
_MOVING: Final = ("running", "slowed")
_FAULT: Final = 20.0  # [s] until a fault has taken effect; pressing has a long way
_AFTER: Final = 0.7  # [s] of looking after a reaction
_LOOK: Final = 1.0  # [s] of looking at a fault that nothing must follow
_BEFORE: Final = 1.0  # [s] of looking before it
_LIFT: Final = (0.05, 1.2)  # [m/s], [s]
_FULL: Final = 0.7  # share of the speed asked for that counts as motion
_MOVES: Final = 0.02  # [m/s]


@dataclass(frozen=True, slots=True)
class Result:
    """A fault and what became of it."""

    fault: Fault
    outcome: Judgement

    def to_json(self) -> dict[str, Any]:
        """Return both by name."""
        return {**self.fault.to_json(), **self.outcome.to_json()}


class Campaign(Waiting):
    """Runs one fault after the other with the same nodes.

    Args:
        bench: Watches and tampers.
        processes: The nodes.
        interrupted: Asked often; True ends the campaign.
    """

    def __init__(
        self,
        bench: FaultBench,
        processes: Processes,
        interrupted: Callable[[], bool],
    ) -> None:
        super().__init__(bench, interrupted)
        self._processes = processes
        self._injector = Injector(bench, processes)
        self._refusal = ""
        self.trips: list[str] = []  # causes of stops that no fault had

    def run(self, fault: Fault) -> Result:
        """Run one fault.

        Raises:
            CampaignError: Nodes do not come up, do not arm or end by themselves.
            KeyboardInterrupt: The campaign was interrupted.
        """
        kind = KINDS[fault.kind]
        for _ in range(_TRIES):
            self._move(fault)
            injected = time.monotonic()
            self._injector.inject(fault)
            try:
                outcome = self._watch(kind, injected)
            finally:
                self._injector.clear(kind)
            outcome = self._follow_up(kind, outcome)
            if not outcome.disturbed:
                return Result(fault, outcome)
            self.trips.append(outcome.disturbed)
        raise CampaignError(f"the arm stopped {_TRIES} times before the fault could: {self.trips}")

    def _move(self, fault: Fault) -> None:
        bench = self._bench
        bench.patrol.speed = fault.speed
        bench.patrol.seed(fault.seed)
        self._until(lambda: self._is_up() or self._has_ended(), _READY, "the nodes")
        if self._has_ended():
            raise CampaignError(f"{self._processes.ended()}, see nodes.log")
        deadline = time.monotonic() + _READY
        fast = _FULL * fault.speed
        since = time.monotonic()
        while time.monotonic() - since < fault.delay:
            if time.monotonic() > deadline:
                raise CampaignError(f"the arm does not move: {bench.status} {self._refusal}")
            started = bench.status in _MOVING or self._start()
            if bench.commanded_speed() < fast or not self._is_patrolling():
                since = time.monotonic()
            self._pause()
            if started and bench.status == "stopped":
                self.trips.append(bench.cause)

    def _is_up(self) -> bool:
        bench = self._bench
        offered = all(bench.offers(name) for name in ("start", "stop", "reset"))
        return offered and bench.pose is not None and bench.status != ""

    def _has_ended(self) -> bool:
        return self._processes.ended() is not None

    def _is_patrolling(self) -> bool:
        pose = self._bench.pose
        return pose is not None and self._bench.patrol.ready(pose)

    def _start(self) -> bool:
        """Reset if that is needed, start; both may be refused for a while."""
        bench = self._bench
        if bench.status == "stopped":
            self._ask("reset")
        bench.tare_wanted = True
        self._refusal = self._ask("start")
        if self._refusal:
            self._sleep(0.2)
            return False
        self._wait(lambda: bench.status in _MOVING, _STATE)
        return True

    def _watch(self, kind: Kind, injected: float) -> Judgement:
        bench, injector = self._bench, self._injector
        self._wait(lambda: injector.moment(kind) is not None, _FAULT)
        at = injector.moment(kind)
        since = injected - _BEFORE
        if at is None:
            at = injected  # it had no effect on any message
        if kind.reaction is Reaction.NONE:
            self._sleep(_LOOK)
            return judge(kind, at, bench.trace(since))
        still = 3.0 * kind.limit + 1.0
        self._wait(lambda: self._is_over(kind, at), still)
        self._sleep(_AFTER)
        if kind.name == "table_press":
            self._sleep(_LOOK)  # the force comes with the next diagnostics
        return judge(kind, at, bench.trace(since))

    def _is_over(self, kind: Kind, at: float) -> bool:
        if kind.ends == "controller_node":
            return time.monotonic() > at + _AFTER
        stopped = kind.reaction is Reaction.REST or self._bench.status == "stopped"
        return self._bench.rests() and stopped

    def _follow_up(self, kind: Kind, outcome: Judgement) -> Judgement:
        """See that a latch holds, or that motion goes on."""
        bench, found = self._bench, list(outcome.violations)
        if kind.name == "table_press":
            outcome = replace(outcome, force=bench.force)
            self._lift()
        rests = kind.reaction is Reaction.REST
        if rests and not self._wait(lambda: bench.commanded_speed() > _MOVES, _MOTION):
            found.append("motion does not go on")
        latched = kind.reaction is Reaction.STOP and kind.ends != "controller_node"
        if latched and not self._ask("start"):
            found.append("started while latched")
        if kind.ends == "controller_node":
            bench.status = ""
        if kind.ends == "sim_node":
            bench.pose = None
        bench.force = 0.0
        return replace(outcome, violations=tuple(found))

    def _lift(self) -> None:
        """Move the arm off what it pressed on, as a person at the joystick would."""
        bench, (speed, duration) = self._bench, _LIFT
        bench.watching = False
        bench.release()
        self._sleep(0.2)
        end = time.monotonic() + duration
        while time.monotonic() < end:
            bench.lift(speed)
            time.sleep(0.01)
        self._sleep(0.3)
        bench.watching = True
