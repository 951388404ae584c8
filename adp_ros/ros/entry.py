"""First lines of every node's process. Imports nothing heavy itself.

``python -m adp_ros.ros.entry PARENT MODULE [ROS ARGUMENTS...]``
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from types import FrameType
from typing import Final, NoReturn

from ..errors import ConfigError
from .environment import check_environment

STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


def run_node_module(module: str) -> int:
    """Import a node's module and run its ``main``.

    Imports take seconds, and a Ctrl-C in the middle of one comes out as any error whatever; there
    is nothing to clean up yet, so that the process just ends.

    Args:
        module: Such as ``adp_ros.ros.camera_node``.

    Returns:
        Exit status of the node; 0 when it was stopped before it ran, 2 where the environment
        is one that ROS can't start in.
    """
    for number in STOP_SIGNALS:
        signal.signal(number, _end)  # until run_node takes over
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    try:
        check_environment(os.environ)  # ROS ends the process while it is imported
    except ConfigError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    node = import_module(module)
    return int(node.main() or 0)


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    os._exit(0)


PR_SET_PDEATHSIG: Final = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Tie the process to its parent and run the node's ``main``.

    See :class:`adp_ros.ros.runner.Program` for what the runner expects of it.

    Args:
        argv: PARENT MODULE and the node's own arguments; None for the process's own.

    Returns:
        Exit status of the node.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    parent, module = int(words[0]), words[1]
    os.setpgid(0, 0)
    end_with_parent(parent)
    sys.argv = [module, *words[2:]]
    return run_node_module(module)


def end_with_parent(parent: int) -> None:
    """Ask the kernel for SIGTERM when the parent dies, even by SIGKILL: no node stays behind."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
