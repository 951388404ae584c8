"""Samples against each other and against commands; pauses, starvation, the enabling device."""

import numpy as np
import pytest
from simulated_arm import TICK, Bench, speeds, steady

from adp_ros.control.chunk_steps import ChunkConfig
from adp_ros.control.controller_settings import ControllerSettings
from adp_ros.control.feeds import FeedConfig, FeedMonitor
from adp_ros.control.guard import Agreement, GuardConfig
from adp_ros.control.safety_machine import Status
from adp_ros.errors import SafetyError
from adp_ros.geometry import rotation_from_rotvec, rotvec_from_rotation
from adp_ros.types import (
    EnableSample,
    FingersSample,
    JointsSample,
    Pose,
    PoseSample,
    TorqueSample,
    Twist,
)


def _moving(velocity=(0.0, -0.08, 0.0), settings=None, **arm):
    bench = Bench(settings, **arm)
    bench.answer = lambda _r: (0.1, steady(velocity))
    bench.started()
    return bench.run(1.0)


def _stopped(bench, cause, within):
    """Run until the stop; check its cause and time; return the way of the tool since."""
    begin, start = bench.tool, bench.now
    while bench.status is not Status.STOPPED:
        bench.tick()
        assert bench.now - start <= within, f"running after {within} s"
    assert bench.controller.snapshot().cause == cause
    return float(np.linalg.norm(bench.tool - begin))


class Tampered(Bench):
    """A bench whose samples are changed on their way."""

    def __init__(self, *arguments, **arm):
        self.change = lambda joints, pose: (joints, joints, pose)
        super().__init__(*arguments, **arm)

    def sample(self):
        """Hand over what is left of the measurement."""
        torque, joints, pose = self.arm.measure()
        first, second, pose = self.change(joints, pose)
        take = self.controller.take
        take(JointsSample("joint_state", first, self.now, self.now))
        take(JointsSample("joint_angles", second, self.now))
        take(PoseSample(pose, self.now, self.now))
        take(FingersSample(self.opening, self.now))
        take(TorqueSample(torque, self.now))


@pytest.mark.parametrize("velocity", [(0, -0.04, 0), (0, -0.15, 0), (0.1, 0, 0), (0, 0, -0.05)])
def test_sources_that_freeze_together_stop_the_arm_within_3_cm(velocity):
    """Pose and both joint sources repeat one value while the torque lives."""
    bench = Tampered()
    bench.answer = lambda _r: (0.1, steady(velocity))
    bench.started()
    bench.run(1.0)
    held = bench.arm.measure()[1:]
    bench.change = lambda _joints, _pose: (held[0], held[0], held[1])
    begin = bench.tool
    _stopped(bench, "position_frozen", 1.0)
    bench.run(0.3)
    assert np.linalg.norm(bench.tool - begin) < 0.03


def test_turning_blind_is_no_better():
    """A hand that only turns is held to the same way, by a lever of 10 cm."""
    bench = Tampered()
    actions = steady((0.0, 0.0, 0.0))
    actions[:, 5] = 0.012
    bench.answer = lambda _r: (0.1, actions)
    bench.started()
    bench.run(1.0)
    held = bench.arm.measure()[1:]
    bench.change = lambda _joints, _pose: (held[0], held[0], held[1])
    begin = bench.arm.chain().tool.rotation
    while bench.status is not Status.STOPPED:
        bench.tick()
    bench.run(0.3)
    turned = rotvec_from_rotation(bench.arm.chain().tool.rotation @ begin.T)
    assert np.linalg.norm(turned) < 0.2
    causes = ("position_frozen", "motion_disagrees")
    assert bench.controller.snapshot().cause in causes


@pytest.mark.parametrize("away", [np.array([0.0, 0.0, 0.15]), np.array([0.025, 0.0, 0.0])])
def test_pose_that_is_not_where_the_joints_lead_does_not_arm(away):
    """Another arm's pose, or an end effector offset: said with numbers, and start is refused."""
    bench = Tampered()
    bench.change = lambda j, p: (j, j, Pose(p.position + away, p.rotation))
    bench.run(0.8)
    assert bench.status is Status.DISARMED
    with pytest.raises(SafetyError, match=r"tool_pose is 0\.\d+ m and .* where the joint angles"):
        bench.controller.start(bench.now)


