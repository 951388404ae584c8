"""The envelope: what each border does, and that no velocity whatever leads outside."""

import os
from dataclasses import replace

import numpy as np
import pytest

from adp_ros.control.envelope import Envelope, EnvelopeConfig
from adp_ros.control.place import Place
from adp_ros.errors import ConfigError
from adp_ros.robots.jaco2.arms import ROBOT_TYPES, arm_model
from adp_ros.robots.kinematics import forward
from adp_ros.types import Pose, Twist

MODEL = arm_model("j2n6s300")
CONFIG = EnvelopeConfig()
ENVELOPE = Envelope(CONFIG, MODEL, 0.64)
WIDER = Envelope(
    EnvelopeConfig(
        workspace_low=tuple(np.array(CONFIG.workspace_low) - 1e-4),
        workspace_high=tuple(np.array(CONFIG.workspace_high) + 1e-4),
        base_radius=CONFIG.base_radius - 1e-4,
        joint_margin=CONFIG.joint_margin - 1e-3,
        singularity_stop=1.01 * CONFIG.singularity_stop,
        link_clearance=CONFIG.link_clearance - 1e-4,
    ),
    MODEL,
    0.64,
)
RUNS = int(os.environ.get("ADP_ROS_RUNS", "25"))
DOWN = np.diag([1.0, -1.0, -1.0])


def _home(position=None, rotation=None):
    """Home posture, if asked for with another tool pose put on top."""
    place = Place.at(MODEL, MODEL.home, forward(MODEL, MODEL.home))
    pose = Pose(
        place.pose.position if position is None else np.array(position),
        place.pose.rotation if rotation is None else rotation,
    )
    return replace(place, pose=pose)


def _limited(linear, place, angular=(0.0, 0.0, 0.0)):
    return ENVELOPE.limit(Twist(np.array(linear), np.array(angular)), place)


def test_free_motion_is_not_touched():
    """Far from every border the velocity passes unchanged and no reason is given."""
    limited = _limited([0.05, -0.03, 0.04], _home(), [0.0, 0.1, 0.0])
    np.testing.assert_array_equal(limited.twist.linear, [0.05, -0.03, 0.04])
    np.testing.assert_array_equal(limited.twist.angular, [0.0, 0.1, 0.0])
    assert limited.reasons == ()


def test_speed_towards_a_wall_falls_with_the_distance():
    """1 cm before the wall 4 cm/s are left, along the wall all; at the wall nothing."""
    high = CONFIG.workspace_high[0]
    limited = _limited([0.10, 0.05, 0.0], _home([high - 0.01, -0.4, 0.4]))
    np.testing.assert_allclose(limited.twist.linear, [0.04, 0.05, 0.0])
    assert limited.reasons == ("workspace",)
    at_wall = _limited([0.10, 0.0, 0.0], _home([high, -0.4, 0.4]))
    np.testing.assert_allclose(at_wall.twist.linear, 0.0, atol=1e-12)


def test_outside_only_the_way_back_is_open():
    """Beyond a wall the arm is not pushed, may not go further out, and may come back."""
    place = _home([CONFIG.workspace_high[0] + 0.05, -0.4, 0.4])
    assert ENVELOPE.outside(place) == "workspace"
    np.testing.assert_allclose(_limited([0.0, 0.0, 0.0], place).twist.linear, 0.0)
    np.testing.assert_allclose(_limited([0.1, 0.0, 0.0], place).twist.linear, 0.0)
    np.testing.assert_allclose(_limited([-0.08, 0.0, 0.0], place).twist.linear, [-0.08, 0.0, 0.0])


def test_descent_is_slow_near_the_table():
    """Within 5 cm the end of the tool comes down at 0.05 m/s; sideways and up stay free."""
    low = _home([0.1, -0.4, CONFIG.tool_reach + 0.04], DOWN)
    limited = _limited([0.04, 0.0, -0.15], low)
    np.testing.assert_allclose(limited.twist.linear, [0.04, 0.0, -0.05])
    assert limited.reasons == ("table",)
    assert _limited([0.0, 0.0, 0.15], low).reasons == ()
    middle = _home([0.1, -0.4, CONFIG.tool_reach + 0.06], DOWN)
    expected = -np.sqrt(0.05**2 + 2 * 0.32 * 0.01)
    np.testing.assert_allclose(_limited([0, 0, -0.15], middle).twist.linear[2], expected)
    high = _home([0.1, -0.4, CONFIG.tool_reach + 0.15], DOWN)
    assert _limited([0.0, 0.0, -0.15], high).reasons == ()


def test_tool_keeps_away_from_the_base():
    """At the radius inward motion ends, tangential motion does not."""
    place = _home([0.0, -CONFIG.base_radius, 0.4])
    limited = _limited([0.0, 0.1, 0.0], place)
    np.testing.assert_allclose(limited.twist.linear, 0.0, atol=1e-12)
    assert "base" in limited.reasons
    assert "base" not in _limited([0.05, 0.0, 0.0], place).reasons
    assert ENVELOPE.outside(_home([0.0, -0.14, 0.4])) == "base"


def _towards(joints, rates):
    """Return place and tool velocity of a joint motion."""
    place = Place.at(MODEL, joints, forward(MODEL, joints))
    twist = place.jacobian @ np.array(rates)
    return place, Twist(twist[:3], twist[3:])


