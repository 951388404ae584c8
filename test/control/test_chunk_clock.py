"""The chunks' clock: slower before limits, so that the tool stays on the policy's path."""

import numpy as np
import pytest
from simulated_arm import TICK, Bench, speeds, steady

from adp_ros.control.chunk_buffer import ChunkBuffer, Offered
from adp_ros.control.chunk_clock import ChunkClock
from adp_ros.control.chunk_steps import ChunkConfig
from adp_ros.control.controller_settings import ControllerSettings
from adp_ros.control.envelope import Envelope, EnvelopeConfig
from adp_ros.control.place import Place
from adp_ros.control.safety_machine import Status
from adp_ros.control.velocity import VelocityConfig
from adp_ros.robots.jaco2.arms import arm_model
from adp_ros.types import ActionConvention, Chunk, Pose, Twist

LEAN = np.array([0.0, 4.3, 0.0, 0.0, 0.0, 0.0])  # [N m], between the slow and the stop level
MODEL = arm_model("j2n6s300")
WAYS = ("clock", "clamp")


def _settings(slowdown, chunk=None, **envelope):
    return ControllerSettings(
        velocity=VelocityConfig(slowdown=slowdown),
        envelope=EnvelopeConfig(**envelope),
        chunk=chunk or ChunkConfig(),
    )


def _chunk(window, stamp, steps=8):
    actions = np.zeros((steps, 7))
    actions[:, 0] = 0.001 * np.arange(1, steps + 1)
    return Chunk(actions, stamp, window, 0.1, ActionConvention())


def test_clock_is_the_integral_of_its_rate():
    """Real time to the last bit until it is slowed; then the sum of rates, also looked up later."""
    clock, rng = ChunkClock(60.0), np.random.default_rng(0)
    for time in rng.uniform(0.0, 1e4, 20):
        clock.pace(time, 1.0)
        assert clock.at(time) == time
    clock.begin()
    times, shown, expected = [5.0], [5.0], 5.0
    for k in range(400):
        rate = 1.0 if 100 < k < 150 else rng.uniform(0.2, 1.0)
        clock.pace(times[-1], rate)
        expected += 0.01 * rate
        times.append(times[-1] + 0.01)
        shown.append(expected)
    np.testing.assert_allclose([clock.at(time) for time in times], shown, atol=1e-9)
    assert clock.at(4.0) == 4.0
    assert np.diff([clock.at(t) for t in np.arange(4.0, 9.5, 0.003)]).min() >= 0.0


def test_a_late_tick_slows_nothing():
    """A rate holds for 30 ms: when the process stood still, what was due meanwhile is past."""
    clock = ChunkClock(60.0)
    clock.pace(1.0, 0.2)
    assert clock.at(1.03) == pytest.approx(1.006)
    assert clock.at(1.53) == pytest.approx(1.506)


@pytest.mark.parametrize("rate", [1.0, 0.5, 0.3])
def test_a_slow_clock_is_no_missing_chunk(rate):
    """Every action once, in order, for a step of the clock each; none late, none missed."""
    buffer = ChunkBuffer(ChunkConfig(frame_limit=10.0))
    buffer.request(0.0)
    assert buffer.offer(_chunk(0, 0.0), 0.0) is Offered.ACCEPTED
    begun, now = [], 0.0
    for k in range(round(0.8 / rate / TICK) - 1):
        now = k * TICK
        action = buffer.tick(now)
        buffer.clock.pace(now, rate)
        assert action is not None
        if not begun or begun[-1][0] != action.index:
            begun.append((action.index, now))
    assert [index for index, _ in begun] == list(range(8))
    np.testing.assert_allclose([at for _, at in begun], 0.1 / rate * np.arange(8), atol=1.5 * TICK)
    counters = buffer.counters
    assert (counters.steps, counters.steps_missed, counters.late_actions_dropped) == (8, 0, 0)


