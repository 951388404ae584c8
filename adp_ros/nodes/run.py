"""Start and end of every node process: one-line errors, clean exit on Ctrl-C and SIGTERM."""

import os
import signal
import sys
from collections.abc import Callable, Sequence

import rclpy
from rclpy.executors import Executor, ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from ..errors import AdpError, ConfigError
from ..launch_table import node_environment
from ..share import share_directory


def run_node(
    make_node: Callable[[], Node],
    args: Sequence[str] | None = None,
    make_executor: Callable[[], Executor] = SingleThreadedExecutor,
    *,
    last_words: bool = False,
) -> int:
    """Run a node until Ctrl-C, SIGTERM or an error that a user can act on.

    A node that holds threads or devices releases them in its ``destroy_node``.

    Args:
        make_node: Builds the node; called after ``rclpy.init``.
        args: Command line, None for the process's own.
        make_executor: Builds the executor that spins the node.
        last_words: True for a node that still publishes in ``destroy_node``; by default a signal
            shuts ROS down before.

    Returns:
        Exit status: 0 after a stop on request, 2 after an :class:`AdpError`.
    """
    _complete_environment()
    handlers = SignalHandlerOptions.NO if last_words else SignalHandlerOptions.ALL
    rclpy.init(args=None if args is None else list(args), signal_handler_options=handlers)
    if last_words:
        _handle_signals(signal.default_int_handler)
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
    except RuntimeError:
        if rclpy.ok():
            raise
        return 0  # SIGTERM while the node was being built: rclpy's calls fail then
    finally:
        _end(node, last_words)
    return 0


def _end(node: Node | None, last_words: bool) -> None:
    if last_words:
        _handle_signals(signal.SIG_IGN)  # a second signal must not cut the last words short
    if node is not None:
        node.destroy_node()
    rclpy.try_shutdown()


def _handle_signals(handler: "signal._HANDLER") -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)


def _complete_environment() -> None:
    """Set what a launch would have set, so that a node started on its own works as well."""
    try:
        share = share_directory(os.environ)
    except ConfigError as error:
        sys.stderr.write(f"warning: {error}\n")
        return
    os.environ.update(node_environment(share, os.environ))
