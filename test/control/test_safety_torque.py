"""The torque monitor: levels, tare and what it refuses."""

import numpy as np
import pytest

from adp_ros.control.feeds import FeedConfig
from adp_ros.control.torque import TorqueConfig, TorqueLevel, TorqueMonitor
from adp_ros.errors import ConfigError, SafetyError
from adp_ros.robots.jaco2.arms import arm_model
from adp_ros.robots.kinematics import gravity_torque

MODEL = arm_model("j2n6s300")
STOP = np.array([4.0, 6.0, 4.0, 2.0, 2.0, 1.5])


def _torque(tare=None, **changes):
    monitor = TorqueMonitor(TorqueConfig(**changes))
    rng = np.random.default_rng(0)
    offset = np.zeros(6) if tare is None else np.array(tare)
    gravity = gravity_torque(MODEL, MODEL.home)
    for k in range(30):
        noise = rng.normal(0.0, 0.02, 6)
        monitor.take(gravity + offset + noise, gravity, MODEL.home, 0.02 * k)
    monitor.capture_tare(0.6)
    return monitor, gravity, offset


def _press(monitor, gravity, joint, torque, at):
    extra = np.zeros(6)
    extra[joint] = torque
    return monitor.take(gravity + extra, gravity, MODEL.home, at)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("joint", range(6))
def test_two_samples_over_the_level_stop_one_does_not(joint, sign):
    """Each joint, each direction: 5 % over stops with the second sample, 5 % under never."""
    monitor, gravity, _ = _torque()
    over = sign * 1.05 * STOP[joint]
    assert _press(monitor, gravity, joint, over, 1.0) is not TorqueLevel.STOP
    assert _press(monitor, gravity, joint, over, 1.02) is TorqueLevel.STOP
    assert f"residual torque of joint {joint + 1} is {over:+.1f}"[:-1] in monitor.message
    assert f"N m, allowed: {STOP[joint]:.2f}" in monitor.message
    monitor, gravity, _ = _torque()
    for k in range(10):
        level = _press(monitor, gravity, joint, 0.95 * sign * STOP[joint], 1.0 + 0.02 * k)
        assert level is not TorqueLevel.STOP


def test_new_monitor_has_felt_nothing():
    """Level, message and residual; and the first sample over any level is one, not two."""
    monitor = TorqueMonitor(TorqueConfig())
    assert (monitor.level, monitor.message) == (TorqueLevel.OK, "")
    np.testing.assert_array_equal(monitor.residual, np.zeros(6))
    assert _press(monitor, np.zeros(6), 2, 24.5, 0.0) is TorqueLevel.OK
    assert _press(monitor, np.zeros(6), 2, 24.5, 0.02) is TorqueLevel.STOP
    assert monitor.message == "torque of joint 3 is +24.50 N m, allowed: 24.00"
    for torque in (4.1, 2.5):
        monitor = TorqueMonitor(TorqueConfig())
        monitor.tare = np.zeros(6)
        assert _press(monitor, np.zeros(6), 2, torque, 0.0) is TorqueLevel.OK


def test_levels_themselves_are_allowed():
    """Stop level, twice the stop level once, and the absolute level, to the last digit."""
    monitor = TorqueMonitor(TorqueConfig(slow_share=1.0))
    monitor.tare = np.zeros(6)
    for k in range(5):
        assert _press(monitor, np.zeros(6), 1, 6.0, 0.02 * k) is TorqueLevel.OK
    assert _press(monitor, np.zeros(6), 1, 12.0, 0.2) is not TorqueLevel.STOP
    assert _press(monitor, np.zeros(6), 1, 6.0, 0.22) is not TorqueLevel.STOP
    monitor = TorqueMonitor(TorqueConfig())
    for k in range(5):
        assert _press(monitor, np.zeros(6), 0, 24.0, 0.02 * k) is TorqueLevel.OK


def test_spikes_with_a_good_sample_between_do_not_add_up():
    """Samples over the level must follow each other."""
    monitor, gravity, _ = _torque()
    for k in range(10):
        torque = 7.0 if k % 2 else 0.0
        assert _press(monitor, gravity, 1, torque, 1.0 + 0.02 * k) is not TorqueLevel.STOP


