"""A campaign: start, move, fault, look, stop, reset, again."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from ..errors import AdpError
from ..faults.judge import LATE, Judgement, explained, judge
from ..faults.kinds import SPIKES, Kind, Reaction
from ..faults.plan import Fault
from ..faults.sdk_kinds import DRIVER, EVERY_KIND
from .fault_bench import FaultBench
from .fault_injector import OTHER_FRAME, Injector, Processes
from .stand_in_faults import StandInFaults
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


_READY: Final = 300.0  # [s] until all nodes run
_STATE: Final = 0.5  # [s] for the state that follows
_TRIES: Final = 10  # of a fault, when the arm had just stopped by itself
_MOTION: Final = 30.0  # [s] until the arm moves again
_MOVING: Final = ("running", "slowed")
_FAULT: Final = 20.0  # [s] until a fault has taken effect; pressing has a long way
_AFTER: Final = 0.7  # [s] of looking after a reaction
_LOOK: Final = 1.0  # [s] of looking at a fault that nothing must follow
_BEFORE: Final = 1.0  # [s] of looking before it
_HOME_SHARE: Final = 3.0  # times a fault's delay: 0.3 to 3 s on the way home
_NEWS: Final = 1.5  # [s]; diagnostics come once a second
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
        stand_in: Orders faults of the stand-in for the SDK, None without it.
        interrupted: Asked often; True ends the campaign.
    """

    def __init__(
        self,
        bench: FaultBench,
        processes: Processes,
        interrupted: Callable[[], bool],
        stand_in: StandInFaults | None = None,
    ) -> None:
        super().__init__(bench, interrupted)
        self._processes = processes
        self._injector = Injector(bench, processes, stand_in)
        self._refusal = ""
        self.trips: list[str] = []  # causes of stops that no fault had

    def run(self, fault: Fault) -> Result:
        """Run one fault.

        Raises:
            CampaignError: Nodes do not come up, do not arm or end by themselves.
            KeyboardInterrupt: The campaign was interrupted.
        """
        kind = EVERY_KIND[fault.kind]
        for _ in range(_TRIES):
            if kind.name == "wrong_frame":
                self._begin_in_other_frame(fault)
            else:
                self._move(fault)
            if kind.homing and not self._go_home(fault):
                continue
            injected = time.monotonic()
            self._injector.inject(fault)
            try:
                outcome = self._watch(kind, injected)
                outcome = replace(outcome, stop_call=self._injector.stop_call(kind))
            finally:
                self._injector.clear(kind)
            if self._injector.problem:
                found = (*outcome.violations, self._injector.problem)
                outcome = replace(outcome, violations=found)
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

    def _begin_in_other_frame(self, fault: Fault) -> None:
        """Start from home, with a twin that reads angular velocity in the other frame."""
        bench = self._bench
        bench.pose = None
        self._processes.exchange("sim_node", OTHER_FRAME)
        bench.patrol.speed = fault.speed
        self._until(self._is_up, _READY, "the nodes")
        deadline = time.monotonic() + _READY
        while not self._start():
            if time.monotonic() > deadline:
                raise CampaignError(f"the arm does not start: {bench.status} {self._refusal}")

    def _go_home(self, fault: Fault) -> bool:
        """Stop, reset, send the arm home; True when it is on its way, at a random moment of it."""
        bench = self._bench
        self._ask("stop")
        while bench.status == "stopped":
            self._ask("reset")
        self._wait(lambda: bench.status == "armed", _MOTION)
        bench.tare_wanted = True
        bench.call("home")
        if not self._wait(
            lambda: bench.status == "homing" and bench.commanded_speed() > 0, _ANSWER
        ):
            return False
        self._sleep(_HOME_SHARE * fault.delay)
        return bench.status == "homing"

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
        outcome = judge(kind, at, bench.trace(since))
        if kind.fault in SPIKES and any(v.startswith(LATE) for v in outcome.violations):
            self._sleep(_NEWS)
            outcome = explained(kind, outcome, bench.stop_delay)
        return outcome

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
        if kind.ends in ("sim_node", DRIVER):
            bench.pose = None
        if kind.name == "wrong_frame":
            bench.pose = None
            self._processes.exchange("sim_node")
        bench.force = 0.0
        return replace(outcome, violations=tuple(found))

    def _lift(self) -> None:
        """Move the arm off what it pressed on, as a person at the joystick would."""
        bench, (speed, duration) = self._bench, _LIFT
        bench.watching = False
        bench.release()
        self._sleep(0.2)
        end = time.monotonic() + duration
        with bench.lifting() as lift:
            while time.monotonic() < end:
                lift(speed)
                time.sleep(0.01)
        self._sleep(0.3)
        bench.watching = True
