"""``adp-ros faults --nominal``: every task in turn with the real nodes, and nothing is injected."""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.task import Future
from std_srvs.srv import Trigger

from ..control.safety_machine import SafetyEvent, Status
from ..faults.campaign_report import NominalEpisode, NominalSummary
from ..msg import SafetyState, TwinState
from ..reports.progress import progress_display
from ..reports.run_record import changes
from ..reports.run_summary import HealthLog
from ..settings import share_directory
from ..sim.tasks import find_task, tasks_with_expert
from .client import joined
from .launch_arguments import resolve_settings
from .launch_table import NodeSpec
from .runner import NodeLog, Runner, StopRequest, node_log, node_program, prepare_nodes
from .twin_run import STEPS, STREAM, RunError, new_directory, refusal, use_private_domain

_LATCHED: Final = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
_NEWEST: Final = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
_CALLS: Final = {"start": "/adp/start", "stop": "/adp/stop", "reset": "/adp/reset"}
_POLICY: Final = "inference_node: policy"


class NominalObserver(Node):
    """Collects one episode after the other.

    Subscribes: /sim/state, /adp/safety_state, /diagnostics
    Calls: /adp/start, /adp/stop, /adp/reset, /sim/reset
    """

    def __init__(self) -> None:
        super().__init__("nominal_observer")
        self.health, self.success = HealthLog(), False
        self._events: list[SafetyEvent] = []
        self.status = ""
        self.heard: set[str] = set()
        self._begun = time.monotonic()
        self._watching = False
        calls = {**_CALLS, "scene": "/sim/reset"}
        self._asks = {name: self.create_client(Trigger, path) for name, path in calls.items()}
        self.create_subscription(TwinState, "/sim/state", self._on_twin, _NEWEST)
        self.create_subscription(SafetyState, "/adp/safety_state", self._on_safety, _LATCHED)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_health, 10)

    def begin(self) -> None:
        """Take everything from now on as one episode."""
        self.health, self.success, self._events = HealthLog(self.health), False, []
        self._begun, self._watching = time.monotonic(), True

    def end(self) -> None:
        """Take no more safety events: what comes now was asked for."""
        self._watching = False

    @property
    def elapsed(self) -> float:
        """Time since the episode began, in [s]."""
        return time.monotonic() - self._begun

    @property
    def events(self) -> list[SafetyEvent]:
        """Times at which the arm was slowed or stopped; the same state again is no new event."""
        return changes(self._events)

    @property
    def ready(self) -> bool:
        """True when every service is there and the policy has reported."""
        offered = all(client.service_is_ready() for client in self._asks.values())
        return offered and self.status != "" and _POLICY in self.heard

    def call(self, name: str) -> "Future[Trigger.Response]":
        """Call ``start``, ``stop``, ``reset`` or ``scene``."""
        return self._asks[name].call_async(Trigger.Request())

    def _on_twin(self, message: TwinState) -> None:
        self.success = message.success

    def _on_safety(self, message: SafetyState) -> None:
        self.status = Status(message.status).name.lower()
        if self._watching and message.status in (SafetyState.SLOWED, SafetyState.STOPPED):
            event = SafetyEvent(self.elapsed, self.status, message.cause, message.message)
            self._events.append(event)

    def _on_health(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.heard.add(status.name)
            values = {pair.key: pair.value for pair in status.values}
            self.health.note(status.name, time.monotonic(), values)


_READY: Final = 300.0  # [s]
_START: Final = 60.0  # [s] in which the arm must start again
_ANSWER: Final = 5.0  # [s]
_NEWS: Final = 3.0  # [s]; diagnostics come once a second
_SPIN: Final = 0.05  # [s]

Spin = Callable[[], None]


def run_nominal(arguments: argparse.Namespace) -> int:
    """Move without faults; return 0 without false trip, missed step or late stream."""
    environment = use_private_domain(pictures=False)
    directory = new_directory(arguments.runs, datetime.now())
    sys.stderr.write(f"{arguments.nominal:g} min of motion, no faults; log in {directory}\n")
    episodes: list[NominalEpisode] = []
    echo = sys.stderr if arguments.verbose else None
    with (
        StopRequest().listening() as request,
        node_log(directory / "nodes.log", echo) as log,
        progress_display("nominal", sys.stderr) as show,
    ):
        total = 60.0 * arguments.nominal
        tasks = tasks_with_expert()
        for task in tasks:
            if request.asked:
                break

            def shown(words: str) -> None:
                moved = NominalSummary(tuple(episodes)).total("duration")
                show(moved, min(1.0, moved / total), words)

            for episode in _task(
                task, total / len(tasks), log, request, shown, environment=environment
            ):
                episodes.append(episode)
    summary = NominalSummary(tuple(episodes))
    text = json.dumps(summary.to_json(), indent=2) + "\n"
    (directory / "nominal.json").write_text(text, encoding="utf-8")
    sys.stdout.write(text if arguments.json else summary.to_text())
    whole = summary.total("duration") >= total
    return 0 if summary.passed and whole else 1


def _task(
    task: str,
    seconds: float,
    log: NodeLog,
    request: StopRequest,
    show: Callable[[str], None],
    *,
    environment: Mapping[str, str],
) -> Iterator[NominalEpisode]:
    """Repeat one task until the arm has moved for a time."""
    share = share_directory(os.environ)
    specs = _nodes(task, share)
    runner = Runner([node_program(spec) for spec in specs], environment, log.write_line)
    runner.start()
    moved = 0.0
    try:
        with joined(NominalObserver) as (observer, once):
            spin = partial(once, _SPIN)
            run = _Run(runner, observer, spin, request)
            run.wait(lambda: observer.ready, _READY, "the nodes")
            while moved < seconds and not request.asked:
                show(f"{task}, {moved:.0f} of {seconds:.0f} s")
                episode = run.episode(task, min(find_task(task).time_limit, seconds - moved))
                moved += episode.duration
                yield episode
    finally:
        runner.stop(request.asked_again)


def _nodes(task: str, share: Path) -> tuple[NodeSpec, ...]:
    settings = resolve_settings({"task": task, "policy": "expert"}, share)
    return prepare_nodes(settings, share)


class _Run:
    def __init__(
        self, runner: Runner, observer: NominalObserver, spin: Spin, request: StopRequest
    ) -> None:
        self._runner = runner
        self._observer = observer
        self._spin = spin
        self._request = request

    def episode(self, task: str, longest: float) -> NominalEpisode:
        """Start, wait for success, stop, and put the arm into the next scene."""
        observer = self._observer
        self._start()
        while observer.elapsed < longest and not observer.success:
            self._step()
            if self._request.asked or observer.status == "stopped":
                break
        duration, health = observer.elapsed, observer.health
        observer.end()
        self._ask("stop")
        heard = health.reports(STREAM)
        self._until(lambda: health.reports(STREAM) > heard, _NEWS)
        result = _episode(task, duration, observer)
        self._ask("scene")
        return result

    def wait(self, condition: Callable[[], bool], timeout: float, what: str) -> None:
        """Wait for something.

        Raises:
            RunError: It does not come, or a node has ended.
        """
        if not self._until(condition, timeout):
            raise RunError(f"waited {timeout:.0f} s in vain for {what}")

    def _start(self) -> None:
        observer, refused = self._observer, ""
        deadline = time.monotonic() + _START
        while time.monotonic() < deadline and not self._request.asked:
            if observer.status == "stopped":
                self._ask("reset")
            observer.begin()
            refused = self._ask("start")
            if not refused:
                self._until(lambda: observer.status in ("running", "slowed"), 1.0)
                return
            self._until(lambda: False, 0.5)
        observer.end()
        if not self._request.asked:
            raise RunError(f"the arm does not start: {refused}")

    def _ask(self, name: str) -> str:
        future = self._observer.call(name)
        self._until(future.done, _ANSWER)
        return refusal(name, future)

    def _until(self, condition: Callable[[], bool], timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                return False
            self._step()
        return True

    def _step(self) -> None:
        ended = self._runner.ended()
        if ended is not None and not self._request.asked:
            raise RunError(str(ended))
        self._spin()


def _episode(task: str, duration: float, observer: NominalObserver) -> NominalEpisode:
    health = observer.health

    def count(component: str, key: str) -> int:
        return int(health.number(component, key) or 0)

    def grown(key: str) -> int:
        return int(health.growth(STREAM, key) or 0)

    events = observer.events
    stops = [event.cause for event in events if event.status == "stopped"]
    return NominalEpisode(
        task=task,
        duration=duration,
        success=observer.success,
        steps=count(STEPS, "steps"),
        missed=count(STEPS, "steps_missed"),
        delivered=grown("delivered"),
        late=grown("late"),
        skipped=grown("skipped"),
        slowed=sum(event.cause == "torque_slow" for event in events),
        stop=stops[0] if stops else "",
    )
