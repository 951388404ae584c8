"""``adp-ros launch``: the launch file's node table as plain processes."""

import argparse
import json
import os
import sys
import textwrap
from dataclasses import asdict
from pathlib import Path

from ...checkpoint_cache import make_small_checkpoint, small_checkpoint
from ...environment import node_environment
from ...launch_arguments import launch_arguments, parse_assignments
from ...launch_settings import LaunchSettings, resolve_settings
from ...launch_table import NodeSpec, node_table
from ...parameter_files import check_parameters
from ...share import share_directory
from .runner import Runner, StopRequest, node_program, run_until_end

LAUNCHES = ("jaco2_task",)
CONSOLE_FORMAT = "{severity} {message}"  # name and time stand elsewhere


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "launch",
        help="start camera, policy, controller and arm",
        description="Start the nodes that ros2 launch adp_ros jaco2_task.launch.py starts, with "
        "the same arguments. Ctrl-C ends all of them.",
    )
    parser.add_argument("name", choices=LAUNCHES, help="what to launch")
    parser.add_argument("assignments", nargs="*", metavar="name:=value", help="launch arguments")
    parser.add_argument(
        "-s",
        "--show-args",
        action="store_true",
        help="list the launch arguments and end",
    )
    parser.add_argument("--json", action="store_true", help="with --show-args: as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Start the nodes and wait for Ctrl-C or the end of one of them."""
    share = share_directory(os.environ)
    given = parse_assignments(arguments.assignments, launch_arguments(share))
    if arguments.show_args:
        sys.stdout.write(_list_arguments(arguments.json))
        return 0
    settings = resolve_settings(given, share)
    with StopRequest().listening() as request:
        specs = prepare_nodes(settings, share)
        runner = Runner([node_program(spec) for spec in specs], child_environment(), write_line)
        runner.start()
        try:
            ended = run_until_end(runner, request)
        finally:
            killed = runner.stop(request.asked_again)
    if ended is not None:
        sys.stderr.write(f"error: {ended}, so the other nodes were stopped too\n")
        return 2 if ended.status == 2 else 1
    if killed:
        sys.stderr.write(f"error: had to be killed: {', '.join(killed)}\n")
        return 1
    return 0


def prepare_nodes(settings: LaunchSettings, share: Path) -> tuple[NodeSpec, ...]:
    """Return the checked node table; the small checkpoint is made when it is needed.

    Raises:
        AdpError: Names the parameter, file or folder that is wrong.
    """
    specs = node_table(settings, settings.checkpoint or small_checkpoint(os.environ), share)
    check_parameters(specs)
    if settings.checkpoint is None:
        make_small_checkpoint(os.environ)
    return specs


def child_environment() -> dict[str, str]:
    """Return the environment of the nodes: the user's, and what they need besides."""
    defaults = {"RCUTILS_CONSOLE_OUTPUT_FORMAT": CONSOLE_FORMAT}
    return {**defaults, **os.environ, **node_environment(os.environ)}


def write_line(name: str, line: str) -> None:
    """Write one line of a node to our own output."""
    sys.stdout.write(f"[{name}] {line}\n")
    sys.stdout.flush()


def _list_arguments(as_json: bool) -> str:
    arguments = launch_arguments(share_directory(os.environ))
    if as_json:
        return json.dumps([asdict(argument) for argument in arguments], indent=2) + "\n"
    lines = []
    for argument in arguments:
        allowed = f" Allowed: {', '.join(argument.choices)}." if argument.choices else ""
        lines.append(f"{argument.name}:={argument.default}")
        lines += textwrap.wrap(
            f"{argument.description}.{allowed}",
            96,
            initial_indent="    ",
            subsequent_indent="    ",
        )
    return "\n".join(lines) + "\n"