def test_joint_near_its_limit_slows_the_whole_motion():
    """20 mrad before the margin joint 3 may move at 4 * 0.02 rad/s; the direction is kept."""
    wide = Envelope(EnvelopeConfig(workspace_high=(0.45, 0.2, 0.8), base_radius=0.0), MODEL, 0.64)
    joints = MODEL.home.copy()
    joints[2] = MODEL.lower[2] + CONFIG.joint_margin + 0.02
    place, twist = _towards(joints, [0.0, 0.0, -0.3, 0.0, 0.0, 0.0])
    limited = wide.limit(twist, place)
    share = np.linalg.norm(limited.twist.linear) / np.linalg.norm(twist.linear)
    assert share == pytest.approx(4 * 0.02 / 0.3, rel=0.01)
    np.testing.assert_allclose(limited.twist.linear, share * twist.linear)
    assert limited.reasons == ("joint_limit",)
    place, twist = _towards(joints, [0.0, 0.0, 0.3, 0.0, 0.0, 0.0])
    assert wide.limit(twist, place).reasons == ()


def test_no_joint_is_asked_for_more_than_its_speed():
    """A velocity that needs twice a joint's speed is halved, at 90 % of the limit."""
    place, twist = _towards(MODEL.home, [2.0 * np.radians(36), 0, 0, 0, 0, 0])
    limited = ENVELOPE.limit(twist, place)
    assert limited.reasons[-1] == "joint_speed"
    rates = np.linalg.solve(place.jacobian, np.r_[limited.twist.linear, limited.twist.angular])
    assert rates[0] == pytest.approx(0.9 * np.radians(36), rel=0.02)


def _singular(depth):
    """Wrist nearly straight: joint 5 close to where axes 4 and 6 line up."""
    joints = MODEL.home.copy()
    joints[4] = depth
    return joints


def test_singularity_stops_the_way_in_and_leaves_the_way_out_open():
    """Beyond the stop level motion towards the singularity is nil, away from it is free."""
    grid = [Place.at(MODEL, _singular(d), forward(MODEL, _singular(d))) for d in (0.02, 0.0)]
    assert grid[0].condition > CONFIG.singularity_stop
    into, twist = _towards(_singular(0.02), [0, 0, 0, 0, -0.1, 0])
    assert into.condition_after(np.array([0, 0, 0, 0, -0.1, 0]), 0.05) > into.condition
    limited = ENVELOPE.limit(twist, into)
    assert limited.reasons == ("singularity",)
    np.testing.assert_allclose(limited.twist.angular, 0.0, atol=1e-12)
    out, twist = _towards(_singular(0.02), [0, 0, 0, 0, 0.1, 0])
    assert ENVELOPE.limit(twist, out).reasons == ()
    assert ENVELOPE.outside(into) == "singularity"


@pytest.mark.parametrize("robot_type", ROBOT_TYPES)
def test_default_envelope_holds_every_home(robot_type):
    """The defaults fit all four arms."""
    Envelope(CONFIG, arm_model(robot_type), 0.64)


def test_envelope_without_home_is_refused_by_name():
    """The message says where home is and which border it is beyond."""
    with pytest.raises(
        ConfigError, match=r"home pose of j2n6s300, tool at \(0.213, -0.257, 0.507\)"
    ):
        Envelope(EnvelopeConfig(workspace_high=(0.1, -0.12, 0.8)), MODEL, 0.64)
    with pytest.raises(ConfigError, match="beyond the border 'singularity'"):
        Envelope(EnvelopeConfig(singularity_slow=10.0, singularity_stop=12.0), MODEL, 0.64)
    with pytest.raises(ConfigError, match="beyond the border 'joint_limit'"):
        Envelope(EnvelopeConfig(joint_margin=0.5), arm_model("j2s6s300"), 0.64)


def test_contradicting_settings_are_refused_by_name():
    """Corners the wrong way round, levels the wrong way round, a corner of two numbers."""
    with pytest.raises(ConfigError, match=r"workspace_low is 0.5 along x, allowed: below .* 0.45"):
        EnvelopeConfig(workspace_low=(0.5, -0.75, 0.0))
    with pytest.raises(ConfigError, match="singularity_slow is 200, allowed: below .* 150"):
        EnvelopeConfig(singularity_slow=200.0)
    with pytest.raises(ConfigError, match="workspace_low has 2 elements, exactly 3 are needed"):
        EnvelopeConfig(workspace_low=(0.0, 0.0))


@pytest.mark.parametrize("seed", range(RUNS))
def test_no_velocity_whatever_leads_outside(seed):
    """An ideal arm that follows random velocities, also at 0.5 m/s, never crosses a border.

    It is judged with borders 0.1 mm, 1 mrad and 1 % further out, for the ticks are not infinitely
    short.
    """
    rng = np.random.default_rng(seed)
    joints = MODEL.home + rng.uniform(-0.3, 0.3, 6)
    place = Place.at(MODEL, joints, forward(MODEL, joints))
    for _ in range(0 if ENVELOPE.outside(place) else 6):
        wanted = rng.normal(size=6) * [0.3, 0.3, 0.3, 1.0, 1.0, 1.0]
        for _ in range(60):
            limited = ENVELOPE.limit(Twist(wanted[:3], wanted[3:]), place).twist
            velocity = np.concatenate([limited.linear, limited.angular])
            joints = joints + 0.01 * np.linalg.solve(place.jacobian, velocity)
            place = Place.at(MODEL, joints, forward(MODEL, joints))
            assert not WIDER.outside(place)