def test_pose_within_two_centimetres_is_taken():
    """1.5 cm and 0.08 rad are the model's and the driver's business."""
    turn = rotation_from_rotvec(np.array([0.08, 0.0, 0.0]))
    bench = Tampered()
    bench.change = lambda j, p: (j, j, Pose(p.position + [0.015, 0, 0], turn @ p.rotation))
    assert bench.run(0.8).status is Status.ARMED


def test_turned_pose_disagrees():
    """0.12 rad off."""
    turn = rotation_from_rotvec(np.array([0.12, 0.0, 0.0]))
    bench = Tampered()
    bench.change = lambda j, p: (j, j, Pose(p.position, turn @ p.rotation))
    bench.run(0.8)
    assert bench.controller.snapshot().cause == "pose_disagrees"


def test_jump_of_the_pose_stops_the_moving_arm():
    """30 cm between two samples are no motion of this arm."""
    bench = Tampered()
    bench.answer = lambda _r: (0.1, steady((0.0, 0.0, 0.0)))
    bench.started()
    bench.run(0.5)
    bench.change = lambda j, p: (j, j, Pose(p.position + [0.3, 0, 0], p.rotation))
    assert _stopped(bench, "pose_jump", 0.05) < 1e-3


def test_jump_of_the_joints_stops_the_moving_arm():
    """Both sources together, so that they agree with each other; a whole turn is none."""
    bench = Tampered()
    bench.answer = lambda _r: (0.1, steady((0.0, 0.0, 0.0)))
    bench.started()
    bench.run(0.5)
    turn = np.array([2.0 * np.pi, 0, 0, 0, 0, 0])
    bench.change = lambda j, p: (j + turn, j + turn, p)
    bench.run(0.3)
    assert bench.controller.snapshot().cause != "joints_jump"
    away = np.array([0.5, 0, 0, 0, 0, 0])
    bench.change = lambda j, p: (j + turn + away, j + turn + away, p)
    _stopped(bench, "joints_jump", 0.05)


def test_joint_sources_that_part_stop_the_arm():
    """57 degrees apart, reached slowly, so that no sample jumps."""
    bench = Tampered()
    bench.answer = lambda _r: (0.1, steady((0.02, 0.0, 0.0)))
    bench.started()
    begin = bench.now
    bench.change = lambda j, p: (j + [min(1.0, 0.3 * (bench.now - begin)), 0, 0, 0, 0, 0], j, p)
    _stopped(bench, "joints_disagree", 0.6)


@pytest.mark.parametrize("rogue", [(0.1, 0.0, 0.1), (0.0, 0.08, 0.0)])
def test_second_commander_is_felt(rogue):
    """Somebody else's velocity on top of ours: stopped within 0.4 s."""
    bench = _moving()
    step = np.concatenate([np.array(rogue), np.zeros(3)]) * TICK
    begin = bench.now
    while bench.status.moving and bench.now - begin < 1.0:
        bench.arm.joints = bench.arm.joints + np.linalg.solve(bench.arm.chain().jacobian(), step)
        bench.tick()
    assert bench.controller.snapshot().cause == "motion_disagrees"
    assert bench.now - begin < 0.4


@pytest.mark.parametrize("share", [0.8, 1.0])
@pytest.mark.parametrize("delay", [0, 2, 8])
def test_slow_or_late_arm_does_not_disagree(share, delay):
    """An arm that falls 20 % short, or follows 80 ms late, is no fault; full speed, both ways."""
    bench = Bench(share=share, delay=delay)
    bench.answer = lambda r: (0.1, steady([0.0, -0.14 if r.window % 2 else 0.14, 0.0]))
    bench.started()
    bench.run(6.0)
    assert bench.status.moving, bench.controller.snapshot().message


