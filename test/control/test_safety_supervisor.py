"""Monitors and state machine together, fed with samples every 20 ms in simulated time."""

import numpy as np
import pytest

from adp_ros.control.feeds import Feedback, FeedConfig, WatchConfig
from adp_ros.control.safety_machine import Event, Status
from adp_ros.control.supervisor import SafetyConfig, Supervisor
from adp_ros.errors import SafetyError
from adp_ros.robots.jaco2.arms import arm_model
from adp_ros.robots.kinematics import forward, gravity_torque
from adp_ros.types import Pose, Twist

MODEL = arm_model("j2n6s300")
D, A, R, S, X = Status.DISARMED, Status.ARMED, Status.RUNNING, Status.SLOWED, Status.STOPPED

MOVING = Twist(np.array([0.05, 0.0, 0.0]), np.zeros(3))


class _Rig:
    """A supervisor whose samples come every 20 ms and are checked every 10 ms."""

    def __init__(self, config=None):
        self.supervisor = Supervisor(config or SafetyConfig(), MODEL)
        self.now = 0.0
        self._rng = np.random.default_rng(0)
        self._home = forward(MODEL, MODEL.home)
        self.alive = {"torque", "pose", "joint_angles", "joint_state"}
        self.frozen = set()
        self.push = np.zeros(6)
        self.commanded = None
        self._held = {}

    def run(self, seconds):
        for _ in range(round(seconds / 0.01)):
            self.now += 0.01
            if round(self.now * 100) % 2 == 0:
                self._sample()
            self.supervisor.check(self.now, self.commanded)

    def _sample(self):
        feedback, now = self.supervisor.feedback, self.now
        joints = self._value("joints", MODEL.home + self._rng.normal(0, 1e-5, 6))
        if "joint_angles" in self.alive:
            feedback.take_joints("joint_angles", joints, now)
        if "joint_state" in self.alive:
            feedback.take_joints("joint_state", joints, now, now + 1e9)
        if "pose" in self.alive:
            shift = self._value("pose", self._rng.normal(0, 1e-5, 3))
            pose = Pose(self._home.position + shift, self._home.rotation)
            feedback.take_pose(pose, now, now + 1e9, 0.0)
        if "torque" in self.alive:
            noise = self._value("torque", self._rng.normal(0, 0.02, 6))
            torque = gravity_torque(MODEL, MODEL.home) + self.push + noise
            self.supervisor.take_torque(torque, now)

    def _value(self, name, fresh):
        if name in self.frozen:
            return self._held.setdefault(name, fresh)
        self._held.pop(name, None)
        return fresh

    @property
    def status(self):
        return self.supervisor.machine.status

    @property
    def cause(self):
        return self.supervisor.snapshot().cause

    def started(self):
        self.run(0.8)
        self.supervisor.start(self.now)
        self.commanded = MOVING
        self.run(0.1)
        assert self.status is R
        return self


def test_arms_when_all_feedback_is_there_and_starts_when_asked():
    """Disarmed without samples, armed with them, running only after start."""
    rig = _Rig()
    rig.alive = set()
    with pytest.raises(SafetyError, match="start refused: not armed, no feedback from the arm yet"):
        rig.supervisor.start(rig.now)
    rig.run(0.3)
    assert rig.status is D and rig.cause == "torque_missing"
    with pytest.raises(SafetyError, match="not armed, torque has not been received"):
        rig.supervisor.start(rig.now)
    rig.alive = {"torque", "pose"}
    rig.run(0.1)
    assert rig.cause == "joints_missing"
    rig.alive = {"torque", "pose", "joint_state"}
    rig.run(0.8)
    assert rig.status is A
    rig.supervisor.start(rig.now)
    assert rig.status is R and rig.supervisor.machine.last.time == rig.now
    with pytest.raises(SafetyError, match="start refused: running, stop first"):
        rig.supervisor.start(rig.now)


@pytest.mark.parametrize("source", ["torque", "pose", "joint_angles", "joint_state"])
def test_silent_source_stops_the_moving_arm_within_140_ms(source):
    """Each source alone; the stop is latched and says which."""
    rig = _Rig().started()
    rig.alive.discard(source)
    rig.run(0.1)
    assert rig.status is R
    rig.run(0.04)
    assert rig.status is X
    assert rig.cause == ("joints" if "joint" in source else source) + "_stale"