def test_one_sample_over_twice_the_level_stops_at_once():
    """12.1 N m on joint 2, level 6; 11.9 is not enough."""
    monitor, gravity, _ = _torque()
    assert _press(monitor, gravity, 1, 11.9, 1.0) is not TorqueLevel.STOP
    monitor, gravity, _ = _torque()
    assert _press(monitor, gravity, 1, 12.1, 1.0) is TorqueLevel.STOP


def test_slow_level_slows_until_half_a_second_after():
    """60 % of the stop level, twice in a row; full speed 0.5 s after the last sample over it."""
    monitor, gravity, _ = _torque()
    assert _press(monitor, gravity, 2, 2.5, 1.00) is TorqueLevel.OK
    assert _press(monitor, gravity, 2, 2.5, 1.02) is TorqueLevel.SLOW
    assert "joint 3 is +2.50 N m, allowed: 2.40" in monitor.message
    assert _press(monitor, gravity, 2, 0.0, 1.50) is TorqueLevel.SLOW
    assert _press(monitor, gravity, 2, 0.0, 1.54) is TorqueLevel.OK


def test_slow_level_itself_is_allowed_and_holds_for_its_time_to_the_last_digit():
    """2 N m at a level of 2 are not over it; 0.5 s after the last overload it is still slow."""
    monitor = TorqueMonitor(TorqueConfig(slow_share=0.5))
    monitor.tare = np.zeros(6)
    for k in range(4):
        assert _press(monitor, np.zeros(6), 0, 2.0, 1.0 + k / 64) is TorqueLevel.OK
    for k in range(2):
        level = _press(monitor, np.zeros(6), 0, 2.01, 2.0 + k / 64)
    assert level is TorqueLevel.SLOW
    assert _press(monitor, np.zeros(6), 0, 0.0, 2.5 + 1 / 64) is TorqueLevel.SLOW
    assert _press(monitor, np.zeros(6), 0, 0.0, 2.5 + 2 / 64) is TorqueLevel.OK


def test_tare_takes_the_sensors_offset_away():
    """An offset of up to 75 % of the level is subtracted, to the noise."""
    offset = [1.0, -2.0, 0.8, -0.8, 0.3, 0.2]
    monitor, gravity, offset = _torque(offset)
    np.testing.assert_allclose(monitor.tare, offset, atol=0.02)
    monitor.take(gravity + offset, gravity, MODEL.home, 1.0)
    np.testing.assert_allclose(monitor.residual, 0.0, atol=0.02)
    push = np.array([0.0, -4.5, 0.0, 0.0, 0.0, 0.0])
    assert monitor.take(gravity + offset + push, gravity, MODEL.home, 1.02) is TorqueLevel.OK
    assert monitor.residual[1] == pytest.approx(-4.5, abs=0.02)


def test_object_in_the_hand_is_no_overload():
    """Its weight is explained from nothing to the whole; beyond, and the other way, nothing is."""
    monitor, gravity, _ = _torque()
    heavy = gravity_torque(MODEL.with_payload(1.0, (0.0, 0.0, 0.03)), MODEL.home) - gravity
    for share, left in ((0.0, 0.0), (0.5, 0.0), (1.0, 0.0), (1.5, 0.5), (-0.5, -0.5)):
        monitor.take(gravity + share * heavy, gravity, MODEL.home, 1.0, heavy)
        np.testing.assert_allclose(monitor.residual, left * heavy, atol=0.02)
    monitor.take(gravity + heavy, gravity, MODEL.home, 1.02)
    np.testing.assert_allclose(monitor.residual, heavy, atol=0.02)


def test_load_is_the_worst_joint_as_a_share_of_its_level():
    """3 N m on joint 2 of level 6, 1 N m on joint 4 of level 2: one half."""
    monitor, gravity, _ = _torque()
    monitor.take(gravity + [0, 3.0, 0, -1.0, 0, 0], gravity, MODEL.home, 1.0)
    assert monitor.load == pytest.approx(0.5, abs=0.02)


def test_loaded_names_the_joint_over_its_slow_level():
    """Half a newton metre over is enough, the level itself is not."""
    monitor, _, _ = _torque()
    slow = 0.6 * STOP
    monitor.residual = slow.copy()
    assert monitor.loaded() == ""
    monitor.residual[4] += 0.5
    assert monitor.loaded() == "residual torque of joint 5 is +1.70 N m, allowed: 1.20"
    monitor.residual[1] = -5.0
    assert monitor.loaded() == "residual torque of joint 2 is -5.00 N m, allowed: 3.60"