@pytest.mark.parametrize("pause", [0.3, 12.0, 600.0])
@pytest.mark.parametrize("kind", ["SIGSTOP", "suspend"])
def test_pause_is_latched(kind, pause):
    """The clock goes on and no tick comes, or the clock sleeps as well."""
    bench = _moving()
    place = bench.tool
    if kind == "SIGSTOP":
        bench.now += pause
        bench.sample()
        bench.tick()
    else:
        bench.tick(pause)
    assert bench.status is Status.STOPPED
    assert bench.controller.snapshot().cause == "time_gap"
    assert f"stood still for {pause:.1f}" in bench.controller.snapshot().message
    assert not speeds(bench.outputs[-1:]).any()
    bench.run(2.0)
    assert np.linalg.norm(bench.tool - place) < 0.005


def test_short_gap_is_none():
    """A tick that comes 0.2 s late goes on; a pause before the start is nobody's business."""
    bench = _moving(settings=ControllerSettings())
    bench.controller.tick(bench.now + 0.1)
    bench.now += 0.2
    bench.sample()
    bench.tick()
    assert bench.status.moving
    idle = Bench().run(0.8)
    idle.now += 5.0
    idle.sample()
    idle.run(0.8)
    assert idle.status is Status.ARMED


def test_starvation_is_latched_after_five_seconds():
    """To rest with the last action, as ever; then nobody waits for ever."""
    bench = _moving()
    bench.answer = None
    bench.run(4.0)
    assert bench.status is Status.RUNNING and not speeds(bench.outputs[-1:]).any()
    _stopped(bench, "chunks_missing", 2.5)
    place = bench.tool
    bench.answer = lambda _r: (0.1, steady((0.0, 0.1, 0.0)))
    bench.run(3.0)
    np.testing.assert_allclose(bench.tool, place, atol=1e-6)


def test_starvation_counts_from_the_start_as_well():
    """A policy that never answers."""
    bench = Bench().started()
    _stopped(bench, "chunks_missing", 5.2)


def test_long_chunk_is_not_executed_blind():
    """64 actions from one frame: the arm rests when the frame is a second old."""
    bench = Bench()
    sent = []

    def answer(request):
        sent.append(request.window)
        return (0.05 if len(sent) == 1 else 9.0), steady((0.0, -0.03, 0.0), steps=64)

    bench.answer = answer
    bench.started()
    bench.outputs.clear()
    bench.run(2.0)
    moving = np.flatnonzero(speeds(bench.outputs) > 0.02)
    assert 0.8 < (moving[-1] + 1) * TICK < 1.15
    assert len(sent) > 1  # the next chunk was asked for before that


def test_frame_limit_counts_from_the_arrival_in_sync_execution():
    """The arm stood still while the policy thought for 1.5 s; the chunk is executed whole."""
    bench = Bench(ControllerSettings(chunk=ChunkConfig(execution="sync")))
    bench.answer = lambda _r: (1.5, steady((0.0, -0.05, 0.0)))
    bench.started()
    bench.run(2.6)
    assert bench.controller.counters.steps == 8


def test_required_enabling_device_must_be_held():
    """Start is refused without; loss for 0.25 s, or a release, is a latched stop."""
    settings = ControllerSettings(guard=GuardConfig(enable="required"))
    bench = Bench(settings).run(0.8)
    with pytest.raises(SafetyError, match="start refused: the enabling device is not held"):
        bench.controller.start(bench.now)
    bench.enabled = True
    bench.run(0.1)
    bench.answer = lambda _r: (0.1, steady((0.0, -0.05, 0.0)))
    bench.controller.start(bench.now)
    bench.run(1.0)
    assert bench.status is Status.RUNNING
    bench.enabled = False
    bench.run(0.2)
    assert bench.status is Status.RUNNING
    _stopped(bench, "enable_lost", 0.1)
    bench.enabled = True
    bench.run(2.0)
    assert bench.status is Status.STOPPED


def test_released_device_stops_at_once():
    """A message that says so is not waited out."""
    bench = Bench()
    bench.enabled = True
    bench.answer = lambda _r: (0.1, steady((0.0, -0.05, 0.0)))
    bench.started()
    bench.run(1.0)
    bench.enabled = False
    bench.controller.take(EnableSample(False, bench.now))
    bench.tick()
    assert bench.controller.snapshot().cause == "enable_lost"