def test_a_chunk_begins_where_the_slowed_arm_was_in_the_picture():
    """At a third of the rate 0.3 s of latency skip one action, not three."""
    buffer = ChunkBuffer(ChunkConfig(frame_limit=10.0, min_lead=10.0))
    buffer.request(0.0)
    buffer.offer(_chunk(0, 0.0), 0.0)
    for k in range(60):
        buffer.tick(k * TICK)
        buffer.clock.pace(k * TICK, 1.0 / 3.0)
    assert buffer.request(0.6) == 1
    for k in range(60, 90):  # the picture was taken at 0.6 s, when the clock showed 0.2 s
        buffer.tick(k * TICK)
        buffer.clock.pace(k * TICK, 1.0 / 3.0)
    assert buffer.offer(_chunk(1, 0.6), 0.9) is Offered.ACCEPTED
    executed = []
    for k in range(90, 300):
        action = buffer.tick(k * TICK)
        buffer.clock.pace(k * TICK, 1.0 / 3.0)
        if action is not None and (not executed or executed[-1] is not action):
            executed.append(action)
    assert [a.index for a in executed if a.window == 1] == list(range(1, 8))
    np.testing.assert_allclose([a.action[0] for a in executed][-7:], 0.001 * np.arange(2, 9))
    assert buffer.counters.steps_missed == 0


def test_late_actions_are_never_executed_however_slow_the_clock():
    """Random rates, late ticks and latencies: no action begins more than 50 ms past its due time.

    The due time is judged by an integral of the rates of our own.
    """
    config, rng = ChunkConfig(frame_limit=1.0), np.random.default_rng(1)
    for _ in range(20):
        buffer, now, clock, rate, waiting = ChunkBuffer(config), 0.0, 0.0, 1.0, None
        last = None
        for _ in range(600):
            gap = TICK if rng.random() < 0.97 else rng.uniform(0.02, 0.4)
            now, clock = now + gap, clock + rate * min(gap, 0.03) + max(0.0, gap - 0.03)
            window = buffer.request(now)
            if window is not None:
                waiting = (now + rng.uniform(0.05, 0.6), _chunk(window, now - 0.03))
            if waiting is not None and waiting[0] <= now:
                buffer.offer(waiting[1], now)
                waiting = None
            action = buffer.tick(now)
            if action is not None and action is not last:
                assert clock - action.due <= config.late_limit + 1e-9
            assert action is None or now <= action.fresh_until
            last = action
            rate = rng.uniform(0.2, 1.0)
            buffer.clock.pace(now, rate)


def test_frames_age_in_real_time_and_the_next_chunk_is_asked_for_ahead_of_it():
    """At a fifth of the rate no action runs on a frame older than 1 s, nor is the arm starved."""
    buffer, config = ChunkBuffer(ChunkConfig()), ChunkConfig()
    waiting, stamps, asked = None, {}, []
    for k in range(600):
        now = k * TICK
        window = buffer.request(now)
        if window is not None:
            asked.append(now)
            stamps[window] = now
            waiting = (now + 0.2, _chunk(window, now))
        if waiting is not None and waiting[0] <= now:
            assert buffer.offer(waiting[1], now) is Offered.ACCEPTED
            waiting = None
        action = buffer.tick(now)
        buffer.clock.pace(now, 1.0 if action is None else 0.2)
        if now > 0.25:
            assert action is not None
            assert now - stamps[action.window] <= config.frame_limit + 1e-6
    assert np.diff(asked)[1:].min() > 0.3  # a window is as long as the lead allows, not shorter


@pytest.mark.parametrize("slowdown", WAYS)
def test_torque_warning_keeps_the_path(slowdown):
    """An L of 3 cm each, warned: by the clock the tool gets to its end, clamped to 30 % of it."""
    chunk = ChunkConfig(execution="sync", frame_limit=10.0)
    bench = Bench(_settings(slowdown, chunk)).started()
    actions = np.zeros((8, 7))
    actions[:4, 0], actions[4:, 2] = 0.0075, 0.0075
    bench.answer = lambda request: (0.05, actions if request.window == 0 else np.zeros((8, 7)))
    bench.arm.push = LEAN
    begin, points = bench.tool, []
    for _ in range(500):
        bench.tick()
        points.append(bench.tool - begin)
    assert bench.status is Status.SLOWED
    end, points = points[-1], np.array(points)
    if slowdown == "clamp":
        assert np.linalg.norm(end - [0.03, 0.0, 0.03]) > 0.02
        return
    np.testing.assert_allclose(end, [0.03, 0.0, 0.03], atol=3e-3)
    apart = [min(np.hypot(p[1], p[2]), np.hypot(p[0] - 0.03, p[1])) for p in points]
    assert max(apart) < 3e-3
    assert max(speeds(bench.outputs[-400:])) <= 0.3 * 0.15 + 1e-9


