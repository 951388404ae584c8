"""Levels of the torque stop from free motion."""

import json

import numpy as np
import pytest
import yaml

from adp_ros.control.calibration import FreeMotion, propose, residuals
from adp_ros.control.torque import TorqueConfig
from adp_ros.errors import SafetyError
from adp_ros.reports.plots import draw_calibration
from adp_ros.robots.jaco2.arms import arm_model
from adp_ros.robots.kinematics import gravity_torque

MODEL = arm_model("j2n6s300")
CONFIG = TorqueConfig()


def _motion(*, seconds=40.0, noise=0.1, offset=0.0, rest=1.0, push=0.0):
    """Rest, then a slow swing of every joint; noise, an offset, a push at the end."""
    rng = np.random.default_rng(0)
    times = 100.0 + np.arange(0.0, rest + seconds, 0.02)
    swing = np.clip(times - 100.0 - rest, 0.0, None)
    joints = MODEL.home + 0.3 * np.sin(0.5 * swing)[:, None]
    torques = np.array([gravity_torque(MODEL, q) for q in joints]) + offset
    torques += rng.normal(0.0, noise, torques.shape)
    torques[-5:, 1] += push
    return FreeMotion(times, torques, joints)


def _proposal(motion, **options):
    return propose(residuals(motion, MODEL, CONFIG), CONFIG, **options)


def test_quiet_arm_keeps_its_levels():
    """Noise of 0.1 N m and an offset of 1 N m: nothing to change, nothing to warn of."""
    proposal = _proposal(_motion(offset=1.0))
    assert [j.stop for j in proposal.joints] == list(CONFIG.stop)
    assert all(j.offset == pytest.approx(1.0, abs=0.1) for j in proposal.joints)
    assert all(j.extreme == pytest.approx(0.33, abs=0.05) for j in proposal.joints)
    assert proposal.warnings == () and proposal.motion > 30.0


def test_noisy_arm_gets_higher_levels_and_never_lower_ones():
    """Twice the 99.9th percentile and the margin, rounded up to a tenth."""
    proposal = _proposal(_motion(noise=0.8), margin=0.3)
    for joint in proposal.joints:
        wanted = 2.0 * joint.extreme + 0.3
        assert joint.stop == max(joint.default, np.ceil(10 * wanted) / 10)
    assert proposal.joints[5].stop > 1.5 and proposal.joints[1].stop == 6.0


def test_doubtful_calibrations_are_called_so():
    """A touched arm, and one that hardly moved."""
    assert any("joint 2 felt" in w for w in _proposal(_motion(push=9.0)).warnings)
    assert any("only" in w for w in _proposal(_motion(seconds=5.0)).warnings)


def test_motion_without_rest_is_refused():
    """The offset of the sensors is not known then."""
    with pytest.raises(SafetyError, match="must rest at the beginning of a calibration"):
        residuals(_motion(rest=0.0, seconds=2.5), MODEL, CONFIG)


def test_samples_are_joined_by_time():
    """A torque sample gets the joints that were newest when it came; earlier ones are left out."""
    torques = [(t, np.full(6, t)) for t in (1.0, 2.0, 3.0)]
    joints = [(t, np.full(6, 10.0 * t)) for t in (1.5, 2.5)]
    motion = FreeMotion.joined(torques, joints)
    assert list(motion.times) == [2.0, 3.0]
    assert list(motion.joints[:, 0]) == [15.0, 25.0]
    with pytest.raises(SafetyError, match="no samples of joint_angles"):
        FreeMotion.joined(torques, [])
    with pytest.raises(SafetyError, match="joint_torques has a value that is not a finite"):
        FreeMotion.joined([(1.0, np.full(6, np.nan))], joints)


def test_outputs_agree(tmp_path):
    """YAML that the controller's settings take, JSON, a table, a plot."""
    found = residuals(_motion(noise=0.8), MODEL, CONFIG)
    proposal = propose(found, CONFIG)
    values = yaml.safe_load(proposal.to_yaml())["controller_node"]["ros__parameters"]
    assert TorqueConfig(stop=tuple(values["torque"]["stop"])).stop == tuple(
        j["stop"] for j in json.loads(json.dumps(proposal.to_json()))["joints"]
    )
    assert len(proposal.to_text().splitlines()) >= 7
    draw_calibration(found, proposal, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
