"""``adp-ros arm``: the driver's own services, and how the arm is."""

import argparse
from collections.abc import Mapping
from typing import Final

from ..robots.robot import ROBOTS, robot_named
from ..ros.arm_name import add_robot_name
from ..settings import number_between
from .output import write_result

ACTIONS: Final[Mapping[str, str]] = {
    "status": "what the driver says of the arm: mode, rates, supply, temperatures",
    "stop": "StopControlAPI and EraseAllTrajectories, beside any controller",
    "home": "guarded by the controller where one runs, else Kinova's own way; opens the hand then",
    "zero-torques": "take the present torques for zero; needs the candle pose, all joints at 180 "
    "deg, an empty hand, and nothing that touches the arm",
    "fingers": "initialise the fingers: the hand opens and drops what it holds",
}
_LISTEN: Final = 5.0  # [s]; diagnostics come once a second


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    lines = "\n".join(f"  {name:<14}{text}" for name, text in ACTIONS.items())
    parser.description = (
        "Ask the driver of a real arm, or of the stand-in. Exit status 1 when it refuses, 2 when "
        "none is there."
    )
    parser.epilog = f"actions:\n{lines}"
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("action", choices=ACTIONS)
    parser.add_argument("--robot-type", choices=ROBOTS.names, default="j2n6s300")
    parser.add_argument(
        "--timeout",
        type=number_between(0.1, 600.0, "s"),
        default=90.0,
        help="wait for the answer in [s] (default: 90)",
    )
    add_robot_name(parser)


def run(arguments: argparse.Namespace) -> int:
    """Ask; return 0 when it was done, 1 when it was refused."""
    if arguments.action == "status":
        return _status(arguments)
    if arguments.action == "home" and _has_controller(arguments):
        from ..ros.client import call_trigger

        success, message = call_trigger("/adp/home", arguments.timeout, arguments.robot_name)
    else:
        from ..ros.driver_client import ask_driver

        robot = robot_named(arguments.robot_type)
        success, message = ask_driver(
            arguments.action, robot, arguments.timeout, arguments.robot_name
        )
    text = f"{'done' if success else 'refused'}: {message}" if message else "done"
    write_result(arguments.json, {"success": success, "message": message}, text)
    return 0 if success else 1


def _has_controller(arguments: argparse.Namespace) -> bool:
    from ..ros.client import offers_service

    return offers_service("/adp/home", arguments.robot_name)


def _status(arguments: argparse.Namespace) -> int:
    from ..ros.driver_client import driver_status

    found = driver_status(_LISTEN, arguments.robot_name)
    text = "".join(
        f"{name.removeprefix('driver_node: '):<8} {message}\n"
        + "".join(f"{'':<10}{key:<18} {value}\n" for key, value in values.items())
        for name, (_, message, values) in found.items()
    )
    values = {
        name.removeprefix("driver_node: "): {"level": level, "message": message, **pairs}
        for name, (level, message, pairs) in found.items()
    }
    write_result(arguments.json, values, text)
    return int(any(level >= 2 for level, _, _ in found.values()))