@pytest.mark.parametrize("slowdown", WAYS)
def test_table_keeps_the_path(slowdown):
    """Down at a slant: by the clock on the line, as slow as the table asks; clamped it bends."""
    bench = Bench(_settings(slowdown, table_zone=0.3)).started()
    bench.answer = lambda _request: (0.1, steady([0.08, 0.0, -0.11]))
    begin, apart = bench.tool, []
    line = np.array([0.08, 0.0, -0.11]) / np.hypot(0.08, 0.11)
    for _ in range(220):
        bench.tick()
        way = bench.tool - begin
        apart.append(np.linalg.norm(way - (way @ line) * line))
    assert way[2] < -0.06
    assert -np.diff([o.command.twist.linear[2] for o in bench.outputs[-100:]]).max() < 0.06
    assert min(o.command.twist.linear[2] for o in bench.outputs[-50:]) > -0.051
    if slowdown == "clock":
        assert max(apart) < 2e-3
        assert bench.controller.snapshot().cause == "table"
        assert bench.controller.counters.steps_missed == 0
    else:
        assert max(apart) > 0.015


@pytest.mark.parametrize("slowdown", WAYS)
def test_what_the_clock_cannot_help_slides_on(slowdown):
    """Pressed against the border of the workspace the tool still goes along it, both ways alike."""
    bench = Bench(_settings(slowdown, workspace_low=(-0.45, -0.75, 0.45))).started()
    bench.answer = lambda _request: (0.1, steady([0.0, -0.06, -0.06]))
    begin = bench.tool
    bench.run(4.0)
    way = bench.tool - begin
    assert bench.tool[2] == pytest.approx(0.45, abs=2e-3)
    assert way[1] < -0.06 * 3.0
    assert bench.status is Status.RUNNING


@pytest.mark.parametrize("away", [0.0, 0.001, 0.004, 0.2])
def test_clock_slows_for_what_it_can_help(away):
    """At one border already, the other one still slows the clock, if no more than is allowed."""
    config = EnvelopeConfig()
    envelope = Envelope(config, MODEL, 0.64)
    corner = np.array([config.workspace_high[0] - away, config.workspace_low[1], 0.4])
    place = Place.at(MODEL, MODEL.home, Pose(corner, np.eye(3)))
    twist = Twist(np.array([0.03, -0.03, 0.0]), np.zeros(3))
    rate, reason, _ = envelope.clock_rate(twist, place, 0.2)
    share = np.sqrt(0.5) * config.approach_gain * away / 0.03  # at half of the deceleration
    helps = 0.2 <= share < 1.0
    assert rate == pytest.approx(share if helps else 1.0)
    assert reason == ("workspace" if helps else "")


def test_slow_share_bounds_plan_and_feedback_together():
    """An arm that does 80 % of what it is told, warned: feedback adds nothing beyond the share."""
    for slowdown in WAYS:
        bench = Bench(_settings(slowdown), share=0.8).started()
        bench.answer = lambda _request: (0.1, steady([0.0, 0.0, 0.14]))
        bench.run(1.5)
        bench.arm.push = LEAN
        bench.run(1.0)
        assert bench.status is Status.SLOWED
        sent = speeds(bench.outputs[-60:])
        velocity = VelocityConfig()
        assert sent.max() <= velocity.slow_share * velocity.linear_speed_cap + 1e-9
        assert sent.max() > 0.9 * velocity.slow_share * 0.14


def test_motion_of_a_window_is_the_way_between_requests():
    """Path and net that go with a request are those of the tool, slowed or not."""
    bench = Bench(_settings("clock", table_zone=0.3)).started()
    bench.answer = lambda _request: (0.1, steady([0.08, 0.0, -0.11]))
    places, requests = [], []
    for _ in range(200):
        output = bench.tick()
        places.append(bench.tool)
        if output.request is not None:
            requests.append((len(places) - 1, output.request))
    checked = 0
    for (before, _), (after, request) in zip(requests[1:-1], requests[2:], strict=True):
        way = np.linalg.norm(np.diff(places[before : after + 1], axis=0), axis=1).sum()
        assert request.path == pytest.approx(way, abs=0.016)  # the last step is not over
        assert request.net <= request.path + 1e-12
        checked += 1
    assert checked >= 3