def test_bad_feedback_before_start_disarms_without_latch():
    """Nothing moved, so nothing had to be stopped; good feedback arms again."""
    rig = _Rig()
    rig.run(0.5)
    rig.alive.discard("pose")
    rig.run(0.3)
    assert rig.status is D and rig.cause == "pose_stale"
    rig.alive.add("pose")
    rig.run(0.1)
    assert rig.status is A


@pytest.mark.parametrize("source", ["torque", "pose", "joints"])
def test_frozen_source_stops_the_moving_arm(source):
    """Values that do not change while the arm is told to move: stopped within 200 ms."""
    rig = _Rig().started()
    rig.run(0.3)
    rig.frozen = {source}
    rig.run(0.2)
    assert rig.status is X and rig.cause == f"{source}_frozen"


def test_pose_and_joints_still_together_are_an_arm_that_does_not_move():
    """While the torque lives that is reported elsewhere, not stopped; with it frozen, it is."""
    rig = _Rig().started()
    rig.frozen = {"pose", "joints"}
    rig.run(1.0)
    assert rig.status is R
    rig.frozen = {"pose", "joints", "torque"}
    rig.run(0.3)
    assert rig.status is X and rig.cause == "torque_frozen"


def test_torque_at_rest_is_frozen_after_a_second_pose_is_not():
    """A standing arm's pose may be constant, its torque never is; nothing sent: not judged."""
    rig = _Rig().started()
    rig.commanded = Twist.zero()
    rig.frozen = {"pose", "joints"}
    rig.run(2.0)
    assert rig.status is R
    rig.frozen = {"torque"}
    rig.run(0.9)
    assert rig.status is R
    rig.run(0.2)
    assert rig.status is X
    dry = _Rig().started()
    dry.commanded, dry.frozen = None, {"torque", "pose", "joints"}
    dry.run(3.0)
    assert dry.status is R


def test_push_slows_and_a_stronger_push_stops():
    """Running, slowed, running again; then stopped with joint and torque in the message."""
    rig = _Rig().started()
    rig.push[1] = 4.0
    rig.run(0.1)
    assert rig.status is S and rig.cause == "torque_slow"
    rig.push[1] = 0.0
    rig.run(0.7)
    assert rig.status is R and rig.cause == ""
    rig.push[1] = 6.5
    rig.run(0.06)
    assert rig.status is X and rig.cause == "torque"
    assert "joint 2 is +6." in rig.supervisor.snapshot().message


def test_reset_needs_half_a_second_of_quiet():
    """Refused too early, under load, with bad feedback; allowed after; never leads to motion."""
    rig = _Rig().started()
    with pytest.raises(SafetyError, match="reset is not needed, the controller is running"):
        rig.supervisor.reset(rig.now)
    rig.push[1] = 7.0
    rig.run(0.1)
    rig.commanded = None
    with pytest.raises(SafetyError, match=r"stopped for 0.\d s, 0.5 s are needed"):
        rig.supervisor.reset(rig.now)
    rig.run(1.0)
    with pytest.raises(SafetyError, match=r"joint 2 is \+[67].\d\d N m, allowed: 3.60"):
        rig.supervisor.reset(rig.now)
    with pytest.raises(SafetyError, match=r"start refused: stopped \(residual torque of joint 2"):
        rig.supervisor.start(rig.now)
    rig.push[1] = 0.0
    rig.run(0.3)
    with pytest.raises(SafetyError, match=r"quiet for 0.\d s, 0.5 s are needed"):
        rig.supervisor.reset(rig.now)
    rig.run(1.0)
    rig.alive.discard("torque")
    rig.run(0.3)
    with pytest.raises(SafetyError, match="reset refused: torque is"):
        rig.supervisor.reset(rig.now)
    rig.alive.add("torque")
    rig.run(1.2)
    rig.supervisor.reset(rig.now)
    assert rig.status is D
    rig.run(0.5)
    assert rig.status is A


def test_stop_latches_from_every_state():
    """A person's stop works before anything else does."""
    rig = _Rig()
    rig.supervisor.stop(0.0, "stop_called", "stop was called")
    assert rig.status is X and rig.cause == "stop_called"
    assert rig.supervisor.snapshot().message == "stop was called"
    rig = _Rig().started()
    rig.supervisor.stop(rig.now, "stop_called", "stop was called")
    rig.run(2.0)
    assert rig.status is X


