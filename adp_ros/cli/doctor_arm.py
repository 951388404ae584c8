"""``adp-ros doctor --robot``: a real arm over Kinova's SDK, read but not moved."""

import argparse
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Final

from ..control.torque import TorqueConfig
from ..robots.jaco2.arm_health import ENOUGH
from ..robots.jaco2.driver_settings import ArmDriverSettings
from ..robots.jaco2.probe import ArmReport, probe_arm
from ..robots.jaco2.sdk_types import ARM_KINDS
from ..settings import number_between
from .findings import Finding, Verdict, finding_line
from .output import write_json

UDEV_RULE: Final = 'SUBSYSTEM=="usb", ATTR{idVendor}=="22cd", MODE="0666"'
_RULES: Final = ("/etc/udev/rules.d", "/usr/lib/udev/rules.d", "/lib/udev/rules.d")
_READS_A_TICK: Final = 4.0  # reads per torque sample, beside one point sent
_OFFSET: Final = 0.5  # share of the stop level that an offset may take up without a word


def add_arm_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what is asked of a real arm."""
    parser.add_argument("--robot", action="store_true", help="look at the real arm instead")
    parser.add_argument("--sdk-path", default="", help="folder of Kinova's libraries")
    parser.add_argument("--robot-ip", default="", help="the arm's address (default: USB)")
    parser.add_argument("--serial-number", default="", help="which of several arms")
    parser.add_argument(
        "--torque-source", choices=("raw", "gravity_free"), default="raw", help="default: raw"
    )
    parser.add_argument(
        "--seconds",
        type=number_between(1.0, 60.0, "s"),
        default=5.0,
        help="for which the arm is read (default: 5)",
    )


def examine_arm(arguments: argparse.Namespace) -> int:
    """Look at the arm; return 1 if something is broken, else 0.

    Raises:
        AdpError: There is no arm, or no library; the line says what to do.
    """
    settings = ArmDriverSettings(
        robot_type=arguments.robot_type,
        sdk_path=arguments.sdk_path,
        robot_ip=arguments.robot_ip,
        serial_number=arguments.serial_number,
        torque_source=arguments.torque_source,
    )
    report = probe_arm(settings, arguments.seconds)
    findings = list(arm_findings(report, settings))
    if not settings.robot_ip:
        findings.insert(1, _udev())
    if arguments.json:
        write_json([asdict(finding) for finding in findings])
    else:
        sys.stdout.write("".join(map(finding_line, findings)))
    return int(any(finding.verdict is Verdict.FAIL for finding in findings))


def arm_findings(report: ArmReport, settings: ArmDriverSettings) -> Iterator[Finding]:
    """Put what was read into words, with fixes."""
    ok, note = Verdict.OK, Verdict.NOTE
    yield Finding("library", ok, f"{report.library}, version {report.api_version}")
    kind = ARM_KINDS.get(report.robot_type, "unknown")
    device = f"{report.model} {report.serial_number}, firmware {report.version}, {kind}"
    yield Finding("arm", ok, device)
    yield from (Finding("state", note, text) for text in report.notes)
    rate = report.reads_per_second
    words = f"{rate:.0f} reads in a second"
    if rate / _READS_A_TICK < ENOUGH:
        fix = f"the torque stop wants {ENOUGH * _READS_A_TICK:.0f}: another port, cable or Ethernet"
        yield Finding("reads", Verdict.FAIL, words, fix)
    else:
        yield Finding("reads", ok, words)
    hottest = max(report.temperatures, key=lambda name: report.temperatures[name])
    supply = f"{report.voltage:.1f} V, hottest: {hottest} at {report.temperatures[hottest]:.0f} C"
    yield Finding("supply", Verdict.FAIL if report.problems else ok, supply, _cure(report.problems))
    yield _torques(report, settings)


def _cure(problems: list[str]) -> str:
    return f"{'; '.join(problems)}: check the supply, let the arm cool" if problems else ""


def _torques(report: ArmReport, settings: ArmDriverSettings) -> Finding:
    levels = TorqueConfig().stop
    offsets = report.torque_offset
    text = " ".join(f"{offset:+.2f}" for offset in offsets)
    found = f"offsets from the model in this pose, {settings.torque_source}: {text} N m"
    shares = [abs(o) / level for o, level in zip(offsets, levels, strict=True)]
    if max(shares) <= _OFFSET:
        return Finding("torques", Verdict.OK, found)
    joint = 1 + shares.index(max(shares))
    fix = (
        f"joint {joint} is off by {max(shares):.0%} of its stop level: empty the hand, let nothing "
        "touch the arm, then adp-ros arm zero-torques in the candle pose (all joints at 180 deg)"
    )
    return Finding("torques", Verdict.NOTE, found, fix)


def _udev() -> Finding:
    rules = [file for folder in _RULES for file in Path(folder).glob("*.rules")]
    own = [file for file in rules if "22cd" in file.read_text(errors="replace")]
    if own:
        return Finding("udev rule", Verdict.OK, str(own[0]))
    if os.geteuid() == 0:
        return Finding("udev rule", Verdict.NOTE, "none; as root there is no need of it")
    fix = f"write into /etc/udev/rules.d/10-kinova-arm.rules: {UDEV_RULE}"
    return Finding("udev rule", Verdict.NOTE, "none gives everybody the arm", fix)
