"""Start and end of every node process, its threads, and what they ask of the operating system.

An exception that a signal handler raises can come out anywhere, also half-way through the
construction of an object of rclpy. Here the handler does nothing; the interpreter writes each
signal to a socket, whichever thread the kernel gave it to, and a thread reads them there.
"""

import gc
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import FrameType, TracebackType
from typing import Final

import rclpy
from rcl_interfaces.msg import SetParametersResult
from rclpy.executors import Executor, ExternalShutdownException, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation as rcl
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future as RclpyFuture

from ..errors import AdpError, ConfigError
from ..settings import share_directory
from .environment import node_environment, transport_environment
from .lifeline import Lifeline, lifeline_address


def yield_to_others() -> None:
    """Put the calling thread, and those that it starts, behind all other work (SCHED_IDLE).

    A nice value alone does not do that: on kernels without full preemption a thread that computes
    keeps its core up to the next timer tick, 4 ms at 250 Hz, however nice it is. One of this class
    gives way at once. Linux permits it to everybody.
    """
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def be_nice(nice: int) -> int:
    """Raise the calling thread's nice value (on Linux it is a thread's), never lower it.

    Returns:
        The nice value now.
    """
    return os.nice(max(0, nice - os.nice(0)))


def step_back(idle: bool, nice: int) -> str:
    """Let other threads go before the calling one.

    Args:
        idle: Behind all other work; else at the nice value.
        nice: See :func:`be_nice`.

    Returns:
        How, in words.
    """
    if idle:
        yield_to_others()
        return "when nothing else wants them"
    return f"at nice {be_nice(nice)}"


STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_END: Final = b"\0"  # no signal has this number


class StopSignals:
    """Watches for a stop signal while the context lasts; use it from the main thread.

    Until :meth:`stops` has been called there is nothing to clean up, and a signal ends the
    process at once with status 0.
    """

    def __init__(self) -> None:
        self._stop: Callable[[], None] = _end_process
        self._signals, self._written = socket.socketpair()
        self._thread = threading.Thread(target=self._watch, name="stop_signals", daemon=True)

    def stops(self, stop: Callable[[], None]) -> None:
        """From now on a signal calls `stop`, in the thread of the watch."""
        self._stop = stop

    def __enter__(self) -> "StopSignals":
        self._written.setblocking(False)
        self._wakeup_before = signal.set_wakeup_fd(self._written.fileno())
        self._before = {number: signal.signal(number, _do_nothing) for number in STOP_SIGNALS}
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        self._written.send(_END)
        self._thread.join()
        self._signals.close()
        self._written.close()

    def _watch(self) -> None:
        while (received := self._signals.recv(1)) != _END:
            if received[0] in STOP_SIGNALS:
                self._stop()


def _do_nothing(_number: int, _frame: FrameType | None) -> None:
    """Let the socket tell."""


def _end_process() -> None:
    os._exit(0)


_SWITCH_INTERVAL: Final = 0.0005  # [s] after which a running thread gives way to the loop
_DEFAULT_SWITCH_INTERVAL: Final = 0.005  # [s], Python's


def prepare_loop_thread(fifo_priority: int, cpu: int) -> list[str]:
    """Set up the calling thread; return what was not permitted, in words.

    Automatic garbage collection is turned off in the process: a full collection stops every
    thread for longer than a tick. :func:`collect_young` is to be called now and then. A callback
    that runs when a tick is due gives way after half a millisecond instead of five. In the end
    :func:`restore_process` undoes both.

    Args:
        fifo_priority: SCHED_FIFO priority; 0 for none.
        cpu: Processor that the thread is bound to; -1 for any.
    """
    gc.collect()
    gc.freeze()
    gc.disable()
    sys.setswitchinterval(_SWITCH_INTERVAL)
    notes = []
    if fifo_priority > 0:
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(fifo_priority))
        except OSError as error:
            notes.append(
                f"stream.fifo_priority {fifo_priority} is not permitted ({error.strerror}), "
                "running at normal priority: raise rtprio in /etc/security/limits.conf"
            )
    if cpu >= 0:
        try:
            os.sched_setaffinity(0, {cpu})
        except OSError as error:
            notes.append(
                f"stream.cpu {cpu} is not possible ({error.strerror}), "
                f"allowed: {sorted(os.sched_getaffinity(0))}"
            )
    return notes


def collect_young() -> None:
    """Free the cycles among young objects; takes well under a millisecond each second."""
    gc.collect(1)


def restore_process() -> None:
    """Give the process back to other uses, when the loop has ended."""
    sys.setswitchinterval(_DEFAULT_SWITCH_INTERVAL)
    gc.enable()
    gc.unfreeze()


class NodeClock:
    """ROS time for stamps, monotonic time for durations, a sleep that ends with the node."""

    def __init__(self, node: Node, stopping: threading.Event) -> None:
        """Read the clock of ``node``; sleeps end when ``stopping`` is set."""
        self._clock = node.get_clock()
        self._stopping = stopping

    def now(self) -> float:
        """Return the ROS time in [s]."""
        return float(self._clock.now().nanoseconds) * 1e-9

    def monotonic(self) -> float:
        """Return the monotonic time in [s]."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait, at most until the node ends."""
        self._stopping.wait(seconds)