def test_lost_node_stops_at_once_and_says_which():
    """With time, cause and message; an arm that does not move is not stopped."""
    rig = _Rig()
    rig.run(0.8)
    rig.supervisor.lose_node(rig.now, "inference_node has ended")
    assert rig.status is A
    rig.started().supervisor.lose_node(rig.now, "inference_node has ended")
    last, shown = rig.supervisor.machine.last, rig.supervisor.snapshot()
    assert (last.time, last.event) == (rig.now, Event.NODE_LOST)
    assert (shown.status, shown.cause) == (X, "node_lost")
    assert shown.message == "inference_node has ended"


def test_nothing_is_said_while_all_is_well():
    """Armed and running there is neither cause nor message."""
    rig = _Rig()
    rig.run(0.8)
    for status in (A, R):
        shown = rig.supervisor.snapshot()
        assert (shown.status, shown.cause, shown.message) == (status, "", "")
        rig.supervisor.start(rig.now) if status is A else None


def test_disarmed_says_what_is_wrong_now():
    """Not what was wrong first."""
    rig = _Rig()
    rig.run(0.8)
    rig.alive.discard("pose")
    rig.run(0.3)
    assert rig.cause == "pose_stale"
    rig.alive.discard("torque")
    rig.run(0.3)
    assert rig.supervisor.machine.last.cause == "pose_stale"
    shown = rig.supervisor.snapshot()
    assert (shown.status, shown.cause) == (D, "torque_stale")
    assert shown.message.startswith("torque is ")


def test_reset_is_allowed_from_the_half_second_on():
    """After the stop, and after the last fault, to the last digit; the reset has its time."""
    rig = _Rig().started()
    rig.run(0.5)
    supervisor = rig.supervisor
    supervisor.stop(0.875, "stop_called", "stop was called")
    with pytest.raises(SafetyError, match=r"stopped for 0.5 s, 0.5 s are needed"):
        supervisor.reset(1.375 - 1e-9)
    supervisor.reset(1.375)
    assert (supervisor.machine.last.time, supervisor.machine.last.event) == (1.375, Event.RESET)
    rig = _Rig().started()
    supervisor = rig.supervisor
    supervisor.stop(0.5, "stop_called", "stop was called")
    supervisor.feedback.torque.take(np.full(6, np.nan), rig.now)
    supervisor.check(0.875, None)
    rig.run(0.5)
    with pytest.raises(SafetyError, match=r"quiet for 0.5 s, 0.5 s are needed"):
        supervisor.reset(1.375 - 1e-9)
    supervisor.reset(1.375)


def test_ages_of_all_sources():
    """By the names of the sources, joints once they came."""
    rig = _Rig()
    assert rig.supervisor.feedback.ages(1.0) == {"torque": np.inf, "pose": np.inf}
    rig.run(0.5)
    ages = rig.supervisor.feedback.ages(rig.now + 0.03)
    assert set(ages) == {"torque", "pose", "joint_angles", "joint_state"}
    np.testing.assert_allclose(list(ages.values()), 0.03)


def test_weight_counts_until_the_hand_holds_something():
    """What an object of 0.3 kg weighs is a residual to an empty hand, none to a closed one."""
    rig = _Rig().started()
    loaded = MODEL.with_payload(0.3, (0.0, 0.0, 0.03))
    rig.push = gravity_torque(loaded, MODEL.home) - gravity_torque(MODEL, MODEL.home)
    rig.run(0.1)
    np.testing.assert_allclose(rig.supervisor.torque.residual, rig.push, atol=0.1)
    rig.supervisor.holding = True
    rig.run(0.1)
    np.testing.assert_allclose(rig.supervisor.torque.residual, 0.0, atol=0.1)
    weight, rig.push = rig.push, 2.0 * rig.push
    rig.run(0.1)
    np.testing.assert_allclose(rig.supervisor.torque.residual, weight, atol=0.1)


