"""Increments to velocities, ramps and path feedback, against direct computation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

from adp_ros.control.velocity import (
    PathFollower,
    Ramp,
    VelocityConfig,
    limited_increment,
    scaled_to,
)
from adp_ros.errors import ConfigError
from adp_ros.types import ActionConvention, Pose, Twist

CONFIG = VelocityConfig()
START = Pose(np.array([0.2, -0.4, 0.3]), Rotation.from_rotvec([0.2, 3.0, 0.1]).as_matrix())


def _action(*numbers):
    return np.array([*numbers, 1.0])


def test_speed_cap_follows_from_the_stopping_distance():
    """At 0.15 m/s reaction and braking take 25.1 mm; a shorter distance lowers the cap."""
    v, t, a = 0.15, 0.05, 0.64
    assert v * t + v * v / (2 * a) == pytest.approx(0.0251, abs=1e-4)
    assert CONFIG.linear_speed_cap == pytest.approx(0.15)
    tight = VelocityConfig(stopping_distance=0.01)
    v = tight.linear_speed_cap
    assert v * t + v * v / (2 * a) == pytest.approx(0.01)
    assert VelocityConfig(max_linear_speed=0.05).linear_speed_cap == 0.05


def test_increment_is_done_within_its_step():
    """Velocity times step period is the increment, in the base frame."""
    twist, scaled = limited_increment(
        _action(0.005, -0.002, 0.001, 0.01, 0.0, 0.0),
        START.rotation,
        ActionConvention(),
        0.1,
        CONFIG,
    )
    np.testing.assert_allclose(0.1 * twist.linear, [0.005, -0.002, 0.001])
    np.testing.assert_allclose(0.1 * twist.angular, [0.01, 0.0, 0.0], atol=1e-12)
    assert not scaled


def test_tool_frame_increment_is_turned_into_the_base_frame():
    """In the tool's convention dx goes along the tool's x and turns about the tool's axes."""
    convention = ActionConvention("tool", "tool", "euler_xyz")
    twist, _ = limited_increment(
        _action(0.005, 0.0, 0.0, 0.0, 0.0, 0.01), START.rotation, convention, 0.1, CONFIG
    )
    np.testing.assert_allclose(twist.linear, 0.05 * START.rotation[:, 0], atol=1e-12)
    np.testing.assert_allclose(twist.angular, 0.1 * START.rotation[:, 2], atol=1e-9)


def test_too_fast_increment_keeps_its_direction():
    """Both speeds are scaled by one factor until neither is over its limit."""
    twist, scaled = limited_increment(
        _action(0.03, 0.04, 0.0, 0.0, 0.0, 0.01), START.rotation, ActionConvention(), 0.1, CONFIG
    )
    assert scaled
    np.testing.assert_allclose(twist.linear, [0.09, 0.12, 0.0])
    np.testing.assert_allclose(twist.angular, [0.0, 0.0, 0.1 * 0.3], atol=1e-12)
    turning, _ = limited_increment(
        _action(0.01, 0.0, 0.0, 0.06, 0.0, 0.0), START.rotation, ActionConvention(), 0.1, CONFIG
    )
    assert np.linalg.norm(turning.angular) == pytest.approx(0.3)
    assert np.linalg.norm(turning.linear) == pytest.approx(0.05)


@given(st.lists(arrays(np.float64, 3, elements=st.floats(-0.15, 0.15)), min_size=1, max_size=8))
@settings(max_examples=60)
def test_ramp_never_exceeds_acceleration_and_jerk(targets):
    """For any sequence of targets in the cap, also switched mid-ramp, both limits hold."""
    ramp, period = Ramp(0.64, 20.0), 0.01
    targets = [scaled_to(target, 0.15) for target in targets]
    velocities = [np.zeros(3), np.zeros(3)]
    for target in targets:
        for _ in range(17):
            velocities.append(ramp.follow(target, period).copy())
    accelerations = np.diff(velocities, axis=0) / period
    jerks = np.diff(accelerations, axis=0) / period
    assert np.linalg.norm(accelerations, axis=1).max() <= 0.64 + 1e-9
    assert np.linalg.norm(jerks, axis=1).max() <= 20.0 + 1e-4  # the last step is rounded


def test_ramp_arrives_without_overshoot():
    """From rest to 0.15 m/s: never above it, there after v/a + a/j = 0.27 s."""
    ramp = Ramp(0.64, 20.0)
    speeds = [ramp.follow(np.array([0.15, 0.0, 0.0]), 0.01)[0] for _ in range(40)]
    assert max(speeds) <= 0.15 + 1e-12
    assert speeds[29] == pytest.approx(0.15, abs=1e-6)
    assert speeds[20] < 0.14