def test_without_tare_only_the_absolute_level_counts():
    """Before the offset is known a residual proves nothing, but 24 N m do."""
    monitor = TorqueMonitor(TorqueConfig())
    gravity = gravity_torque(MODEL, MODEL.home)
    for k in range(5):
        assert _press(monitor, gravity, 0, 20.0, 0.02 * k) is TorqueLevel.OK
    assert monitor.residual[0] == pytest.approx(20.0)
    assert _press(monitor, gravity, 0, 24.5, 0.2) is TorqueLevel.OK
    assert _press(monitor, gravity, 0, 24.5, 0.22) is TorqueLevel.STOP
    assert monitor.message == "torque of joint 1 is +24.50 N m, allowed: 24.00"


def test_tare_is_refused_while_moving_pushed_or_without_samples():
    """Each refusal says why."""
    monitor, gravity = TorqueMonitor(TorqueConfig()), gravity_torque(MODEL, MODEL.home)
    with pytest.raises(SafetyError, match=r"cannot be measured: 0 torque samples in 0.5 s"):
        monitor.capture_tare(0.0)
    for k in range(30):
        joints = MODEL.home + [0, 0, 0.001 * k, 0, 0, 0]
        monitor.take(gravity, gravity, joints, 0.02 * k)
    with pytest.raises(SafetyError, match=r"joint 3 moved by 0.0\d\d rad"):
        monitor.capture_tare(0.6)
    with pytest.raises(SafetyError, match=r"joint 2 is \+4.6\d N m, allowed: 4.50: something push"):
        _torque([0.0, 4.65, 0.0, 0.0, 0.0, 0.0])
    monitor, gravity, _ = _torque()
    for late in (1.5, 9.0):  # the last sample came at 0.58 s
        with pytest.raises(SafetyError, match="0 torque samples"):
            monitor.capture_tare(late)


def _at_rest(times, offsets=None, joints=None, **settings):
    """A monitor that has felt an offset of joint 2 in [N m] at times in [s]."""
    monitor = TorqueMonitor(TorqueConfig(tare_time=1.0, **settings))
    for k, time in enumerate(times):
        measured = np.zeros(6)
        measured[1] = 0.0 if offsets is None else offsets[k]
        monitor.take(measured, np.zeros(6), np.zeros(6) if joints is None else joints[k], time)
    return monitor


def test_rest_needs_four_samples_over_60_percent_of_the_time():
    """To the last digit: number, span and age; and what came before the tare time is forgotten."""
    enough = (0.0, 0.2, 0.4, 0.6)
    assert _at_rest(enough).restless(1.5) == ""
    assert "3 torque samples in 1 s" in _at_rest(enough).restless(1.5 + 1e-9)
    assert "4 torque samples in 1 s" in _at_rest((100.0, 100.1, 100.2, 100.3)).restless(100.3)
    assert "3 torque samples in 1 s" in _at_rest((0.0, 0.3, 0.6)).restless(0.6)
    times, offsets = (0.0, 0.25, 0.5, 0.75, 1.0), (1.0, 0.0, 0.0, 0.0, 0.0)
    assert _at_rest(times, offsets).capture_tare(1.0)[1] == 0.2
    assert _at_rest((*times, 1.25), (*offsets, 0.0)).capture_tare(1.25)[1] == 0.0


def test_rest_allows_the_still_angle_itself():
    """2^-7 rad are allowed when 2^-7 rad are, and a little more is not."""
    angle = 2.0**-7
    for moved, word in ((angle, ""), (1.01 * angle, "joint 5 moved")):
        joints = np.zeros((5, 6))
        joints[2, 4] = moved
        found = _at_rest((0.0, 0.2, 0.4, 0.6, 0.8), None, joints, still_angle=angle).restless(0.8)
        assert (word in found) if word else found == ""


def test_largest_offset_that_is_taken_is_taken():
    """75 % of 6 N m are 4.5 N m, to the last digit; with a share of 0 nothing but 0 is."""
    times = (0.0, 0.25, 0.5, 0.75, 1.0)
    assert _at_rest(times, 5 * [4.5]).capture_tare(1.0)[1] == 4.5
    with pytest.raises(SafetyError, match="joint 2"):
        _at_rest(times, 5 * [4.51]).capture_tare(1.0)
    with pytest.raises(SafetyError, match=r"joint 2 is \+0.10 N m, allowed: 0.00"):
        _at_rest(times, 5 * [0.1], tare_share=0.0).capture_tare(1.0)