def test_optional_device_is_not_missed():
    """Nobody holds one: nothing is asked for."""
    assert _moving().status is Status.RUNNING


def test_obstacle_refuses_start_and_stops_motion():
    """A second publisher is named in the refusal and in the stop."""
    bench = Bench().run(0.8)
    bench.controller.obstruct("second_publisher", "2 publishers: /a, /b", bench.now)
    with pytest.raises(SafetyError, match="start refused: 2 publishers: /a, /b"):
        bench.controller.start(bench.now)
    bench.controller.obstruct("second_publisher", "", bench.now)
    bench.controller.start(bench.now)
    bench.controller.obstruct("second_publisher", "2 publishers: /a, /b", bench.now)
    bench.tick()
    state = bench.controller.snapshot()
    assert (state.status, state.cause) == (Status.STOPPED, "second_publisher")
    assert state.message == "2 publishers: /a, /b"


def test_fingers_that_were_never_measured_are_not_commanded():
    """Start is refused; a value that is not a number stops, and is no command either."""
    bench = Bench()
    bench.alive.discard("fingers")
    bench.run(0.8)
    with pytest.raises(SafetyError, match="start refused: fingers have not been received"):
        bench.controller.start(bench.now)
    bench = _moving()
    bench.opening = np.nan
    _stopped(bench, "fingers_nan", 0.05)
    assert all(np.isfinite(o.command.opening) for o in bench.outputs if o.command)
    bench = _moving()
    bench.alive.discard("fingers")
    _stopped(bench, "fingers_stale", 0.15)


@pytest.mark.parametrize("source", ["pose", "joint_state"])
def test_stamp_in_the_future_is_a_fault(source):
    """0.3 s ahead of our clock: the message says so."""
    bench = _moving()
    _, joints, pose = bench.arm.measure()
    stamp = bench.now + 0.3
    if source == "pose":
        bench.controller.take(PoseSample(pose, bench.now, stamp, -0.3))
    else:
        bench.controller.take(JointsSample("joint_state", joints, bench.now, stamp, -0.3))
    bench.tick()
    state = bench.controller.snapshot()
    assert state.cause == ("pose_future" if source == "pose" else "joints_future")
    assert "0.30 s in the future, allowed: up to 0.1 s" in state.message


def test_motion_is_told_until_the_arm_stands():
    """What /adp/stop answers: the speed while it moves, nothing when it stands."""
    bench = _moving()
    assert bench.controller.motion(bench.now).startswith("the tool moves at 0.08")
    bench.controller.stop(bench.now)
    bench.run(0.5)
    assert bench.controller.motion(bench.now) == ""
    bench.opening = 0.5
    bench.run(0.1)
    assert bench.controller.motion(bench.now) == "the fingers move"
    bench.alive.discard("pose")
    bench.run(0.5)
    assert bench.controller.motion(bench.now) == "where the tool is, is not known"


class BusyMachine(Bench):
    """Ticks and samples come late: up to 50 ms, and several samples at once.

    The driver follows each message for 10 ms and stands still where none came, as Kinova's does;
    samples carry the time at which they were measured.
    """

    def __init__(self, seed, **arm):
        super().__init__(**arm)
        self._rng = np.random.default_rng(seed)
        self._waiting = []

    def busy(self, seconds, share=0.4):
        """Run; in a share of the ticks the whole process gets no core for up to 50 ms."""
        end = self.now + seconds
        while self.now < end:
            missed = int(self._rng.integers(1, 6)) if self._rng.random() < share else 1
            for _ in range(missed - 1):
                self.now += TICK
                self.arm.move(None)
                self.measure()
            self.now += TICK
            self.measure()
            for at, (torque, joints, pose) in self._waiting:
                self.hand_over(at, torque, joints, pose)
            self._waiting.clear()
            for chunk in [c for due, c in self._chunks if due <= self.now]:
                self.controller.offer(chunk, self.now)
            self._chunks = [(due, c) for due, c in self._chunks if due > self.now]
            output = self.controller.tick(self.now)
            self.arm.move(output.command)
            if output.request is not None:
                delay, actions = self.answer(output.request)
                chunk = self.chunk(output.request.window, actions)
                self._chunks.append((self.now + delay, chunk))

    def measure(self):
        """Measure every 20 ms; what was measured waits."""
        if round(self.now / TICK) % 2 == 0:
            self._waiting.append((self.now, self.arm.measure()))

    def hand_over(self, at, torque, joints, pose):
        """Give the controller a measurement that was made at a time."""
        take, late = self.controller.take, self.now - at
        take(JointsSample("joint_state", joints, self.now, at, late))
        take(PoseSample(pose, self.now, at, late))
        take(FingersSample(1.0, self.now))
        take(TorqueSample(torque, self.now))