class Worker:
    """Calls a step in a loop in its own thread; its error ends the node.

    The error is raised inside the node's executor, so that it reaches
    :func:`adp_ros.ros.node_process.run_node` like one of a callback.
    """

    def __init__(
        self,
        node: Node,
        name: str,
        step: Callable[[], None],
        stopping: threading.Event,
        setup: Callable[[], None] = lambda: None,
        *,
        teardown: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare the thread.

        Args:
            node: Node whose executor gets the error.
            name: Name of the thread.
            step: Called until ``stopping`` is set; must return now and then.
            stopping: Set by the node in ``destroy_node``.
            setup: Called once in the thread before the first step.
            teardown: Called once in the thread at its end, also after an error: devices and
                graphics contexts are released where they were opened.
        """
        self._node = node
        self._step = step
        self._setup = setup
        self._teardown = teardown
        self._stopping = stopping
        self._outcome: Future[None] | None = None
        self._alarm = node.create_guard_condition(self._raise)
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    def start(self) -> None:
        """Start the thread."""
        self._outcome = self._pool.submit(self._run)
        self._outcome.add_done_callback(self._report)

    def stop(self) -> None:
        """End the thread after its current step."""
        self._stopping.set()
        self._pool.shutdown(wait=True)

    def _run(self) -> None:
        try:
            self._setup()
            while not self._stopping.is_set():
                self._step()
        finally:
            self._teardown()

    def _report(self, outcome: "Future[None]") -> None:
        if not self._stopping.is_set() and self._node.context.ok():
            self._alarm.trigger()

    def _raise(self) -> None:
        if self._outcome is not None:
            self._outcome.result()


def run_node(
    make_node: Callable[[], Node],
    args: Sequence[str] | None = None,
    make_executor: Callable[[], Executor] = SingleThreadedExecutor,
    *,
    stops_arm: bool = False,
    pictures: bool = False,
) -> int:
    """Run a node until Ctrl-C, SIGTERM or an error that a user can act on.

    A node releases its threads and devices in ``destroy_node``; ROS still works there, so that
    it can publish its last words.

    Args:
        make_node: Builds the node; called after ``rclpy.init``.
        args: Command line, None for the process's own.
        make_executor: Builds the executor that spins the node.
        stops_arm: The controller stops the arm when this process ends.
        pictures: True when the node sends or takes pictures.

    Returns:
        Exit status: 0 after a stop on request, 2 after an :class:`AdpError`.
    """
    with StopSignals() as signals:
        words = None if args is None else list(args)
        node: Node | None = None
        lifeline = Lifeline()
        try:
            complete_environment(pictures=pictures)
            node = _started(words, make_node)
            node.add_on_set_parameters_callback(_refuse_other_clock)
            if stops_arm:
                lifeline.hold(node_lifeline(node), node.get_name())
            _spin(node, make_executor(), signals)
        except ExternalShutdownException:
            return 0
        except AdpError as error:
            sys.stderr.write(f"error: {error}\n")
            return 2
        finally:
            lifeline.close()
            if node is not None:
                node.destroy_node()
            rclpy.try_shutdown()
    return 0


def _started(words: list[str] | None, make_node: Callable[[], Node]) -> Node:
    """Start ROS and build the node; what rcl or the middleware refuse is one line."""
    try:
        rclpy.init(args=words, signal_handler_options=SignalHandlerOptions.NO)
        return make_node()
    except (rcl.RCLError, rcl.RMWError, rcl.UnknownROSArgsError) as error:
        raise ConfigError(f"ROS refuses to start: {' '.join(str(error).split())}") from error


def _refuse_other_clock(parameters: list[Parameter]) -> SetParametersResult:
    """Stamps and bounds of a running node must not change their clock."""
    if any(parameter.name == "use_sim_time" for parameter in parameters):
        return SetParametersResult(
            successful=False, reason="use_sim_time is read-only: set it at the start of the node"
        )
    return SetParametersResult(successful=True)


def node_lifeline(node: Node) -> str:
    """Return the address of the controller of a node's arm, see :mod:`adp_ros.ros.lifeline`."""
    return lifeline_address(node.context.get_domain_id(), node.get_namespace().strip("/"))


def _spin(node: Node, executor: Executor, signals: StopSignals) -> None:
    asked = RclpyFuture()
    signals.stops(lambda: asked.set_result(None))
    executor.add_node(node)
    executor.spin_until_future_complete(asked)


def complete_environment(*, pictures: bool) -> None:
    """Choose the transport, and set what a launch would have set, for a node started on its own.

    Args:
        pictures: True for a process that sends or takes pictures.
    """
    try:
        share = share_directory(os.environ)
    except ConfigError as error:
        sys.stderr.write(f"warning: {error}\n")
        return
    os.environ.update(node_environment(os.environ))
    os.environ.update(transport_environment(share, os.environ, pictures=pictures))
