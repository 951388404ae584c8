"""The way home: found, checked, driven by our stream, stopped at any moment."""

import numpy as np
import pytest
from simulated_arm import TICK, Bench

from adp_ros.control.controller_settings import ControllerSettings
from adp_ros.control.envelope import Envelope, EnvelopeConfig
from adp_ros.control.guard import GuardConfig
from adp_ros.control.homing import plan_home
from adp_ros.control.safety_machine import Status
from adp_ros.errors import SafetyError
from adp_ros.robots.jaco2.arms import arm_model
from adp_ros.robots.kinematics import Chain

MODEL = arm_model("j2n6s300")
CONFIG = EnvelopeConfig()
ENVELOPE = Envelope(CONFIG, MODEL, 0.64)


def _outside(joints, slack=0.0):
    """Distance in [m] of tool and links from the envelope, by the numbers of its settings."""
    chain = Chain.at(MODEL, joints)
    tool = chain.origin[-1]
    low, high = np.array(CONFIG.workspace_low), np.array(CONFIG.workspace_high)
    parts = [*(low - tool), *(tool - high), CONFIG.base_radius - np.hypot(tool[0], tool[1])]
    parts += [CONFIG.link_clearance - z for z in chain.origin[2:6, 2]]
    return max(*parts, 0.0) if max(parts) > slack else 0.0


def _postures(count, seed=0):
    """Random postures inside the envelope."""
    rng = np.random.default_rng(seed)
    low = np.where(np.isinf(MODEL.lower), -np.pi, MODEL.lower + CONFIG.joint_margin)
    high = np.where(np.isinf(MODEL.upper), np.pi, MODEL.upper - CONFIG.joint_margin)
    while count:
        joints = rng.uniform(low, high)
        if not _outside(joints):
            count -= 1
            yield joints


def _bench(joints):
    bench = Bench()
    bench.arm.joints = np.array(joints)
    return bench.run(0.8)


def test_ways_stay_inside_from_anywhere():
    """From 60 random postures: every posture of the way inside, steps small, home at the end."""
    for joints in _postures(60):
        way = plan_home(MODEL, ENVELOPE, joints)
        np.testing.assert_array_equal(way[0], joints)
        turns = (way[-1] - MODEL.home) / (2.0 * np.pi)
        np.testing.assert_allclose(turns, np.round(turns), atol=1e-9)
        assert np.abs(np.diff(way, axis=0)).max() < 0.06
        assert max(_outside(posture) for posture in way) == 0.0


def test_way_from_outside_leads_inside():
    """A tool above the workspace comes down and never goes further out."""
    chain = Chain.at(MODEL, MODEL.home)
    joints = MODEL.home.copy()
    rng = np.random.default_rng(1)
    while not 0.0 < _outside(joints) < 0.1:
        joints = MODEL.home + rng.uniform(-0.8, 0.8, 6)
    way = plan_home(MODEL, ENVELOPE, joints)
    outside = [_outside(posture) for posture in way]
    assert outside[-1] == 0.0 and max(outside) <= outside[0] + 1e-9
    assert chain.tool.position[2] > 0.0


@pytest.mark.parametrize("seed", range(4))
def test_controller_brings_the_arm_home(seed):
    """HOMING, then ARMED; speeds within the limits; the measured way inside the envelope."""
    bench = _bench(next(_postures(1, seed)))
    opening = bench.opening = 0.35
    bench.run(0.1)
    bench.controller.home(bench.now, bench.controller.plan_home())
    assert bench.status is Status.HOMING
    bench.outputs.clear()
    while bench.status is Status.HOMING and len(bench.outputs) < 12000:
        bench.tick()
        assert _outside(bench.arm.joints, slack=0.01) == 0.0
    assert bench.status is Status.ARMED, bench.controller.snapshot().message
    away = np.remainder(bench.arm.joints - MODEL.home + np.pi, 2 * np.pi) - np.pi
    assert np.abs(away).max() < 0.03
    sent = [o.command for o in bench.outputs if o.command]
    assert max(np.linalg.norm(c.twist.linear) for c in sent) < 0.09
    speeds = np.array([c.joint_speeds for c in sent])
    assert (np.abs(speeds) <= 0.55 * MODEL.max_joint_speed).all()
    assert np.abs(np.diff(speeds[:-1], axis=0)).max() / TICK < 1.0
    assert {c.opening for c in sent} == {opening}
    assert all(o.request is None for o in bench.outputs)


@pytest.mark.parametrize("after", [0.02, 0.5, 2.0])
def test_stop_on_the_way_home(after):
    """With the next tick zero, the driver is told, nothing resumes."""
    bench = _bench(next(_postures(1, 3)))
    bench.controller.home(bench.now, bench.controller.plan_home())
    bench.run(after)
    bench.controller.stop(bench.now)
    bench.tick()
    output, place = bench.outputs[-1], bench.arm.joints.copy()
    assert output.stop_driver and not output.command.twist.linear.any()
    assert output.command.joint_speeds is None
    bench.run(2.0)
    assert bench.status is Status.STOPPED
    np.testing.assert_allclose(bench.arm.joints, place, atol=1e-9)


def test_monitors_watch_the_way_home():
    """An overload, a silent source, a lost node, a pause: each stops it."""

    def push(bench):
        bench.arm.push[1] = 14.0

    def pause(bench):
        bench.now += 1.0

    def lose(bench):
        bench.controller.lose_node("camera_node", "camera_node has ended", bench.now)

    causes = {
        push: "torque",
        (lambda bench: bench.alive.discard("torque")): "torque_stale",
        pause: "time_gap",
        lose: "node_lost",
    }
    for fault, cause in causes.items():
        bench = _bench(next(_postures(1, 5)))
        bench.controller.home(bench.now, bench.controller.plan_home())
        bench.run(0.5)
        assert bench.status is Status.HOMING
        fault(bench)
        bench.run(0.2)
        assert (bench.status, bench.controller.snapshot().cause) == (Status.STOPPED, cause)


def test_arm_that_does_not_follow_is_stopped():
    """Pushed off its way, or not moving at all."""
    bench = _bench(next(_postures(1, 6)))
    bench.controller.home(bench.now, bench.controller.plan_home())
    bench.arm.share = 0.0
    bench.run(1.5)
    assert bench.status is Status.STOPPED


def test_start_and_second_home_are_refused_on_the_way():
    """One motion at a time; the enabling device counts here as well."""
    bench = _bench(next(_postures(1, 2)))
    bench.controller.home(bench.now, bench.controller.plan_home())
    for ask in (bench.controller.start, lambda now: bench.controller.home(now, None)):
        with pytest.raises(SafetyError, match="refused: the arm is on its way home"):
            ask(bench.now)
    needs = Bench(ControllerSettings(guard=GuardConfig(enable="required"))).run(0.8)
    with pytest.raises(SafetyError, match="home refused: the enabling device is not held"):
        needs.controller.home(needs.now, needs.controller.plan_home())


def test_arm_that_is_home_stays():
    """The way is short, and the answer quick."""
    bench = Bench().run(0.8)
    bench.controller.home(bench.now, bench.controller.plan_home())
    bench.run(0.5)
    assert bench.status is Status.ARMED
