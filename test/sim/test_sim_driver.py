"""The driver's emulation: queue, ramps, frames, stop, home, fingers."""

import numpy as np
import pytest

from adp_ros.errors import ConfigError
from adp_ros.robots.jaco2.arms import arm_model
from adp_ros.robots.kinematics import Chain
from adp_ros.sim.base_controller import (
    TICK,
    ArmState,
    Driver,
    DriverMode,
    VelocityPoint,
    joint_rates,
)
from adp_ros.sim.sim_settings import DriverConfig

ARM = arm_model("j2n6s300")
DOWN = np.array([4.74, 4.02, 1.4, 6.13, 0.6, 1.45])  # over the table, tool down


class IdealArm:
    """A driver in front of an arm that follows its reference at once."""

    def __init__(self, joints=DOWN, **config):
        self.driver = Driver(ARM, DriverConfig(**config))
        self.joints, self.fingers = joints.copy(), np.zeros(3)
        self.driver.settle(self.joints, self.fingers)
        self.path = [self.position]

    @property
    def chain(self):
        return Chain.at(ARM, self.joints)

    @property
    def position(self):
        return self.chain.tool.position

    def tick(self):
        chain = self.chain
        state = ArmState(self.joints, chain.jacobian(), chain.tool.rotation, self.fingers)
        reference = self.driver.tick(state)
        self.joints, self.fingers = reference.joints, reference.fingers
        self.path.append(self.position)
        return reference

    def run(self, ticks):
        for _ in range(ticks):
            self.tick()

    def stream(self, point, rate, seconds):
        """Send at a rate in [Hz] while time passes in ticks of 10 ms."""
        sent = 0
        for tick in range(round(seconds / TICK)):
            while sent / rate <= tick * TICK + 1e-9 and sent < rate * seconds:
                self.driver.send(point)
                sent += 1
            self.tick()

    def speeds(self):
        return np.linalg.norm(np.diff(self.path, axis=0), axis=1) / TICK


def _linear(x=0.0, y=0.0, z=0.0):
    return VelocityPoint(linear=np.array([x, y, z]))


@pytest.mark.parametrize(
    ("rate", "low", "high"), [(10, 0.005, 0.02), (20, 0.02, 0.04), (100, 0.99, 1.01)]
)
def test_share_of_the_speed_that_a_message_rate_reaches(rate, low, high):
    """10 Hz moves the arm at 1 % of the speed, 20 Hz at 3 %, 100 Hz at all of it."""
    arm = IdealArm()
    arm.stream(_linear(x=0.05), rate, 1.0)
    start = arm.position
    arm.stream(_linear(x=0.05), rate, 2.0)
    share = np.linalg.norm(arm.position - start) / 0.1
    assert low < share < high


def test_arm_goes_on_after_a_stream_that_was_too_fast():
    """10 s at 120 Hz leave 199 points: the arm goes on for 2 s, as far as in any 2 s before."""
    arm = IdealArm(joints=np.array([4.35, 3.98, 1.02, 6.23, 0.22, 1.18]))
    arm.stream(_linear(x=-0.01), 120, 10.0)
    assert arm.driver.queued == 199
    start, ticks = arm.position, 0
    while arm.driver.queued:
        arm.tick()
        ticks += 1
    assert ticks == 199
    assert np.linalg.norm(arm.position - start) == pytest.approx(0.02, rel=0.05)


def test_speed_changes_no_faster_than_the_base_allows():
    """From standstill to 0.2 m/s and back the tool never accelerates above 0.64 m/s^2."""
    arm = IdealArm()
    for _ in range(60):
        arm.driver.send(_linear(z=0.2))
        arm.tick()
    arm.run(60)
    steps = np.abs(np.diff(np.concatenate([[0.0], arm.speeds()])))
    assert steps.max() < 0.64 * TICK * 1.05
    assert arm.speeds().max() == pytest.approx(0.2, rel=0.03)
    assert arm.speeds()[-1] < 1e-6


def test_coasting_after_the_last_point_is_the_stopping_distance():
    """From 0.05 m/s the arm comes to rest within v^2 / 2a, 2 mm."""
    arm = IdealArm()
    arm.stream(_linear(x=0.05), 100, 1.0)
    start = arm.position
    arm.run(50)
    coasted = np.linalg.norm(arm.position - start)
    assert coasted == pytest.approx(0.05**2 / (2 * 0.64), rel=0.2)


def test_stop_erases_the_queue_and_silences_commands():
    """After stop the arm ramps down, commands are ignored, and start revives nothing."""
    arm = IdealArm()
    for _ in range(500):
        arm.driver.send(_linear(x=0.05))
    arm.run(100)
    arm.driver.stop()
    assert (arm.driver.queued, arm.driver.mode) == (0, DriverMode.STOPPED)
    assert not arm.driver.send(_linear(x=0.05))
    arm.run(20)
    assert arm.speeds()[-1] < 1e-6
    arm.driver.start()
    arm.run(20)
    assert arm.speeds()[-20:].max() < 1e-6
    assert arm.driver.mode is DriverMode.READY
    assert arm.driver.send(_linear(x=0.05))


