"""First lines of every node's process. Imports nothing heavy itself."""

import os
import signal
from importlib import import_module
from types import FrameType
from typing import Final, NoReturn

STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


def run_node_module(module: str) -> int:
    """Import a node's module and run its ``main``.

    Imports take seconds, and a Ctrl-C in the middle of one comes out as any error whatever; there
    is nothing to clean up yet, so that the process just ends.

    Args:
        module: Such as ``adp_ros.nodes.camera_node``.

    Returns:
        Exit status of the node; 0 when it was stopped before it ran.
    """
    for number in STOP_SIGNALS:
        signal.signal(number, _end)  # until run_node takes over
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    node = import_module(module)
    return int(node.main() or 0)


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    os._exit(0)
