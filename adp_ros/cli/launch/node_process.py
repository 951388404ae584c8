"""Body of one node's process when :mod:`adp_ros.cli.launch.runner` starts it.

``python -m adp_ros.cli.launch.node_process PARENT MODULE [ROS ARGUMENTS...]``
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

from ...nodes.entry import run_node_module

PR_SET_PDEATHSIG: Final = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Tie the process to its parent and run the node's ``main``.

    See :class:`adp_ros.cli.launch.runner.Program` for what the runner expects of it.

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
