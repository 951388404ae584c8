"""``adp-ros launch``: the launch file's node table as plain processes."""

import argparse
import os
import sys
import textwrap
from dataclasses import asdict

from ..ros.argument_table import LaunchArgument, launch_arguments, parse_assignments
from ..ros.arm_claim import claim_arm
from ..ros.launch_arguments import resolve_settings
from ..ros.runner import (
    Runner,
    StopRequest,
    child_environment,
    node_program,
    prepare_nodes,
    run_until_end,
    write_line,
)
from ..settings import share_directory
from .output import write_result

LAUNCHES = ("jaco2_task",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.description = (
        "Start the nodes that ros2 launch adp_ros jaco2_task.launch.py starts, with "
        "the same arguments. Ctrl-C ends all of them."
    )
    parser.add_argument("name", choices=LAUNCHES, help="what to launch")
    parser.add_argument("assignments", nargs="*", metavar="name:=value", help="launch arguments")
    parser.add_argument(
        "-s", "--show-args", action="store_true", help="list the launch arguments and end"
    )


def run(arguments: argparse.Namespace) -> int:
    """Start the nodes and wait for Ctrl-C or the end of one of them."""
    share = share_directory(os.environ)
    given = parse_assignments(arguments.assignments, launch_arguments(share))
    if arguments.show_args:
        known = launch_arguments(share)
        values = [asdict(argument) for argument in known]
        write_result(arguments.json, values, "\n".join(map(_described, known)))
        return 0
    settings = resolve_settings(given, share)
    with claim_arm(settings.robot_name), StopRequest().listening() as request:
        specs = prepare_nodes(settings, share)
        runner = Runner([node_program(spec) for spec in specs], child_environment(), write_line)
        runner.start()
        try:
            ended = run_until_end(runner, request, lambda line: write_line("launch", line))
        finally:
            killed = runner.stop(request.asked_again)
    if ended is not None:
        sys.stderr.write(f"error: {ended}, so the other nodes were stopped too\n")
        return 2 if ended.status == 2 else 1
    if killed:
        sys.stderr.write(f"error: had to be killed: {', '.join(killed)}\n")
        return 1
    return 0


def _described(argument: LaunchArgument) -> str:
    indent = "    "
    text = textwrap.fill(argument.meaning, 96, initial_indent=indent, subsequent_indent=indent)
    return f"{argument.name}:={argument.default}\n{text}"