def test_transitions_have_their_time_and_reason():
    """Armed, slowed, cleared and stopped: when, and in the words of the monitor that saw it."""
    rig = _Rig()
    rig.supervisor.check(0.5, None)
    rig._sample()
    rig.supervisor.check(0.75, None)
    assert rig.status is D  # stale: sampled at 0
    rig.run(0.8)
    armed = rig.supervisor.machine.last
    assert armed.event is Event.FEEDBACK_GOOD and 0.0 < armed.time < rig.now
    rig.started()
    for push, event, words in ((4.0, Event.TORQUE_SLOW, "joint 2 is +"), (0.0, None, "")):
        rig.push[1] = push
        while rig.supervisor.machine.last.event is not (event or Event.TORQUE_CLEAR):
            rig.run(0.01)
        assert rig.supervisor.machine.last.time == rig.now
        assert words in rig.supervisor.snapshot().message
    rig.supervisor.feedback.torque.take(np.full(6, np.nan), rig.now)
    rig.supervisor.check(rig.now, rig.commanded)
    assert rig.supervisor.machine.last.time == rig.now
    shown = rig.supervisor.snapshot()
    assert (shown.status, shown.cause) == (X, "torque_nan")
    assert shown.message == "torque has a value that is not a finite number"


def test_snapshot_holds_residual_and_levels():
    """As copies: what is felt later does not change what was published."""
    rig = _Rig().started()
    shown = rig.supervisor.snapshot()
    np.testing.assert_array_equal(shown.residual, rig.supervisor.torque.residual)
    np.testing.assert_array_equal(shown.stop, [4.0, 6.0, 4.0, 2.0, 2.0, 1.5])
    np.testing.assert_allclose(shown.slow, 0.6 * shown.stop)
    kept = shown.residual.copy()
    rig.supervisor.torque.residual[:] = 9.0
    np.testing.assert_array_equal(shown.residual, kept)


def test_new_supervisor_trusts_until_it_has_looked():
    """Nothing is known, so nothing is faulty, and nothing was unquiet."""
    rig = _Rig()
    supervisor = rig.supervisor
    assert not supervisor.untrusted and not supervisor.stopped_by_torque
    assert supervisor.feedback.pose is None and supervisor.feedback.pose_at == 0.0
    rig._sample()
    rig.run(0.6)
    supervisor.stop(0.1, "stop_called", "")
    assert not supervisor.stopped_by_torque
    with pytest.raises(SafetyError, match=r"start refused: stopped \(stop_called\)"):
        supervisor.start(rig.now)
    supervisor.reset(rig.now)
    assert supervisor.feedback.pose is not None and supervisor.feedback.pose_at > 0.5


def test_reset_is_refused_while_a_joint_moves():
    """Somebody moves the stopped arm by joystick: nothing is felt, and yet nothing is quiet."""
    rig = _Rig().started()
    rig.supervisor.stop(rig.now, "stop_called", "stop was called")
    drift = 0.0
    rig.commanded = None
    take = rig.supervisor.feedback.take_joints

    def drifting(source, joints, *rest):
        take(source, joints + [0.0, 0.0, 0.0, 0.0, 0.0, drift], *rest)

    rig.supervisor.feedback.take_joints = drifting
    for _ in range(100):
        drift += 0.0005
        rig.run(0.01)
    with pytest.raises(SafetyError, match=r"reset refused: joint 6 moved by 0\.0\d+ rad"):
        rig.supervisor.reset(rig.now)
    rig.run(0.7)
    rig.supervisor.reset(rig.now)


def test_stop_by_torque_is_remembered_until_the_reset():
    """A retreat may follow it, and no other stop; a bad source is untrusted while it is bad."""
    rig = _Rig().started()
    rig.push[1] = 7.0
    rig.run(0.1)
    assert rig.supervisor.stopped_by_torque
    rig.push[1], rig.commanded = 0.0, None
    rig.alive.discard("pose")
    rig.run(0.5)
    assert rig.supervisor.untrusted
    rig.alive.add("pose")
    rig.run(1.2)
    assert not rig.supervisor.untrusted
    rig.supervisor.reset(rig.now)
    assert not rig.supervisor.stopped_by_torque


