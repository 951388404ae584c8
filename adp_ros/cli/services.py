"""``adp-ros start|stop|reset|home|tare``: the controller's services, where there is no ``ros2``."""

import argparse
from collections.abc import Mapping
from typing import Final

from ..ros.arm_name import add_robot_name
from ..settings import number_between
from .output import write_result

DESCRIPTIONS: Final[Mapping[str, str]] = {
    "start": "Start the task: until then nothing moves.",
    "stop": "Stop the arm, latched. Success only when the driver confirmed and the arm stands.",
    "reset": "Clear a latched stop when all has been quiet. It never moves the arm.",
    "home": "Go to the home pose, under all limits and stops.",
    "tare": "Take the present torques of the resting arm for those without a load.",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    name = parser.prog.split()[-1]
    parser.description = (
        f"{DESCRIPTIONS[name]} As ros2 service call /adp/{name} std_srvs/srv/Trigger. Exit status "
        "1 when the controller refuses, 2 when none is there."
    )
    parser.add_argument(
        "--timeout",
        type=number_between(0.1, 600.0, "s"),
        default=60.0,
        help="wait for the answer in [s] (default: 60)",
    )
    add_robot_name(parser)


def run(arguments: argparse.Namespace) -> int:
    """Call the service; return 0 when it succeeded, 1 when it refused."""
    from ..ros.client import call_trigger  # ROS takes a second

    success, message = call_trigger(
        f"/adp/{arguments.command}", arguments.timeout, arguments.robot_name
    )
    text = f"{'done' if success else 'refused'}: {message}" if message else "done"
    write_result(arguments.json, {"success": success, "message": message}, text)
    return 0 if success else 1
