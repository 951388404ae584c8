"""What doctor says of a real arm: read through the stand-in in a process of its own."""

import json
import os

import pytest

from adp_ros.cli import main
from adp_ros.cli.doctor_arm import arm_findings
from adp_ros.cli.findings import Verdict
from adp_ros.errors import AdpError
from adp_ros.robots.jaco2.driver_settings import ArmDriverSettings
from adp_ros.robots.jaco2.probe import ArmReport, probe_arm

GOOD = {
    "library": "/sdk/USBCommandLayerUbuntu.so",
    "api_version": "5.2.0",
    "serial_number": "PJ1",
    "model": "j2n6s300",
    "version": "6.2.5",
    "robot_type": 3,
    "voltage": 24.0,
    "temperatures": {"joint_1": 31.0, "joint_2": 35.0},
    "reads_per_second": 480.0,
    "torque_offset": [0.1, -0.2, 0.1, 0.0, 0.0, 0.0],
}


def _findings(**changed):
    report = ArmReport(**{**GOOD, **changed})
    return {f.check: f for f in arm_findings(report, ArmDriverSettings())}


def test_arm_in_order_has_nothing_to_mend():
    """All is well: words, no fix."""
    found = _findings()
    assert {f.verdict for f in found.values()} == {Verdict.OK}
    assert [f.fix for f in found.values()] == [""] * len(found)
    assert "hottest: joint_2 at 35 C" in found["supply"].found


@pytest.mark.parametrize(
    ("changed", "check", "verdict", "word"),
    [
        ({"reads_per_second": 150.0}, "reads", Verdict.FAIL, "wants 200"),
        ({"problems": ["supply 18.0 V"], "voltage": 18.0}, "supply", Verdict.FAIL, "check the sup"),
        ({"torque_offset": [0.0, 5.0, 0, 0, 0, 0]}, "torques", Verdict.NOTE, "joint 2 is off by"),
        ({"notes": ["not homed"]}, "state", Verdict.NOTE, ""),
    ],
)
def test_each_defect_is_named_with_its_fix(changed, check, verdict, word):
    """Slow reads, supply, torque offsets, state."""
    found = _findings(**changed)[check]
    assert found.verdict is verdict
    assert word in found.fix


def test_probe_reads_the_arm_without_moving_it(arm, stand_in, call_counts):
    """Serial number, type and offsets from the model; no point, no control, no fingers."""
    arm.arm.call_us = 500
    report = probe_arm(ArmDriverSettings(sdk_path=str(stand_in)), 0.5, os.environ)
    assert (report.serial_number, report.robot_type) == ("STAND-IN-1", 3)
    assert max(map(abs, report.torque_offset)) < 0.01  # gravity of the same model
    assert report.reads_per_second > 100.0
    for name in ("StartControlAPI", "SendAdvanceTrajectory", "InitFingers", "MoveHome"):
        assert call_counts(name) == 0


def test_doctor_ends_with_one_line_without_an_arm(stand_in, monkeypatch, capfd):
    """Exit status 2; the line has the code and what it means."""
    monkeypatch.delenv("ADP_ROS_STAND_IN", raising=False)
    assert main(["doctor", "--robot", "--sdk-path", str(stand_in)]) == 2
    written = capfd.readouterr()
    assert written.out == ""
    (line,) = written.err.splitlines()
    assert line.startswith("error: InitAPI returned 1015: no arm was found")


def test_doctor_reports_the_arm_as_json(arm, stand_in, capfd):
    """One entry per finding, exit status as the worst of them says."""
    arm.arm.call_us = 500
    words = ["--sdk-path", str(stand_in), "--seconds", "1", "--json"]
    assert main(["doctor", "--robot", *words]) == 0
    found = {entry["check"]: entry for entry in json.loads(capfd.readouterr().out)}
    assert found["arm"]["found"].startswith("Jaco2 stand-in STAND-IN-1")
    assert found["torques"]["verdict"] == "ok"


def test_library_that_hangs_or_crashes_is_one_line(arm, stand_in, numbers, monkeypatch):
    """It ends only the process that looks."""
    arm.arm.fails[numbers["GetQuickStatus"]] = 1022
    with pytest.raises(AdpError, match="GetQuickStatus returned 1022: the arm did not answer"):
        probe_arm(ArmDriverSettings(sdk_path=str(stand_in)), 0.0, os.environ)
    arm.arm.hangs[numbers["GetQuickStatus"]] = 1
    monkeypatch.setattr("adp_ros.robots.jaco2.probe._SLACK", 2.0)
    with pytest.raises(AdpError, match="does not come back within 2 s"):
        probe_arm(ArmDriverSettings(sdk_path=str(stand_in)), 0.0, os.environ)