def test_tare_ends_an_overload():
    """What the arm felt before is explained from then on; counting begins anew."""
    monitor = _at_rest((0.0, 0.25, 0.5, 0.75, 1.0), 5 * [4.0])
    monitor.tare = np.zeros(6)
    push = np.array([0.0, 4.0, 0.0, 0.0, 0.0, 0.0])
    for time in (1.02, 1.04):
        level = monitor.take(push, np.zeros(6), np.zeros(6), time)
    assert level is TorqueLevel.SLOW
    monitor.capture_tare(1.04)
    assert monitor.level is TorqueLevel.OK


def test_levels_of_the_wrong_length_or_sign_are_refused_by_name():
    """Five levels, a negative level, a level that is not a number."""
    with pytest.raises(ConfigError, match=r"torque.stop has 5 elements, exactly 6 are needed"):
        TorqueConfig(stop=(1.0,) * 5)
    with pytest.raises(ConfigError, match=r"torque.stop\[2\] is -4.0, allowed: 0.1 to 30"):
        TorqueConfig(stop=(4.0, 6.0, -4.0, 2.0, 2.0, 1.5))
    with pytest.raises(ConfigError, match=r"torque.absolute\[0\] is nan"):
        TorqueConfig(absolute=(float("nan"), 24.0, 24.0, 5.4, 5.4, 5.4))
    with pytest.raises(ConfigError, match="feed.frozen_rest is 0.08, allowed: 0 or at least"):
        FeedConfig(frozen_rest=0.08)
    with pytest.raises(ConfigError, match="^feed.stale is -1"):
        FeedConfig(stale=-1.0)
    assert FeedConfig(frozen=0.1, frozen_rest=0.0).frozen_rest == 0.0
    assert FeedConfig(frozen=0.1, frozen_rest=0.1).frozen_rest == 0.1


def test_renewed_tare_is_compared_with_the_last_one_kept():
    """Somebody leans on the arm at start: refused with both figures; the old offset stays."""
    times = (0.0, 0.25, 0.5, 0.75, 1.0)
    monitor = _at_rest(times, 5 * [1.49])
    assert monitor.renew_tare(1.0)[1] == 1.49  # nothing kept yet: the configured offset of 0
    for k in range(5):
        monitor.take(
            np.array([0.0, 1.49 + 1.51, 0.0, 0.0, 0.0, 0.0]),
            np.zeros(6),
            MODEL.home,
            2.0 + 0.25 * k,
        )
    with pytest.raises(SafetyError, match=r"joint 2 is \+3\.00 N m, the last one kept \+1\.49"):
        monitor.renew_tare(3.0)
    assert monitor.tare[1] == 1.49
    assert monitor.capture_tare(3.0)[1] == pytest.approx(3.0)  # a person says that it is free
    assert monitor.renew_tare(3.0)[1] == pytest.approx(3.0)


def test_first_tare_is_compared_with_the_calibrated_offset():
    """An arm whose sensor is 3 N m off is tared at once when its calibration says so."""
    times = (0.0, 0.25, 0.5, 0.75, 1.0)
    known = (0.0, 3.0, 0.0, 0.0, 0.0, 0.0)
    assert _at_rest(times, 5 * [3.2], offset=known).renew_tare(1.0)[1] == pytest.approx(3.2)
    with pytest.raises(SafetyError, match=r"is \+3\.20 N m, the last one kept \+0\.00, allowed: a"):
        _at_rest(times, 5 * [3.2]).renew_tare(1.0)


def test_gravity_free_torques_are_compared_with_nothing():
    """Where the arm has taken gravity off, the model does not take it off a second time."""
    gravity = np.array([0.0, -12.0, 3.0, 0.5, 0.0, 0.0])
    for source, measured in (("raw", gravity + 0.2), ("gravity_free", np.full(6, 0.2))):
        monitor = TorqueMonitor(TorqueConfig(source=source))
        for i in range(4):
            level = monitor.take(measured, gravity, np.zeros(6), 0.02 * i)
        assert level is TorqueLevel.OK
        np.testing.assert_allclose(monitor.residual, 0.2, atol=1e-12)
    doubled = TorqueMonitor(TorqueConfig())
    doubled.take(np.full(6, 0.2), gravity, np.zeros(6), 0.0)
    np.testing.assert_allclose(doubled.residual, 0.2 - gravity)
