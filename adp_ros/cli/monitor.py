"""``adp-ros monitor``: gate, pruning, latency, torques and health in the terminal."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.live import Live

from ..reports.monitor import WINDOWS, Snapshot, snapshot_json, snapshot_line
from ..reports.terminal import draw
from ..ros.arm_name import add_robot_name
from ..settings import number_between

NODE_NAME: Final = "monitor"
LINE_RATE: Final = 1.0  # [Hz] where there is no terminal

Watch = Callable[[float], Snapshot]
"""Listens for a number of seconds and returns what is known then."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.description = (
        "Show why the gate prunes, motion against its thresholds, latency, residual "
        "torques and the health of all nodes, in this ROS domain. It only listens. Without a "
        "terminal: one line per second. Ctrl-C ends it."
    )
    parser.add_argument(
        "--rate",
        type=number_between(0.1, 20.0, "Hz"),
        help="pictures per second in [Hz] (default: 4; 1 without terminal)",
    )
    parser.add_argument(
        "--once",
        action="store_true",
        help="show the state once; exit status 1 when nothing was heard in time",
    )
    parser.add_argument(
        "--wait",
        type=number_between(0.1, 3600.0, "s"),
        default=5.0,
        help="with --once: listen for so long in [s] (default 5)",
    )
    add_robot_name(parser)


def run(arguments: argparse.Namespace) -> int:
    """Show until Ctrl-C; return 0, or 1 when ``--once`` heard nothing."""
    console = Console(highlight=False)
    live = console.is_terminal and not arguments.json
    rate = arguments.rate or (4.0 if live else LINE_RATE)
    try:
        with _listening(arguments.robot_name) as watch:
            if arguments.once:
                return _once(watch, arguments.wait, console, arguments.json)
            if live:
                _show(watch, 1.0 / rate, console)
            else:
                _write(watch, 1.0 / rate, arguments.json)
    except KeyboardInterrupt:
        return 0
    return 0


def _once(watch: Watch, wait: float, console: Console, as_json: bool) -> int:
    snapshot = watch(wait)
    if not snapshot.heard:
        sys.stderr.write(
            f"nothing heard for {wait:.0f} s: are the nodes running, in this ROS_DOMAIN_ID?\n"
        )
        return 1
    if as_json:
        sys.stdout.write(json.dumps(snapshot_json(snapshot)) + "\n")
    else:
        console.print(draw(snapshot, console.width))
    return 0


def _show(watch: Watch, period: float, console: Console) -> None:
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            live.update(draw(watch(period), console.width), refresh=True)


def _write(watch: Watch, period: float, as_json: bool) -> None:
    while True:
        snapshot = watch(period)
        text = json.dumps(snapshot_json(snapshot)) if as_json else snapshot_line(snapshot)
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


@contextmanager
def _listening(robot_name: str) -> Iterator[Watch]:
    """Join the ROS graph; nothing is published and no service is called."""
    from rclpy.node import Node

    from ..ros.client import joined
    from ..ros.observers import MonitorFeed

    with joined(lambda: Node(NODE_NAME), robot_name=robot_name) as (node, spin):
        feed = MonitorFeed(node, 4 * WINDOWS)

        def watch(seconds: float) -> Snapshot:
            spin(seconds)
            return feed.snapshot()

        yield watch
