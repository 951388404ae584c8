"""One run in the twin, from the start of the nodes to the summary."""

import argparse
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..errors import AdpError
from ..evaluation.video import VideoLog
from ..msg import SafetyState
from ..reports.progress import ShowProgress
from ..reports.run_summary import RunSummary
from ..settings import share_directory
from ..sim.tasks import find_task
from .arm_claim import claim_arm
from .client import joined
from .environment import transport_environment
from .launch_arguments import LaunchSettings
from .launch_table import NodeSpec
from .node_process import step_back
from .observers import RunObserver
from .runner import Attention, NodeLog, Runner, StopRequest, child_environment, node_program

if TYPE_CHECKING:
    from rclpy.task import Future

LOOPBACK_DOMAINS: Final = 100  # domain ids 1 to 100 are free of port clashes on Linux


def add_output_arguments(parser: argparse.ArgumentParser) -> None:
    """Add where results go and how they are written."""
    parser.add_argument(
        "--runs", type=Path, default=Path("runs"), help="folder of results (default: runs)"
    )
    parser.add_argument("--verbose", action="store_true", help="show what the nodes say")


def use_private_domain(*, pictures: bool) -> dict[str, str]:
    """Keep the run to this machine and, unless the user chose one, to a domain of its own.

    A real arm's driver listens to the very topics that the twin's controller publishes.

    Args:
        pictures: True when this process takes pictures.

    Returns:
        Environment of the nodes, which choose their transport by themselves.
    """
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % LOOPBACK_DOMAINS))
    os.environ.update(child_environment())
    children = dict(os.environ)
    share = share_directory(os.environ)
    os.environ.update(transport_environment(share, os.environ, pictures=pictures))
    return children


def new_directory(runs: Path, now: datetime) -> Path:
    """Make and return ``runs/<stamp>``; a number is added where it exists."""
    stamp = now.strftime("%Y%m%d-%H%M%S")
    for attempt in range(1000):
        directory = runs / (f"{stamp}-{attempt}" if attempt else stamp)
        try:
            directory.mkdir(parents=True)
        except FileExistsError:
            continue
        return directory
    raise FileExistsError(f"{runs / stamp}: a thousand runs in one second")


def refusal(name: str, future: "Future[Any]") -> str:
    """Return why a service refused, empty when it did not.

    Args:
        name: Of the service.
        future: Of the call of a ``std_srvs/Trigger``, waited for as long as is allowed.
    """
    answer = future.result() if future.done() else None
    if answer is None:
        return f"{name} does not answer"
    return "" if answer.success else str(answer.message)


READY_TIMEOUT: Final = 120.0  # [s]
START_PERIOD: Final = 1.0  # [s] between two tries to start
ANSWER_TIMEOUT: Final = 5.0  # [s]
LAST_NEWS_TIMEOUT: Final = 2.5  # [s]; diagnostics come once a second
SPIN: Final = 0.05  # [s]
OBSERVER_NICE: Final = 5  # where controller and twin go first anyway
STEPS: Final = "controller_node: steps"
STREAM: Final = "controller_node: stream"
FRAMES: Final = "inference_node: camera"


