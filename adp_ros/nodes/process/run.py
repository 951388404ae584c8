"""Start and end of every node process: one-line errors, clean exit on Ctrl-C and SIGTERM."""

import os
import sys
from collections.abc import Callable, Sequence

import rclpy
from rclpy.executors import Executor, ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future

from ...environment import node_environment, transport_environment
from ...errors import AdpError, ConfigError
from ...lifeline import Lifeline, lifeline_address
from ...share import share_directory
from .stop_signals import StopSignals


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
        stops_arm: The controller stops the arm when this process ends; needs ``robot_type``.
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
            rclpy.init(args=words, signal_handler_options=SignalHandlerOptions.NO)
            node = make_node()
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


def node_lifeline(node: Node) -> str:
    """Return the address of the controller of a node's arm, see :mod:`adp_ros.lifeline`."""
    return lifeline_address(node.context.get_domain_id(), node.get_parameter("robot_type").value)


def _spin(node: Node, executor: Executor, signals: StopSignals) -> None:
    asked = Future()
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
