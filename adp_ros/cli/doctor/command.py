"""``adp-ros doctor``: what works on this machine, and how to mend what doesn't."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from ...kinematics import ROBOT_TYPES
from .machine import (
    Finding,
    Subject,
    Verdict,
    check_camera,
    check_gpu,
    check_messages,
    check_python,
    check_rendering,
    check_shared_memory,
    check_transport,
)
from .ros import check_checkpoint, check_driver

CHECKS = (
    check_python,
    check_messages,
    check_transport,
    check_shared_memory,
    check_rendering,
    check_camera,
    check_driver,
    check_gpu,
    check_checkpoint,
)


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "doctor",
        help="check this machine, each finding with a fix",
        description="Check messages, transport, rendering, camera, driver, GPU and checkpoint. "
        "Exit status 1 when something is broken; what only a real arm needs is a note.",
    )
    parser.add_argument(
        "--camera", type=Path, default=Path("/dev/video0"), help="video device (/dev/video0)"
    )
    parser.add_argument("--robot-type", choices=ROBOT_TYPES, default="j2n6s300")
    parser.add_argument("--checkpoint", type=Path, help="checkpoint (default: the small one)")
    parser.add_argument("--json", action="store_true", help="write the findings as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run all checks; return 1 if one failed, else 0."""
    subject = Subject(
        camera=arguments.camera,
        robot_type=arguments.robot_type,
        checkpoint=arguments.checkpoint,
    )
    findings = []
    for check in CHECKS:
        findings.append(check(subject))
        if not arguments.json:
            sys.stdout.write(_line(findings[-1]))
            sys.stdout.flush()
    if arguments.json:
        sys.stdout.write(json.dumps([asdict(finding) for finding in findings], indent=2) + "\n")
    return int(any(finding.verdict is Verdict.FAIL for finding in findings))


def _line(finding: Finding) -> str:
    fix = f"{'':21}-> {finding.fix}\n" if finding.fix else ""
    return f"{finding.verdict.value:<5} {finding.check:<14} {finding.found}\n{fix}"