def test_clear_erases_the_queue_but_takes_commands():
    """Clearing leaves the driver ready."""
    arm = IdealArm()
    arm.driver.send(_linear(x=0.05))
    arm.driver.clear()
    assert arm.driver.queued == 0
    assert arm.driver.send(_linear(x=0.05))


def test_full_queue_loses_the_newest():
    """A queue of 2 keeps the two oldest points and counts the third as lost."""
    arm = IdealArm(fifo_length=2, linear_acceleration=10.0)
    for speed in (0.01, 0.02, 0.03):
        arm.driver.send(_linear(x=speed))
    assert (arm.driver.queued, arm.driver.lost, arm.driver.taken) == (2, 1, 3)
    arm.run(3)
    np.testing.assert_allclose(arm.speeds(), [0.01, 0.02, 0.0], atol=1e-3)
    assert arm.driver.queued == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_points_that_are_not_finite_are_ignored(bad):
    """Not-a-number never reaches the joints."""
    arm = IdealArm()
    assert not arm.driver.send(_linear(x=bad))
    assert not arm.driver.send(VelocityPoint(fingers=np.array([bad, 0.0, 0.0])))
    arm.run(3)
    np.testing.assert_array_equal(arm.joints, DOWN)


@pytest.mark.parametrize("frame", ["tool", "base"])
def test_angular_velocity_is_read_in_the_frame_of_the_setting(frame):
    """Turning about an axis turns about the tool's axis, or the base's, as set."""
    arm = IdealArm(angular_frame=frame)
    before = arm.chain.tool.rotation
    axis = np.array([0.0, 0.3, 0.0])
    arm.stream(VelocityPoint(angular=axis), 100, 1.0)
    turn = arm.chain.tool.rotation @ before.T
    found = np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
    expected = before @ axis if frame == "tool" else axis
    cosine = found @ expected / (np.linalg.norm(found) * np.linalg.norm(expected))
    assert cosine > 0.999


def test_speeds_are_capped_and_directions_kept():
    """1 m/s becomes 0.2 m/s in the same direction."""
    arm = IdealArm()
    arm.stream(_linear(x=0.6, z=0.8), 100, 0.5)
    velocity = (arm.path[-1] - arm.path[-2]) / TICK
    np.testing.assert_allclose(velocity, [0.12, 0.0, 0.16], atol=0.004)


def test_joint_speeds_stay_within_the_makers_limits():
    """No joint ever exceeds 36 or 48 degrees per second, whatever is asked."""
    arm = IdealArm()
    point = VelocityPoint(angular=np.array([1.0, 1.0, 0.5]), joints=np.full(6, 5.0))
    for _ in range(300):
        arm.driver.send(point)
        reference = arm.tick()
        assert (np.abs(reference.speeds) <= ARM.max_joint_speed + 1e-9).all()


def test_joints_stop_at_their_limits():
    """Joint 2 stops at 313 degrees however long it is driven."""
    arm = IdealArm()
    arm.stream(VelocityPoint(joints=np.array([0.0, 0.6, 0.0, 0.0, 0.0, 0.0])), 100, 4.0)
    assert np.degrees(arm.joints[1]) == pytest.approx(313.0, abs=0.5)


def test_dead_zone_and_shortfall_are_settings():
    """Below the dead zone nothing moves; a share of 0.8 gives 80 % of the speed."""
    arm = IdealArm(linear_dead_zone=0.03)
    arm.stream(_linear(x=0.02), 100, 0.5)
    assert arm.speeds().max() < 1e-9
    slow = IdealArm(speed_share=0.8)
    slow.stream(_linear(x=0.05), 100, 0.5)
    assert slow.speeds()[-1] == pytest.approx(0.04, rel=0.02)


def test_home_pauses_moves_and_opens_the_fingers():
    """Home waits 1 s, goes to the home pose no faster than set, then opens the fingers."""
    arm = IdealArm()
    arm.fingers = np.full(3, 6000.0)
    arm.driver.settle(arm.joints, arm.fingers)
    assert arm.driver.home()
    assert arm.driver.mode is DriverMode.HOMING
    arm.run(100)
    np.testing.assert_allclose(arm.joints, DOWN, atol=1e-9)
    assert not arm.driver.send(_linear(x=0.05))
    for _ in range(3000):
        reference = arm.tick()
        assert np.max(np.abs(reference.speeds)) <= 0.35 + 1e-9
        if arm.driver.mode is DriverMode.READY:
            break
    np.testing.assert_allclose(np.cos(arm.joints), np.cos(ARM.home), atol=0.01)
    assert (arm.fingers < 100.0).all()


def test_home_does_nothing_when_stopped_or_there():
    """Home is refused while stopped, and when the arm is there already."""
    arm = IdealArm()
    arm.driver.stop()
    assert not arm.driver.home()
    there = IdealArm(joints=ARM.home)
    assert not there.driver.home()


