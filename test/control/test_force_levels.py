"""Stop levels in newtons: against a computation of their own, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from adp_ros.control.controller_settings import ControllerSettings
from adp_ros.control.envelope import Envelope, Place
from adp_ros.control.force_levels import force_levels
from adp_ros.control.supervisor import SafetyConfig
from adp_ros.control.torque import TorqueConfig
from adp_ros.errors import SafetyError
from adp_ros.robots.kinematics import Chain, forward

SETTINGS = ControllerSettings()


def _with(**torque):
    return replace(SETTINGS, safety=SafetyConfig(torque=TorqueConfig(**torque)))


def _differences(model, joints):
    """Tool velocity per joint speed by finite differences of the forward kinematics, (3, 6)."""
    step = 1e-6
    columns = [
        forward(model, joints + step * unit).position
        - forward(model, joints - step * unit).position
        for unit in np.eye(6)
    ]
    return np.stack(columns, axis=1) / (2.0 * step)


def test_worst_direction_at_the_tool_is_that_of_another_computation():
    """Other postures, finite differences, random directions: median and p95 within 15 %."""
    model, rng = SETTINGS.arm.model(), np.random.default_rng(7)
    envelope = Envelope(SETTINGS.envelope, model, SETTINGS.velocity.max_linear_acceleration)
    stop, worst = np.array(SETTINGS.safety.torque.stop), []
    while len(worst) < 150:
        low = np.where(np.isinf(model.lower), -np.pi, model.lower)
        joints = rng.uniform(low, np.where(np.isinf(model.upper), np.pi, model.upper))
        if envelope.outside(Place.at(model, joints, Chain.at(model, joints).tool)):
            continue
        directions = rng.normal(size=(400, 3))
        directions /= np.linalg.norm(directions, axis=1)[:, None]
        felt = np.abs(directions @ _differences(model, joints))  # [N m] per newton
        worst.append(np.max(np.min(stop / felt, axis=1)))
    found = force_levels(SETTINGS).any_direction
    assert found.median == pytest.approx(np.median(worst), rel=0.15)
    assert found.p95 == pytest.approx(np.percentile(worst, 95), rel=0.15)


def test_forces_grow_with_the_levels():
    """Twice the levels let twice the force pass, and a stiffer joint more than a soft one."""
    one, two = force_levels(SETTINGS), force_levels(_with(stop=(8.0, 12.0, 8.0, 4.0, 4.0, 3.0)))
    assert two.against_motion.p95 == pytest.approx(2.0 * one.against_motion.p95)
    assert two.any_direction.worst == pytest.approx(2.0 * one.any_direction.worst)
    lone = force_levels(_with(stop=(4.0, 30.0, 4.0, 2.0, 2.0, 1.5)))
    assert lone.against_motion.p95 > one.against_motion.p95


def test_default_levels_are_under_the_ceiling_and_higher_ones_are_refused():
    """65 N by default; the refusal names the force, what is allowed, and the setting."""
    ceiling = TorqueConfig().force_ceiling
    force_levels(SETTINGS).require(ceiling)
    with pytest.raises(SafetyError, match=r"let \d+ N against .*allowed: 65 N .*force_ceiling"):
        force_levels(_with(stop=(12.0, 18.0, 12.0, 6.0, 6.0, 4.5))).require(ceiling)


def test_words_have_all_figures_beside_the_standards():
    """Median, p95, worst, both ways; ISO/TS 15066's figures are named as such."""
    words = str(force_levels(SETTINGS))
    assert words.count("median") == words.count("p95") == words.count("worst ") - 1 == 2
    assert "ISO/TS 15066 for comparison: hand 140 N, forearm 160 N" in words