def test_cut_ramp_goes_on_from_the_lower_velocity():
    """After the envelope took speed away the ramp starts from what was sent."""
    ramp = Ramp(0.64, 20.0)
    for _ in range(30):
        ramp.follow(np.array([0.15, 0.0, 0.0]), 0.01)
    ramp.cut(np.array([0.02, 0.0, 0.0]))
    assert ramp.follow(np.array([0.15, 0.0, 0.0]), 0.01)[0] <= 0.02 + 20.0 * 0.01 * 0.01 + 1e-12
    ramp.reset()
    assert not ramp.velocity.any()


def _drive(share, delay_ticks, gain, seconds=4.0):
    """Follow a straight line at 5 cm/s with an arm that is late and falls short; return errors."""
    follower, period = PathFollower(VelocityConfig(feedback_gain=gain)), 0.01
    planned = Twist(np.array([0.05, 0.0, 0.0]), np.array([0.0, 0.0, 0.1]))
    position, rotation, sent, errors = START.position.copy(), START.rotation, [], []
    for k in range(round(seconds / period)):
        now = k * period
        measured = Pose(position.copy(), rotation)
        follower.start(measured, now)
        back = follower.feedback(measured, now)
        planned_pose = follower.pose
        follower.advance(planned, period, now + period)
        sent.append(Twist(planned.linear + back.linear, planned.angular + back.angular))
        if k >= delay_ticks:
            done = sent[k - delay_ticks]
            position = position + share * done.linear * period
            turn = Rotation.from_rotvec(share * done.angular * period).as_matrix()
            rotation = turn @ rotation
        apart = planned_pose.rotation @ measured.rotation.T
        errors.append(
            (
                np.linalg.norm(planned_pose.position - measured.position),
                np.linalg.norm(Rotation.from_matrix(apart).as_rotvec()),
            )
        )
    return np.array(errors)


def test_feedback_makes_up_for_a_driver_that_falls_short():
    """With 80 % of the speed and 50 ms of delay the tool stays 6 mm behind, not 40 mm."""
    open_loop, closed = _drive(0.8, 5, 0.0), _drive(0.8, 5, 2.0)
    assert open_loop[-1, 0] > 0.029  # the plan is pulled back at 30 mm
    assert closed[-1, 0] == pytest.approx(0.05 * 0.2 / (0.8 * 2.0), abs=1e-3)
    assert closed[-1, 1] < 0.02


def test_feedback_without_error_is_zero():
    """An arm that follows at once is not disturbed."""
    assert _drive(1.0, 0, 2.0)[:, 0].max() < 1e-9


def test_plan_never_runs_away_from_an_arm_that_does_not_move():
    """The lead stays at its limit, and so does the velocity that it causes."""
    follower = PathFollower(CONFIG)
    follower.start(START, 0.0)
    for k in range(300):
        follower.advance(
            Twist(np.array([0.1, 0.0, 0.0]), np.array([0.0, 0.2, 0.0])), 0.01, 0.01 * k
        )
        back = follower.feedback(START, 0.01 * k)
    assert np.linalg.norm(back.linear) <= CONFIG.feedback_gain * CONFIG.max_lead + 1e-9
    assert np.linalg.norm(back.angular) <= CONFIG.feedback_gain * CONFIG.max_lead_angle + 1e-9
    assert np.linalg.norm(follower.pose.position - START.position) <= CONFIG.max_lead + 1e-9


def test_forgotten_path_starts_at_the_measured_pose():
    """After a pause nothing of the old path pulls at the arm."""
    follower = PathFollower(CONFIG)
    follower.start(START, 0.0)
    follower.advance(Twist(np.array([0.1, 0.0, 0.0]), np.zeros(3)), 0.1, 0.1)
    follower.forget()
    assert follower.pose is None
    assert not follower.feedback(START, 0.2).linear.any()
    elsewhere = Pose(START.position + 0.05, START.rotation)
    assert follower.start(elsewhere, 0.2) is elsewhere
    with pytest.raises(RuntimeError, match="has not been started"):
        PathFollower(CONFIG).advance(Twist.zero(), 0.01, 0.0)


def test_settings_out_of_range_are_refused_by_name():
    """The arm's own limits are the highest that is allowed."""
    with pytest.raises(
        ConfigError, match=r"velocity.max_linear_speed is 0.5, allowed: 0.01 to 0.2"
    ):
        VelocityConfig(max_linear_speed=0.5)
    with pytest.raises(ConfigError, match=r"velocity.max_linear_acceleration is -1"):
        VelocityConfig(max_linear_acceleration=-1.0)