def test_stop_ends_the_way_home():
    """A stop on the way home holds the arm where it is."""
    arm = IdealArm()
    arm.driver.home()
    arm.run(200)
    arm.driver.stop()
    arm.run(30)
    assert arm.speeds()[-1] < 1e-6
    assert arm.driver.mode is DriverMode.STOPPED


@pytest.mark.parametrize(("closure", "ticks"), [(100.0, 6800.0), (50.0, 3400.0), (0.0, 0.0)])
def test_fingers_follow_a_closure_percentage(closure, ticks):
    """Streaming a percentage brings the fingers there, within the driver's dead band."""
    arm = IdealArm()
    arm.fingers = np.full(3, 2000.0)
    arm.driver.settle(arm.joints, arm.fingers)
    for _ in range(500):
        arm.driver.send(VelocityPoint(fingers=arm.driver.finger_speeds(closure)))
        arm.tick()
    np.testing.assert_allclose(arm.fingers, ticks, atol=25.0)


def test_points_without_fingers_leave_them_alone():
    """A plain Cartesian velocity does not move the fingers."""
    arm = IdealArm()
    arm.fingers = np.full(3, 2000.0)
    arm.driver.settle(arm.joints, arm.fingers)
    arm.stream(_linear(x=0.05), 100, 0.3)
    np.testing.assert_array_equal(arm.fingers, 2000.0)


def test_joint_rates_reproduce_the_twist():
    """Away from singularities the joint speeds give the tool speed within 3 %."""
    chain = Chain.at(ARM, DOWN)
    twist = np.array([0.05, -0.03, 0.02, 0.1, 0.2, -0.1])
    back = chain.jacobian() @ joint_rates(chain.jacobian(), twist)
    assert np.linalg.norm(back - twist) < 0.03 * np.linalg.norm(twist)


def test_joint_rates_stay_bounded_at_a_singularity():
    """Where the arm is stretched out, joint speeds stay moderate and not 1/0."""
    stretched = Chain.at(ARM, np.full(6, np.pi))
    jacobian = stretched.jacobian()
    assert np.linalg.cond(jacobian) > 1e6
    assert np.max(np.abs(joint_rates(jacobian, np.array([0.1, 0.1, 0.1, 0.0, 0.0, 0.0])))) < 2.0


def test_settings_are_refused_by_name():
    """A wrong driver setting is named with its value and what is allowed."""
    with pytest.raises(
        ConfigError, match="angular_frame is 'world', allowed: one of 'tool', 'base'"
    ):
        DriverConfig(angular_frame="world")
    with pytest.raises(ConfigError, match=r"fifo_length is 0, allowed: 1 to 100000"):
        DriverConfig(fifo_length=0)


def test_finger_and_home_speeds_are_settings():
    """Fingers close no faster than set, and a slower way home takes its time."""
    arm = IdealArm(finger_speed_cap=1000.0)
    for _ in range(100):
        arm.driver.send(VelocityPoint(fingers=np.full(3, 9000.0)))
        arm.tick()
    np.testing.assert_allclose(arm.fingers, 1000.0, atol=1.0)
    slow = IdealArm(home_speed=0.1)
    slow.driver.home()
    fastest = max(float(np.max(np.abs(slow.tick().speeds))) for _ in range(400))
    assert fastest == pytest.approx(0.1, rel=0.01)


def test_turning_is_capped_and_ramped():
    """The tool's angular speed rises by at most the acceleration set, up to the cap set."""
    arm = IdealArm(angular_speed_cap=0.2, angular_acceleration=1.0)
    rotations = [arm.chain.tool.rotation]
    for _ in range(60):
        arm.driver.send(VelocityPoint(angular=np.array([0.0, 0.0, 1.0])))
        arm.tick()
        rotations.append(arm.chain.tool.rotation)
    turns = [
        np.arccos(np.clip((np.trace(b @ a.T) - 1) / 2, -1, 1)) / TICK
        for a, b in zip(rotations[:-1], rotations[1:], strict=True)
    ]
    assert max(turns) == pytest.approx(0.2, rel=0.02)
    assert np.diff([0.0, *turns]).max() < 1.0 * TICK * 1.1


def test_joint_speeds_are_ramped():
    """Joint speeds rise by at most the acceleration set."""
    arm = IdealArm(joint_acceleration=1.0)
    speeds = [0.0]
    for _ in range(30):
        arm.driver.send(VelocityPoint(joints=np.array([0.5, 0, 0, 0, 0, 0])))
        speeds.append(arm.tick().speeds[0])
    np.testing.assert_allclose(np.diff(speeds), 0.01, atol=1e-9)


def test_a_blocked_arm_does_not_wind_up():
    """The reference stays within 0.02 rad of a joint that something holds."""
    arm = IdealArm()
    chain = arm.chain
    held = ArmState(arm.joints, chain.jacobian(), chain.tool.rotation, arm.fingers)
    for _ in range(200):
        arm.driver.send(_linear(z=-0.1))
        reference = arm.driver.tick(held)
    assert np.max(np.abs(reference.joints - arm.joints)) <= 0.02 + 1e-12
