"""A node's own thread for blocking work, and the clock it reads."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from rclpy.node import Node


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
    """Calls a step again and again in its own thread; its error ends the node.

    The error is raised inside the node's executor, so that it reaches
    :func:`adp_ros.nodes.process.run.run_node` like one of a callback.
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
