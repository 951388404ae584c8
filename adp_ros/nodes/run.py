"""Start and end of every node process: one-line errors, clean exit on Ctrl-C and SIGTERM."""

import os
import sys
from collections.abc import Callable, Sequence

import rclpy
from rclpy.executors import Executor, ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

from ..errors import AdpError, ConfigError
from ..launch_table import node_environment
from ..share import share_directory


def run_node(
    make_node: Callable[[], Node],
    args: Sequence[str] | None = None,
    make_executor: Callable[[], Executor] = SingleThreadedExecutor,
) -> int:
    """Run a node until Ctrl-C, SIGTERM or an error that a user can act on.

    A node that holds threads or devices releases them in its ``destroy_node``.

    Args:
        make_node: Builds the node; called after ``rclpy.init``.
        args: Command line, None for the process's own.
        make_executor: Builds the executor that spins the node.

    Returns:
        Exit status: 0 after a stop on request, 2 after an :class:`AdpError`.
    """
    _complete_environment()
    rclpy.init(args=None if args is None else list(args))
    node: Node | None = None
    try:
        node = make_node()
        executor = make_executor()
        executor.add_node(node)
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        return 0
    except AdpError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    finally:
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
    return 0


def _complete_environment() -> None:
    """Set what a launch would have set, so that a node started on its own works as well."""
    try:
        share = share_directory(os.environ)
    except ConfigError as error:
        sys.stderr.write(f"warning: {error}\n")
        return
    os.environ.update(node_environment(share, os.environ))
