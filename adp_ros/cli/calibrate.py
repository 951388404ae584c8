"""``adp-ros calibrate``: levels of the torque stop from free motion, from a bag or live."""

import argparse
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigError
from ..robots.robot import ROBOTS
from ..ros.arm_name import add_robot_name
from ..settings import number_between
from .output import write_result

if TYPE_CHECKING:
    from ..control.calibration import FreeMotion


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.description = (
        "Let the arm rest for a second, then move through its whole workspace for a "
        "minute at the speeds of the task, touching nothing. Proposes a stop level per joint: the "
        "present one, or twice the 99.9th percentile of the residual torque and a margin. Exit "
        "status 1 when the proposal is doubtful."
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("bag", nargs="?", type=Path, help="bag of free motion (adp-ros record)")
    source.add_argument(
        "--live",
        type=number_between(2.0, 3600.0, "s"),
        metavar="SECONDS",
        help="listen to the running arm instead",
    )
    parser.add_argument("--robot-type", choices=ROBOTS.names, default="j2n6s300")
    add_robot_name(parser)
    parser.add_argument("--inertia", choices=("kinova", "dm_control"), default="kinova")
    parser.add_argument(
        "--torque-source",
        choices=("raw", "gravity_free"),
        default="raw",
        help="what the driver publishes (torque.source of the controller; default: raw)",
    )
    parser.add_argument("--payload-mass", type=float, default=0.0, help="in the hand, in [kg]")
    parser.add_argument("--margin", type=float, default=0.5, help="in [N m] (default: 0.5)")
    parser.add_argument(
        "--force-ceiling",
        type=number_between(10.0, 500.0, "N"),
        default=65.0,
        metavar="N",
        help="refuse levels that let more force against the arm's own motion pass in 5 %% of its "
        "postures (default: 65)",
    )
    parser.add_argument("--accept-force", action="store_true", help="take such levels all the same")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the YAML lines")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write a PNG")


def run(arguments: argparse.Namespace) -> int:
    """Propose levels; return 1 when something makes them doubtful."""
    from ..bags.contents import read_free_motion
    from ..control.calibration import propose, residuals
    from ..control.controller_settings import ArmConfig, ControllerSettings
    from ..control.force_levels import force_levels
    from ..control.supervisor import SafetyConfig
    from ..control.torque import TorqueConfig

    if not 0.0 <= arguments.margin <= 10.0:
        raise ConfigError(f"--margin is {arguments.margin:g}, allowed: 0 to 10 [N m]")
    given = {name: vars(arguments)[name] for name in ("robot_type", "inertia", "payload_mass")}
    arm = ArmConfig(**given)
    config = TorqueConfig(source=arguments.torque_source)
    if arguments.live is None:
        motion = read_free_motion(arguments.bag, arguments.robot_type)
    else:
        motion = _listen(arguments.robot_type, arguments.robot_name, arguments.live)
    found = residuals(motion, arm.model(), config)
    proposal = propose(found, config, arguments.margin)
    levels = replace(config, stop=tuple(joint.stop for joint in proposal.joints))
    forces = force_levels(ControllerSettings(arm=arm, safety=SafetyConfig(torque=levels)))
    if not arguments.accept_force:
        forces.require(arguments.force_ceiling)
    if arguments.plot is not None:
        from ..reports.plots import draw_calibration

        draw_calibration(found, proposal, arguments.plot)
    if arguments.output is not None:
        arguments.output.write_text(proposal.to_yaml(), encoding="utf-8")
    text = f"{proposal.to_text()}{forces}\n\n{proposal.to_yaml()}"
    write_result(arguments.json, proposal.to_json() | {"force": asdict(forces)}, text)
    return 1 if proposal.warnings else 0


def _listen(robot_type: str, robot_name: str, seconds: float) -> "FreeMotion":
    from ..ros.client import joined
    from ..ros.observers import FreeMotionListener

    with joined(lambda: FreeMotionListener(robot_type), robot_name=robot_name) as (listener, spin):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0.0:
            spin(min(5.0, left))
            sys.stderr.write(f"{max(0.0, left - 5.0):.0f} s to go, {listener.samples} samples\n")
        return listener.motion()