class RunError(AdpError):
    """The run could not begin, or ended before the task was done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """What to run.

    Attributes:
        settings: Checked launch arguments.
        nodes: Rows of the node table.
        environment: Environment of the nodes.
        time_limit: Longest run in [s].
    """

    settings: LaunchSettings
    nodes: tuple[NodeSpec, ...]
    environment: Mapping[str, str]
    time_limit: float


@dataclass(frozen=True, slots=True)
class RunResult:
    """What is left of a run.

    Attributes:
        summary: Its outcome, with the record that the report is made from.
        video: Pictures that were collected.
    """

    summary: RunSummary
    video: VideoLog


def perform(plan: RunPlan, log: NodeLog, request: StopRequest, show: ShowProgress) -> RunResult:
    """Start the nodes, do the task, stop the nodes.

    Args:
        plan: What to run.
        log: Gets what the nodes say.
        request: Ctrl-C and its like.
        show: Gets the progress.

    Returns:
        What was collected; also when the run ended early.

    Raises:
        RunError: The run never began.
    """
    runner = Runner([node_program(spec) for spec in plan.nodes], plan.environment, log.write_line)
    with claim_arm(plan.settings.robot_name):
        return _performed(plan, log, request, show, runner)


def _performed(
    plan: RunPlan, log: NodeLog, request: StopRequest, show: ShowProgress, runner: Runner
) -> RunResult:
    runner.start()
    try:
        attention = Attention(runner)
        step_back(idle=not runner.real_time, nice=OBSERVER_NICE)  # now: the nodes would inherit it
        robot_type = plan.settings.robot_type
        with joined(lambda: RunObserver(robot_type), pictures=True) as (observer, spin):
            run = _Run(runner, observer, lambda: spin(SPIN), log, request)
            try:
                run.begin(show)
            except RunError as error:
                use = attention.measured()
                if not use.busy:
                    raise
                raise RunError(f"{error}; the machine is busy: {use.words}; {use.help}") from error
            attention = Attention(runner)
            problem = run.watch(plan.time_limit, show)
            machine = attention.measured()
            run.end()
            summary = summarise(plan.settings, observer, problem)
            return RunResult(replace(summary, machine=machine), observer.video)
    finally:
        runner.stop(request.asked_again)


def summarise(settings: LaunchSettings, observer: RunObserver, problem: str) -> RunSummary:
    """Put together what was observed."""
    health = observer.health
    steps = health.number(STEPS, "steps")
    missed = health.number(STEPS, "steps_missed")
    return RunSummary(
        task=settings.task,
        seed=settings.seed,
        policy=settings.policy,
        success=observer.success,
        progress=observer.progress,
        duration=observer.elapsed(),
        record=observer.record(f"{settings.task}, seed {settings.seed}"),
        steps=None if steps is None else int(steps),
        steps_missed=None if missed is None else int(missed),
        stream_on_time_share=health.on_time_share(STREAM),
        frame_rate=health.rate(FRAMES, "received"),
        transport_p50=health.number(FRAMES, "transport_ms_p50"),
        torque_rate=health.number("driver_node: reads", "torques_hz"),
        queue_largest=health.number("driver_node: points", "fifo_largest"),
        wipes=find_task(settings.task).dirt is not None,
        problem=problem,
    )


class _Run:
    """The three acts: wait until all is ready and start, watch, stop."""

    def __init__(
        self,
        runner: Runner,
        observer: RunObserver,
        spin: Callable[[], None],
        log: NodeLog,
        request: StopRequest,
    ) -> None:
        self._runner = runner
        self._observer = observer
        self._spin = spin
        self._log = log
        self._request = request

    def begin(self, show: ShowProgress) -> None:
        """Wait for the nodes, then ask the controller to start until it does."""
        began = time.monotonic()
        refused = ""
        while True:
            waiting = self._observer.missing() or refused
            if time.monotonic() - began > READY_TIMEOUT:
                raise RunError(f"not ready after {READY_TIMEOUT:.0f} s: {waiting}")
            if self._observer.missing():
                show(time.monotonic() - began, 0.0, f"waiting for {waiting}")
                self._until(lambda: not self._observer.missing(), START_PERIOD)
                continue
            refused = self._try_start()
            if not refused:
                return
            show(time.monotonic() - began, 0.0, f"waiting to start: {refused}")
            self._until(lambda: False, START_PERIOD)

    def watch(self, time_limit: float, show: ShowProgress) -> str:
        """Wait for success; return what ended the run otherwise, empty for nothing."""
        observer = self._observer
        while not observer.success:
            if self._request.asked:
                return "interrupted"
            try:
                self._check()
            except RunError as error:
                return str(error)
            if observer.safety is not None and observer.safety.status == SafetyState.STOPPED:
                return f"stopped: {observer.safety.message}"
            if observer.elapsed() > time_limit:
                return f"time limit of {time_limit:.0f} s"
            self._spin()
            show(observer.elapsed(), observer.progress, observer.words())
        return ""

    def end(self) -> None:
        """Stop the arm and wait for the last diagnostics."""
        self._observer.end()
        health = self._observer.health
        future = self._observer.request_stop()
        before = health.reports(STREAM)
        deadline = time.monotonic() + LAST_NEWS_TIMEOUT
        while time.monotonic() < deadline and self._runner.ended() is None:
            self._spin()
            if future.done() and health.reports(STREAM) > before:
                return

    def _try_start(self) -> str:
        self._observer.begin()
        future = self._observer.request_start()
        self._until(future.done, ANSWER_TIMEOUT)
        answer = self._observer.answer(future)
        if answer is None:
            return "the controller does not answer"
        return "" if answer.success else answer.message

    def _until(self, condition: Callable[[], bool], timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline and not condition():
            self._check()
            self._spin()

    def _check(self) -> None:
        if self._request.asked:
            raise KeyboardInterrupt
        ended = self._runner.ended()
        if ended is not None:
            reason = self._log.last_error(ended.name)
            raise RunError(f"{ended}" + (f": {reason}" if reason else ""))
