"""``adp-ros calibrate`` from a bag and from the running arm."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("kinova_msgs")

import rclpy
from fake_driver import FakeDriver
from rclpy.executors import SingleThreadedExecutor
from recorded_run import BagMaker
from spinner import Spinner

from adp_ros.cli import main
from adp_ros.robots.jaco2.arms import arm_model
from adp_ros.robots.jaco2.messages import joint_angles_message
from adp_ros.robots.kinematics import gravity_torque

MODEL = arm_model("j2n6s300")
PREFIX = "/j2n6s300_driver/out/"


def _bag(directory, seconds=35.0, noise=0.35):
    bag, rng = BagMaker(directory), np.random.default_rng(0)
    for k in range(round(seconds / 0.02)):
        t = 0.02 * k
        joints = MODEL.home + 0.3 * np.sin(0.5 * max(0.0, t - 1.0))
        torque = gravity_torque(MODEL, joints) + rng.normal(0.0, noise, 6)
        bag.put(PREFIX + "joint_angles", joint_angles_message(np.degrees(joints)), 10.0 + t)
        bag.put(PREFIX + "joint_torques", joint_angles_message(torque), 10.001 + t)
    bag.close()
    return directory


def test_bag_becomes_levels(tmp_path, capsys):
    """Noise of 0.35 N m: joint 6 gets more than its 1.5 N m; YAML and plot are written."""
    bag = _bag(tmp_path / "bag")
    output, plot = tmp_path / "levels.yaml", tmp_path / "levels.png"
    words = ["calibrate", str(bag), "--json", "--output", str(output), "--plot", str(plot)]
    assert main(words) == 0
    proposal = json.loads(capsys.readouterr().out)
    assert proposal["joints"][5]["stop"] == pytest.approx(2.8, abs=0.3)
    assert proposal["samples"] > 1600 and proposal["warnings"] == []
    assert "stop: [" in output.read_text() and plot.stat().st_size > 1000


def test_levels_over_the_force_ceiling_need_a_flag(tmp_path, capsys):
    """A noisy arm: refused with the force and what is allowed; with the flag it is said."""
    bag = str(_bag(tmp_path / "bag", noise=1.5))
    assert main(["calibrate", bag]) == 2
    words = capsys.readouterr().err
    assert "the stop levels let" in words and "allowed: 65 N (torque.force_ceiling)" in words
    assert main(["calibrate", bag, "--accept-force"]) in (0, 1)
    assert "least force that always stops: median" in capsys.readouterr().out
    assert main(["calibrate", bag, "--force-ceiling", "500"]) in (0, 1)


def test_bag_of_another_arm_is_refused(tmp_path, capsys):
    """One line that names what is missing."""
    bag = _bag(tmp_path / "bag", 1.0)
    assert main(["calibrate", str(bag), "--robot-type", "j2n6s200"]) == 2
    assert capsys.readouterr().err == "error: there are no samples of joint_torques\n"
    assert main(["calibrate", str(bag), "--margin", "-1"]) == 2
    assert "--margin is -1, allowed: 0 to 10" in capsys.readouterr().err


def test_running_arm_becomes_levels():
    """Three seconds of an arm at rest: levels stay, and the proposal says how little it is."""
    domain = 101 + os.getpid() % 100
    context = rclpy.Context()
    context.init(domain_id=domain)
    driver = FakeDriver(context=context)
    spinner = Spinner(SingleThreadedExecutor(context=context), driver)
    try:
        result = subprocess.run(
            [sys.executable, "-m", "adp_ros.cli", "calibrate", "--live", "3", "--json"],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "ROS_DOMAIN_ID": str(domain)},
            check=False,
        )
    finally:
        spinner.end()
        driver.destroy_node()
        context.shutdown()
    assert result.returncode == 1, result.stderr
    proposal = json.loads(result.stdout)
    assert [j["stop"] for j in proposal["joints"]] == [4.0, 6.0, 4.0, 2.0, 2.0, 1.5]
    assert any("only 0 s of motion" in w for w in proposal["warnings"])