def test_tare_is_for_an_arm_with_good_feedback():
    """Refused while disarmed or stopped; armed and resting it takes what is felt."""
    rig = _Rig()
    with pytest.raises(SafetyError, match="tare refused: disarmed"):
        rig.supervisor.tare(0.0)
    rig.push[1] = 2.0
    rig.run(0.8)
    assert rig.supervisor.tare(rig.now)[1] == pytest.approx(2.0, abs=0.05)
    rig.supervisor.stop(rig.now, "stop_called", "")
    with pytest.raises(SafetyError, match="tare refused: stopped"):
        rig.supervisor.tare(rig.now)


@pytest.mark.parametrize("name", ["pose", "joints"])
def test_stamp_and_its_age_are_judged(name):
    """A stamp that goes back is a fault; a sample measured long ago does not make fresh."""
    rig = _Rig()
    feedback = rig.supervisor.feedback
    pose = Pose(np.zeros(3), np.eye(3))

    def take(arrival, stamp, delay):
        if name == "pose":
            feedback.take_pose(pose, arrival, stamp, delay)
        else:
            feedback.take_joints("joint_state", np.zeros(6), arrival, stamp, delay)
        return {"pose": feedback.ages(arrival).get("pose")} | feedback.ages(arrival)

    source = "pose" if name == "pose" else "joint_state"
    assert take(1.0, 50.0, 0.0)[source] == 0.0
    assert take(1.5, 50.5, 0.3)[source] == 0.5
    take(2.0, 49.0, 0.0)
    feeds = [feedback.tool, *feedback.joint_sources.values()]
    assert f"{name}_order" in [f.cause for feed in feeds if (f := feed.poll(2.0)) is not None]


def test_missing_joints_are_named():
    """In words, too."""
    rig = _Rig()
    rig.alive = {"torque", "pose"}
    rig.run(0.3)
    assert rig.supervisor.snapshot().message == "joints has not been received"


LIMITS = FeedConfig(stale=1.0, frozen=0.125, frozen_rest=0.5)


def _still(torque_still, place_still, commanded, until, *, config=LIMITS, since=0.0):
    """Fault at the end of a time in which sources repeat or change every 1/64 s."""
    feedback = Feedback(config, WatchConfig())
    fault = None
    for k in range(round(until * 64) + 1):
        now, fresh = 1000.0 + k / 64, float(k)
        feedback.torque.take(np.full(6, 0.0 if torque_still else fresh), now)
        shift = np.full(3, 0.0 if place_still else fresh)
        feedback.take_pose(Pose(shift, np.eye(3)), now, None, 0.0)
        feedback.take_joints("joint_state", np.full(6, fresh), now)
        told = commanded if now >= 1000.0 + since else Twist.zero()
        fault = feedback.fault(now, told, moving=True)
    return "" if fault is None else fault.cause


FAST = Twist(np.array([0.05, 0.0, 0.0]), np.zeros(3))


@pytest.mark.parametrize(
    ("torque", "place", "commanded", "until", "cause"),
    [
        (True, False, FAST, 0.125 - 1 / 64, ""),
        (True, False, FAST, 0.125, "torque_frozen"),
        (False, True, FAST, 0.125 - 1 / 64, ""),
        (False, True, FAST, 0.125, "pose_frozen"),
        (True, False, Twist.zero(), 0.5 - 1 / 64, ""),
        (True, False, Twist.zero(), 0.5, "torque_frozen"),
        (False, True, Twist(np.array([0.03, 0.0, 0.0]), np.array([0.1, 0.0, 0.0])), 0.4, ""),
        (False, True, Twist(np.zeros(3), np.array([0.101, 0.0, 0.0])), 0.4, "pose_frozen"),
    ],
)
def test_frozen_from_its_time_on(torque, place, commanded, until, cause):
    """To the last digit, and only from more than 0.03 m/s or 0.1 rad/s on."""
    assert _still(torque, place, commanded, until) == cause


def test_motion_is_expected_some_time_after_the_command():
    """A pose that stood still before the command came is not frozen when it comes."""
    assert _still(False, True, FAST, 0.5, since=0.5 - 2 / 64) == ""
    assert _still(False, True, FAST, 0.5, since=0.5 - 8 / 64) == "pose_frozen"


def test_rest_is_not_judged_when_that_is_turned_off():
    """``frozen_rest`` 0: a constant torque at rest is nobody's business."""
    config = FeedConfig(stale=1.0, frozen=0.125, frozen_rest=0.0)
    assert _still(True, False, Twist.zero(), 3.0, config=config) == ""
