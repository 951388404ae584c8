"""The controller in simulated time: what reaches the arm, and when."""

import numpy as np
import pytest
from simulated_arm import TICK, Bench, speeds, steady

from adp_ros.control.chunk_buffer import Offered
from adp_ros.control.chunk_steps import ChunkConfig
from adp_ros.control.controller_health import ControllerReport
from adp_ros.control.controller_settings import (
    ArmConfig,
    ControllerSettings,
    StopConfig,
    StreamConfig,
)
from adp_ros.control.episode import WindowMotion
from adp_ros.control.pacer import Pacer
from adp_ros.control.safety_machine import Status
from adp_ros.control.stopping import StopSequence
from adp_ros.errors import ConfigError, SafetyError
from adp_ros.health import Level
from adp_ros.robots.jaco2.arms import arm_model
from adp_ros.robots.kinematics import gravity_torque
from adp_ros.types import TorqueSample

HOME = arm_model("j2n6s300").home
SYNC = ControllerSettings(chunk=ChunkConfig(execution="sync"))


def _policy(velocity, delay=0.12, opening=1.0):
    return lambda _request: (delay, steady(velocity, opening=opening))


def test_nothing_is_sent_before_start():
    """Armed or not, the driver hears nothing: a stream of zeros would break its way home."""
    bench = Bench().run(1.0)
    assert bench.status is Status.ARMED
    assert all(o.command is None and o.request is None for o in bench.outputs)


def test_start_asks_for_window_0_and_streams_zeros_until_it_comes():
    """One request with the first tick; zero velocity every tick until there is a chunk."""
    bench = Bench().started()
    bench.outputs.clear()
    bench.run(0.5)
    requests = [o.request for o in bench.outputs if o.request]
    assert [r.window for r in requests] == [0]
    assert np.isnan(requests[0].path) and np.isnan(requests[0].net)
    assert all(o.command is not None for o in bench.outputs)
    assert not speeds(bench.outputs).any()


def test_arm_moves_as_the_chunks_say():
    """5 cm/s for 4 s: 20 cm less the start, straight, within 1 mm of the line; no step missed."""
    bench = Bench().started()
    bench.answer = _policy([0.0, -0.05, 0.0])
    begin = bench.tool
    bench.run(4.0)
    way = bench.tool - begin
    assert way[1] == pytest.approx(-0.05 * (4.0 - 0.12), abs=0.012)
    assert np.abs(way[[0, 2]]).max() < 1e-3
    counters = bench.controller.counters
    assert counters.steps_missed == 0 and counters.steps >= 38
    requests = [o.request for o in bench.outputs if o.request]
    assert [r.window for r in requests] == list(range(len(requests)))


def test_slow_driver_is_made_up_for():
    """An arm that does 80 % of each velocity still goes 95 % of the way in 4 s."""
    bench = Bench(share=0.8).started()
    bench.answer = _policy([0.0, -0.05, 0.0])
    begin = bench.tool
    bench.run(4.0)
    assert abs(bench.tool[1] - begin[1]) > 0.95 * 0.05 * (4.0 - 0.12 - 0.1)