@pytest.mark.parametrize("seed", range(4))
def test_busy_machine_is_no_disagreement(seed):
    """Held up for up to 50 ms in four of ten ticks, at 0.14 m/s: nothing disagrees in 20 s."""
    bench = BusyMachine(seed)
    bench.answer = lambda r: (0.1, steady([0.0, -0.14 if r.window % 2 else 0.14, 0.0]))
    bench.started()
    bench.busy(20.0)
    state = bench.controller.snapshot()
    assert bench.status.moving, state.message


def test_second_commander_is_felt_on_a_busy_machine():
    """The same machine, and 0.1 m/s that nobody of ours commanded: stopped within 0.6 s."""
    bench = BusyMachine(1)
    bench.answer = lambda _r: (0.1, steady([0.0, -0.08, 0.0]))
    bench.started()
    bench.busy(1.0)
    step, begin = np.array([0.1, 0.0, 0.0, 0.0, 0.0, 0.0]) * TICK, bench.now
    move = bench.arm.move

    def pushed(command):
        bench.arm.joints = bench.arm.joints + np.linalg.solve(bench.arm.chain().jacobian(), step)
        move(command)

    bench.arm.move = pushed
    while bench.status.moving and bench.now - begin < 2.0:
        bench.busy(0.02)
    assert bench.controller.snapshot().cause == "motion_disagrees"
    assert bench.now - begin < 0.6


def _agreement_of(speed, period, moved, late):
    """Faults over 3 s of steady motion along y.

    Args:
        speed: Commanded, in [m/s].
        period: From one message to the next, in [s].
        moved: Time in [s] for which the arm follows each message.
        late: Delay of each pose's arrival in [s], by its number.
    """
    model = ControllerSettings().arm.model()
    agreement, feeds = Agreement(GuardConfig(), model), [FeedMonitor("pose", FeedConfig())]
    rotation, position, now, number, waiting = np.eye(3), np.zeros(3), 0.0, 0, []
    twist = Twist(np.array([0.0, speed, 0.0]), np.zeros(3))
    while now < 3.0:
        now += period
        position = position + [0.0, speed * moved, 0.0]
        agreement.told(now, twist, period, feeds)
        if number % 2 == 0:
            waiting.append((now + late(number), now, Pose(position, rotation)))
        number += 1
        for arrival, stamp, pose in [w for w in waiting if w[0] <= now]:
            agreement.take_pose(PoseSample(pose, arrival, stamp, arrival - stamp), None)
        waiting = [w for w in waiting if w[0] > now]
        if (fault := agreement.fault()) is not None:
            return fault.cause
    return ""


def test_poses_that_arrive_late_are_compared_on_their_own_time():
    """Every other half second the poses come 60 ms later; the motion is as commanded."""

    def late(number):
        return 0.06 if number // 50 % 2 else 0.0

    for speed in (0.15, 0.3):
        assert _agreement_of(speed, 0.01, 0.01, late) == ""


@pytest.mark.parametrize("moved", [0.01, 0.015, 0.02])
def test_driver_may_make_of_late_messages_what_it_likes(moved):
    """A message each 20 ms moves the arm for 10 ms, or until the next: both are as commanded."""
    assert _agreement_of(0.15, 0.02, moved, lambda _: 0.0) == ""


@pytest.mark.parametrize("moved", [0.0, 0.03])
def test_driver_that_does_less_or_more_disagrees(moved):
    """No motion at all, or half as much again as until the next message."""
    assert _agreement_of(0.15, 0.02, moved, lambda _: 0.0) == "motion_disagrees"
