"""Real rclpy for node tests: own domain, one executor, waiting on conditions with deadlines."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")


def own_domain() -> int:
    """Return a domain id that other processes on this machine hardly use."""
    return 101 + os.getpid() % 100


class Bench:
    """Spins nodes until something has happened."""

    def __init__(self) -> None:
        self._executor = SingleThreadedExecutor()
        self._nodes: list[Node] = []

    def add(self, node: Node) -> Node:
        """Take a node."""
        self._nodes.append(node)
        self._executor.add_node(node)
        return node

    def until(self, condition: Callable[[], object], seconds: float = 20.0) -> None:
        """Spin until the condition holds; fail after the deadline."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "condition not met in time"
            self._executor.spin_once(timeout_sec=0.02)

    def close(self) -> None:
        """Destroy the nodes."""
        for node in self._nodes:
            node.destroy_node()
        self._executor.shutdown()


@contextmanager
def bench(parameters: Sequence[str] = (), *remaps: str) -> Iterator[Bench]:
    """Start ROS with parameters ``name:=value`` for every node, and rules ``from:=to``.

    Both reach nodes as on a command line.
    """
    args = ["--ros-args"]
    for parameter in parameters:
        args += ["-p", parameter]
    for rule in remaps:
        args += ["-r", rule]
    rclpy.init(args=args, domain_id=own_domain())
    spinning = Bench()
    try:
        yield spinning
    finally:
        spinning.close()
        rclpy.try_shutdown()