def test_square_is_followed_to_a_millimetre():
    """10 cm square at 5 cm/s with an arm that is 20 ms late: RMS distance from the path < 1 mm."""
    corners = np.array([[0, 0], [0.1, 0], [0.1, -0.1], [0, -0.1], [0, 0]])
    bench = Bench().started()
    first = bench.now + TICK

    def plan(_request):
        actions = np.zeros((8, 7))
        for i in range(8):
            step = round((bench.now - first) / 0.1) + i
            side = (step // 20) % 4
            actions[i, :2] = 0.05 * (corners[side + 1] - corners[side])
        return 0.0, actions

    bench.answer = plan
    begin, points = bench.tool, []
    for _ in range(900):
        bench.tick()
        points.append((bench.tool - begin)[:2])
    apart = []
    for point in points:
        ways = []
        for a, b in zip(corners[:-1], corners[1:], strict=True):
            t = np.clip((point - a) @ (b - a) / 0.01, 0.0, 1.0)
            ways.append(np.linalg.norm(point - a - t * (b - a)))
        apart.append(min(ways))
    assert np.sqrt(np.mean(np.square(apart))) < 1e-3
    assert np.ptp(np.array(points), axis=0).min() > 0.099


def test_speed_and_acceleration_stay_within_limits():
    """However wildly chunks jump, far over the speed cap, and the pose with them, ramps hold."""
    rng = np.random.default_rng(0)
    bench = Bench().started()
    bench.answer = lambda r: (0.1, steady((-1) ** r.window * rng.uniform(0.0, 0.3, 3)))
    sent, free = [], []
    for k in range(1000):
        if k % 97 == 0:
            bench.arm.joints = bench.arm.joints + rng.uniform(-0.01, 0.01, 6)
        twist = bench.tick().command.twist
        sent.append(twist.linear)
        free.append(not set(bench.controller.episode.motion.reasons) - {"speed", "joint_speed"})
    accelerations = np.linalg.norm(np.diff(sent, axis=0), axis=1)[free[1:]] / TICK
    assert np.linalg.norm(sent, axis=1).max() <= 0.15 + 1e-9
    assert len(accelerations) > 300 and accelerations.max() <= 0.64 * 1.001


def test_missing_chunk_ramps_to_zero_without_latch():
    """When the policy falls silent the arm comes to rest within a step and the ramp."""
    bench = Bench().started()
    bench.answer = _policy([0.0, -0.1, 0.0])
    bench.run(2.0)
    bench.answer = None
    remaining = bench.controller.episode.buffer.remaining(bench.now)
    bench.outputs.clear()
    bench.run(remaining + 0.1 + 0.1 / 0.64 + 0.1)
    assert speeds(bench.outputs)[-1] == 0.0
    assert bench.status is Status.RUNNING
    assert bench.controller.snapshot().cause == "chunk_missing"


def test_nonsense_from_the_policy_ramps_to_zero_and_good_chunks_go_on():
    """Not-a-number ends the motion at once, without latch; the same window is asked for again."""
    bench = Bench().started()
    bench.answer = _policy([0.0, -0.1, 0.0])
    bench.run(2.05)
    bench.answer = lambda _r: (0.1, np.full((8, 7), np.nan))
    bench.run(0.8)
    assert bench.status is Status.RUNNING
    assert bench.controller.snapshot().cause == "chunk_refused"
    bench.run(0.4)
    assert speeds(bench.outputs)[-1] == 0.0
    bench.answer = _policy([0.0, 0.1, 0.0])
    bench.run(1.0)
    assert speeds(bench.outputs)[-1] > 0.09


def test_overload_is_zero_with_the_next_tick():
    """Two samples over the level, 20 ms apart: the tick that follows sends zero, not a ramp."""
    bench = Bench().started()
    bench.answer = _policy([0.0, -0.1, 0.0])
    bench.run(2.0)
    bench.arm.push[1] = 8.0
    first = None
    for _ in range(10):
        bench.tick()
        if bench.status is Status.STOPPED:
            first = bench.outputs[-1]
            break
    assert first is not None and not first.command.twist.linear.any()
    assert not first.command.twist.angular.any()


def test_stop_asks_the_driver_in_the_same_tick_and_once_per_second():
    """Zeros at every tick until the driver has answered, then silence; the hand stays as it is."""
    bench = Bench().started()
    bench.answer = _policy([0.0, -0.1, 0.0], opening=0.0)
    bench.run(2.0)
    bench.opening = 0.3
    bench.run(0.1)
    bench.controller.stop(bench.now)
    bench.outputs.clear()
    bench.run(2.0)
    assert not speeds(bench.outputs).any()
    assert all(o.command is not None for o in bench.outputs)
    assert {o.command.opening for o in bench.outputs} == {0.3}  # measured, not what was wanted
    asked = [0.01 * (i + 1) for i, o in enumerate(bench.outputs) if o.stop_driver]
    np.testing.assert_allclose(asked, [0.01, 1.01], atol=0.011)
    bench.controller.confirm_stop(bench.controller.stop_number)
    bench.outputs.clear()
    bench.run(1.0)
    assert all(o.command is None and not o.stop_driver for o in bench.outputs)
    assert bench.controller.offer(bench.chunk(0, steady([0, 0, 0])), bench.now) is (
        Offered.UNREQUESTED
    )


def test_reset_does_not_move_the_arm_and_start_begins_anew():
    """After reset nothing is sent; start asks for window 0 again and nothing old is executed."""
    bench = Bench().started()
    bench.answer = _policy([0.0, -0.1, 0.0])
    bench.run(2.0)
    bench.controller.stop(bench.now)
    bench.run(0.7)
    bench.controller.confirm_stop(bench.controller.stop_number)
    bench.run(0.7)
    bench.controller.reset(bench.now)
    bench.outputs.clear()
    bench.run(1.0)
    assert bench.status is Status.ARMED
    assert all(o.command is None for o in bench.outputs)
    bench.controller.start(bench.now)
    bench.outputs.clear()
    bench.answer = None
    bench.run(0.3)
    assert [o.request.window for o in bench.outputs if o.request] == [0]
    assert not speeds(bench.outputs).any()


def test_slowed_arm_moves_at_the_reduced_speed():
    """Between the levels the speed falls to 30 %, and comes back when the push is gone."""
    bench = Bench().started()
    bench.answer = _policy([0.0, -0.1, 0.0])
    bench.run(1.5)
    bench.arm.push[1] = 4.5
    bench.run(0.6)
    assert bench.status is Status.SLOWED
    assert speeds(bench.outputs)[-1] <= 0.3 * 0.15 + 1e-9
    bench.arm.push[1] = 0.0
    bench.run(1.0)
    assert bench.status is Status.RUNNING and speeds(bench.outputs)[-1] > 0.08


def test_gripper_follows_the_action_and_starts_where_it_is():
    """The measured opening is kept until an action says otherwise; overshoot is clipped."""
    bench = Bench().run(0.8)
    bench.opening = 0.4
    bench.run(0.1)
    bench.controller.start(bench.now)
    bench.answer = _policy([0.0, 0.0, 0.0], opening=1.3)
    assert bench.tick().command.opening == 0.4
    bench.run(0.5)
    assert bench.tick().command.opening == 1.0


def test_window_motion_is_told_with_the_request():
    """Each request carries path length and net displacement of the tool since the last one."""
    bench = Bench(SYNC).started()
    there_and_back = np.concatenate([steady([0, -0.05, 0], 4), steady([0, 0.05, 0], 4)])
    bench.answer = lambda _r: (0.1, there_and_back)
    bench.run(3.0)
    request = next(o.request for o in bench.outputs if o.request and o.request.window == 2)
    assert request.path == pytest.approx(0.04, rel=0.15)
    assert request.net < 0.006


def test_window_motion_adds_up_the_steps():
    """A quarter circle in ten steps: path of the chords, net of the ends; NaN before any step."""
    window = WindowMotion()
    assert np.isnan(window.measured()).all()
    angles = np.linspace(0, np.pi / 2, 11)
    for a in angles:
        window.step(np.array([np.cos(a), np.sin(a), 0.0]))
    path, net = window.measured()
    assert path == pytest.approx(10 * 2 * np.sin(np.pi / 40))
    assert net == pytest.approx(np.sqrt(2))
    window.begin(np.zeros(3))
    assert window.measured() == (0.0, 0.0)


def test_dry_run_computes_everything_and_trusts_no_motion():
    """Commands are computed as ever; an arm that does not move is no fault; home is refused."""
    settings = ControllerSettings(arm=ArmConfig(dry_run=True))
    bench = Bench(settings, share=0.0).started()
    bench.answer = _policy([0.0, -0.05, 0.0])
    bench.run(4.0)
    assert bench.status is Status.RUNNING
    assert speeds(bench.outputs).max() > 0.04
    assert bench.controller.watch.verdict() == ""
    bench.controller.stop(bench.now)
    bench.run(1.5)
    bench.controller.reset(bench.now)
    bench.run(0.1)
    with pytest.raises(SafetyError, match="home refused: dry_run is true"):
        bench.controller.home(bench.now, bench.controller.plan_home())


@pytest.mark.parametrize("noise", [True, False])
def test_arm_that_ignores_commands_is_stopped(noise):
    """Told to move and not moving: latched within a second, whether its sensors rustle or not."""
    bench = Bench(share=0.0).started()
    bench.answer = _policy([0.0, -0.04, 0.0])
    if not noise:
        measured = bench.arm.measure()
        bench.arm.measure = lambda: (bench.arm._rng.normal(0, 0.02, 6) + measured[0], *measured[1:])
    bench.run(0.3)
    assert bench.status is Status.RUNNING
    bench.run(1.1)
    assert bench.status is Status.STOPPED
    causes = ("not_moving", "motion_disagrees") if noise else ("position_frozen",)
    assert bench.controller.snapshot().cause in causes


def test_driver_may_bring_the_arm_home_when_it_is_asked_to():
    """While it lasts nothing is sent, start is refused, and the torque monitor watches."""
    bench = Bench().run(0.8)
    bench.controller.home(bench.now, None)
    assert bench.status is Status.HOMING
    with pytest.raises(SafetyError, match="start refused: the arm is on its way home"):
        bench.controller.start(bench.now)
    for _ in range(100):
        bench.arm.joints = bench.arm.joints + [0.003, 0, 0, 0, 0, 0]
        assert bench.tick().command is None
    assert bench.controller.watch.verdict() == ""
    bench.arm.push[0] = 6.0
    bench.run(0.1)
    assert bench.status is Status.STOPPED and bench.outputs[-1].command is not None
    assert any(o.stop_driver for o in bench.outputs[-10:])
    bench.controller.end_homing(bench.now)
    assert bench.status is Status.STOPPED


def test_lost_node_is_latched_while_the_arm_moves():
    """At rest nothing is to be stopped; in motion the next command is zero, until a reset."""
    bench = Bench().run(0.8)
    bench.controller.find_node("inference_node")
    report = ControllerReport(bench.controller, Pacer(StreamConfig(), 0.0), lambda: bench.now)
    assert report.nodes().level is Level.OK
    bench.controller.lose_node("inference_node", "inference_node has ended", bench.now)
    assert bench.status is Status.ARMED
    assert report.nodes().level is Level.WARN
    assert report.nodes().message == "inference_node has ended"
    bench.answer = _policy([0.0, -0.05, 0.0])
    bench.controller.start(bench.now)
    bench.run(1.0)
    assert speeds(bench.outputs)[-1] > 0.04
    bench.controller.lose_node("inference_node", "inference_node has ended", bench.now)
    bench.tick()
    assert (bench.status, speeds(bench.outputs)[-1]) == (Status.STOPPED, 0.0)
    state = bench.controller.snapshot()
    assert (state.cause, state.message) == ("node_lost", "inference_node has ended")


def test_tare_with_the_object_lifted_takes_its_weight_away():
    """At rest, running or not; the residual is zero again, and the allowance of the level holds."""
    bench = Bench().started()
    bench.answer = _policy([0.0, 0.0, 0.0])
    bench.arm.push[1] = 3.0
    bench.run(1.0)
    assert bench.controller.snapshot().residual[1] == pytest.approx(3.0, abs=0.1)
    assert bench.controller.tare(bench.now)[1] == pytest.approx(3.0, abs=0.1)
    bench.run(0.1)
    assert bench.controller.snapshot().residual[1] == pytest.approx(0.0, abs=0.1)
    bench.arm.push[1] = 4.6
    bench.run(0.7)
    with pytest.raises(SafetyError, match=r"joint 2 is \+4\.\d+ N m, allowed: 4.50"):
        bench.controller.tare(bench.now)


def test_tare_is_refused_while_the_arm_moves_or_is_stopped():
    """What a moving arm feels is no offset; a stopped one is to be reset first."""
    bench = Bench()
    with pytest.raises(SafetyError, match="tare refused: disarmed"):
        bench.controller.tare(bench.now)
    bench.started()
    bench.answer = _policy([0.0, -0.05, 0.0])
    bench.run(1.0)
    with pytest.raises(SafetyError, match="tare refused: the arm moves"):
        bench.controller.tare(bench.now)
    bench.controller.stop(bench.now)
    bench.run(1.0)
    with pytest.raises(SafetyError, match="tare refused: stopped"):
        bench.controller.tare(bench.now)
    bench.controller.reset(bench.now)
    bench.run(0.1)
    bench.controller.home(bench.now, bench.controller.plan_home())
    with pytest.raises(SafetyError, match="tare refused: the arm moves"):
        bench.controller.tare(bench.now)


def test_closed_hand_may_hold_an_object():
    """0.3 kg lifted by a closed hand are no residual; in an open one they are."""
    held = gravity_torque(arm_model("j2n6s300").with_payload(0.3, (0, 0, 0.03)), HOME)
    held -= gravity_torque(arm_model("j2n6s300"), HOME)
    residuals = []
    for opening in (0.0, 1.0):
        bench = Bench().started()
        bench.answer = _policy([0.0, 0.0, 0.0], opening=opening)
        bench.run(1.0)
        bench.arm.push = held.copy()
        bench.run(0.2)
        residuals.append(bench.controller.snapshot().residual)
    assert np.abs(residuals[0]).max() < 0.15
    np.testing.assert_allclose(residuals[1], held, atol=0.15)


# --- report ------------------------------------------------------------------------------------


def test_report_names_what_is_wrong():
    """Every component is OK in a good run; each fault shows up in its own component."""
    bench = Bench()
    pacer = Pacer(StreamConfig(), bench.now)
    report = ControllerReport(bench.controller, pacer, lambda: bench.now)
    assert report.feedback().level is Level.STALE
    bench.started()
    bench.answer = _policy([0.0, -0.05, 0.0])
    bench.run(2.0)
    states = {name: ask() for name, ask in report.components().items()}
    names = {"safety", "torque", "feedback", "steps", "stream", "motion", "driver", "nodes"}
    assert set(states) == names
    assert states["torque"].values["tared"]
    assert {s.level for s in states.values()} == {Level.OK}
    assert states["steps"].values["steps_missed"] == 0
    assert states["steps"].values["request_to_chunk_ms_p50"] == pytest.approx(120, abs=15)
    bench.alive.discard("pose")
    bench.run(1.0)
    assert report.safety().level is Level.ERROR
    assert report.safety().values["cause"] == "pose_stale"
    assert report.feedback().message == "stale: pose"
    assert report.driver().level is Level.ERROR


# --- pace --------------------------------------------------------------------------------------


def test_pace_is_absolute_and_counts_late_messages():
    """A late tick shifts no later deadline; its period and the next are counted as late."""
    config = StreamConfig()
    pacer, sent = Pacer(config, 0.0), []
    for k in range(100):
        now = pacer.deadline + (0.007 if k == 50 else 0.0002)
        now += pacer.wait(now)
        pacer.note(now, sent=True)
        sent.append(now)
    assert sent[-1] == pytest.approx(99 * config.period + 0.0002)
    assert (pacer.delivered, pacer.late, pacer.skipped) == (100, 1, 0)
    assert np.diff(sent).min() >= config.minimum_gap - 1e-12


def test_pace_skips_and_never_bursts():
    """After 55 ms without a message five are skipped, none is sent in a hurry."""
    config = StreamConfig()
    pacer, sent = Pacer(config, 0.0), []
    for k in range(30):
        now = pacer.deadline + (0.055 if k == 10 else 0.0)
        now += pacer.wait(now)
        pacer.note(now, sent=True)
        sent.append(now)
    assert pacer.skipped == 5
    assert np.diff(sent).min() >= config.minimum_gap - 1e-12
    assert len([s for s in sent if s <= 0.3]) <= 0.3 / config.period
    assert pacer.on_time_share == pytest.approx(1 - 6 / 35)


def test_stream_that_catches_up_has_no_hole():
    """What counts is the gaps that the driver sees, not the deadlines that lateness has used up."""
    config, rng = StreamConfig(), np.random.default_rng(4)
    pacer, sent = Pacer(config, 0.0), []
    now = 0.0
    for _ in range(2000):  # woken late again and again, faster than the stream can catch up
        now = max(now, pacer.deadline) + rng.uniform(0.0, 0.004)
        now += pacer.wait(now)
        pacer.note(now, sent=True)
        sent.append(now)
    gaps = np.diff(sent)
    wrong = np.abs(gaps - config.period) >= config.on_time
    assert pacer.deadline > sent[-1] - config.period  # no backlog to burst from
    assert (pacer.late, pacer.skipped) == (wrong.sum(), 0)
    assert pacer.on_time_share == pytest.approx(1 - wrong.mean(), abs=1e-3)


def test_pause_is_no_missed_message():
    """Ticks that send nothing are neither late nor skipped."""
    pacer = Pacer(StreamConfig(), 0.0)
    pacer.note(0.0, sent=True)
    pacer.note(0.5, sent=False)
    pacer.note(0.9, sent=True)
    assert (pacer.delivered, pacer.late, pacer.skipped) == (2, 0, 0)
    assert pacer.wait(0.9) == pytest.approx(0.0095)
    assert Pacer(StreamConfig(), 1.0).wait(0.4) == pytest.approx(0.6)


def test_stop_sequence_waits_for_the_answer():
    """Nothing before begin, nothing after the answer and the zero time."""
    sequence = StopSequence(StopConfig())
    assert not sequence.sends_zero(0.0) and not sequence.asks_driver(0.0)
    sequence.begin(1.0)
    sequence.confirm(1)
    assert sequence.sends_zero(1.4) and not sequence.asks_driver(1.6)
    assert not sequence.sends_zero(1.6)
    sequence.end()
    assert not sequence.sends_zero(1.1)


def test_late_answer_to_an_earlier_stop_confirms_nothing():
    """The driver answered to the first stop after the second: the second is asked on."""
    bench = Bench().started()
    bench.controller.stop(bench.now)
    bench.tick()
    first = bench.outputs[-1].stop_driver
    bench.run(1.2)
    bench.controller.reset(bench.now)
    bench.controller.stop(bench.now)
    bench.tick()
    second = bench.outputs[-1].stop_driver
    assert first and second and first != second
    bench.controller.confirm_stop(first)
    assert not bench.controller.stop_confirmed
    bench.run(1.0)
    assert bench.outputs[-1].command is not None
    assert any(o.stop_driver == second for o in bench.outputs[-10:])
    bench.controller.confirm_stop(second)
    assert bench.controller.stop_confirmed


def test_stream_faster_than_its_gap_is_refused():
    """A gap longer than the period contradicts itself; over 100 Hz is not allowed at all."""
    with pytest.raises(ConfigError, match="minimum_gap is 0.0102, allowed: up to .* 0.01005"):
        StreamConfig(minimum_gap=0.0102)
    with pytest.raises(ConfigError, match="stream.period is 0.009"):
        StreamConfig(period=0.009)
    with pytest.raises(ConfigError, match="robot_type is 'ur5', allowed"):
        ArmConfig(robot_type="ur5")


def test_delay_of_a_stop_counts_from_the_samples_arrival():
    """An overload 6 ms before the tick is 6 ms of delay."""
    bench = Bench().started()
    bench.answer = _policy([0.0, 0.0, 0.0])
    bench.run(0.5)
    bench.arm.push[1] = 20.0
    torque, _, _ = bench.arm.measure()
    bench.controller.take(TorqueSample(torque, bench.now + 0.004))
    assert bench.status is Status.STOPPED
    bench.arm.push[1] = 0.0
    bench.tick()
    assert bench.controller.stop_delay == pytest.approx(0.006)
