"""Chunk timing: due times, merging, requests, and a property over random latencies and losses."""

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adp_ros.control.chunk_buffer import ChunkBuffer, Offered
from adp_ros.control.chunk_steps import ChunkConfig, StepGrid, check_chunk
from adp_ros.errors import ConfigError, PolicyError
from adp_ros.health import AHEAD
from adp_ros.types import ActionConvention, Chunk

TICK = 0.01
EXAMPLES = int(os.environ.get("ADP_ROS_EXAMPLES", "80"))


def _chunk(window, stamp, steps=8, start=0.0, convention=None, **changes):
    actions = np.zeros((steps, 7))
    actions[:, 0] = start + 1e-3 * np.arange(steps)
    values = {"step_period": 0.1, "convention": convention or ActionConvention(), **changes}
    return Chunk(actions=values.pop("actions", actions), stamp=stamp, window=window, **values)


def _buffer(**changes):
    buffer = ChunkBuffer(ChunkConfig(**changes))
    assert buffer.request(0.0) == 0
    return buffer


def _run(buffer, start, end):
    """Tick every 10 ms; return (time, action) where an action begins."""
    begun, last = [], None
    for k in range(round((end - start) / TICK)):
        now = start + k * TICK
        action = buffer.tick(now)
        if action is not None and action is not last:
            begun.append((now, action))
        last = action
    return begun


def test_pipelined_skips_what_the_arm_missed_while_the_policy_thought():
    """With a frame 0.25 s old, actions 0 to 2 are past due and 3 runs on time, then one per 0.1 s.

    Action 2, due 50 ms ago, would still be allowed, but is closer to its end than to its start.
    """
    buffer = _buffer()
    assert buffer.offer(_chunk(0, stamp=1.0), 1.25) is Offered.ACCEPTED
    begun = _run(buffer, 1.25, 2.0)
    assert [a.index for _, a in begun] == [3, 4, 5, 6, 7]
    np.testing.assert_allclose([t - a.due for t, a in begun], 0.0, atol=TICK)
    assert buffer.counters.late_actions_dropped == 3


def test_sync_starts_with_the_first_action_whatever_the_latency():
    """In sync execution nothing is skipped: the arm stood still while the policy thought."""
    buffer = _buffer(execution="sync")
    assert buffer.offer(_chunk(0, stamp=1.0), 1.63) is Offered.ACCEPTED
    begun = _run(buffer, 1.63, 2.5)
    assert [a.index for _, a in begun] == list(range(8))
    assert begun[0][0] == pytest.approx(1.63)
    assert buffer.counters.late_actions_dropped == 0


def test_sync_asks_when_the_chunk_has_ended_and_waiting_is_idle_not_missed():
    """The request comes with the end of the last step; steps spent waiting are counted as idle."""
    buffer = _buffer(execution="sync")
    buffer.offer(_chunk(0, stamp=1.0, steps=2), 1.0)
    asked = None
    for k in range(60):
        now = 1.0 + k * TICK
        buffer.tick(now)
        window = buffer.request(now)
        if window is not None:
            asked = asked or (now, window)
    assert asked is not None and asked[0] == pytest.approx(1.2, abs=TICK) and asked[1] == 1
    assert (buffer.counters.steps_idle, buffer.counters.steps_missed) == (4, 0)
    buffer.offer(_chunk(1, stamp=1.2), 1.63)
    begun = _run(buffer, 1.63, 2.0)
    assert begun[0][0] == pytest.approx(1.7, abs=TICK) and begun[0][1].index == 0


def test_action_more_than_50_ms_late_is_dropped_not_executed():
    """A tick that comes 60 ms late finds its action dropped; one 40 ms late executes it."""
    for late, runs in ((0.04, True), (0.06, False)):
        buffer = _buffer()
        buffer.offer(_chunk(0, stamp=1.0), 1.0)
        assert buffer.tick(1.0).index == 0
        action = buffer.tick(1.1 + late)
        assert (action is not None) is runs
        if runs:
            assert action.index == 1
        assert buffer.counters.late_actions_dropped == (0 if runs else 1)
        assert buffer.counters.steps_missed == (0 if runs else 1)


def test_stalled_loop_drops_the_steps_it_slept_through():
    """After 0.35 s without a tick three steps are missed, and the one due now runs."""
    buffer = _buffer()
    buffer.offer(_chunk(0, stamp=1.0), 1.0)
    buffer.tick(1.0)
    assert buffer.tick(1.41).index == 4
    assert buffer.counters.steps_missed == 3
    assert buffer.counters.late_actions_dropped == 3


def test_new_chunk_replaces_the_old_one_from_the_next_step():
    """The step under way is finished, then the new chunk's action of that time runs."""
    buffer = _buffer()
    buffer.offer(_chunk(0, stamp=1.0), 1.0)
    _run(buffer, 1.0, 1.45)
    assert buffer.request(1.45) == 1
    assert buffer.tick(1.45).window == 0
    buffer.offer(_chunk(1, stamp=1.4), 1.48)
    assert buffer.tick(1.49).window == 0
    begun = _run(buffer, 1.5, 2.3)
    assert [(a.window, a.index) for _, a in begun] == [(1, i) for i in range(1, 8)]


@pytest.mark.parametrize("frame_age", [0.0, 0.013, 0.031, 0.05, 0.068, 0.099])
def test_motion_is_on_time_whatever_the_cameras_phase(frame_age):
    """The policy wants the speed 0.1 t at any time t, in chunks from frames of one age.

    Then a step from t on moves 0.01 (t + 0.05); in the nearest step's place it would be wrong by
    up to 0.01 x 0.07. The first step may begin late, with the first chunk.
    """
    buffer = _buffer()
    begun, now = {}, 1.0
    for window in range(12):
        stamp = now - frame_age
        actions = np.zeros((8, 7))
        actions[:, 0] = 0.01 * (stamp + 0.1 * np.arange(8) + 0.05)
        now += 0.1
        assert buffer.offer(_chunk(window, stamp, actions=actions), now) is Offered.ACCEPTED
        while buffer.request(now) is None:
            for at, action in _run(buffer, now, now + TICK):
                begun.setdefault((action.window, action.index), (at, action))
            now += TICK
    assert len(begun) > 20
    for at, action in list(begun.values())[1:]:
        assert action.action[0] == pytest.approx(0.01 * (action.due + 0.05), abs=1e-9)
        assert at - action.due == pytest.approx(0.0, abs=TICK)


def test_blend_mixes_the_first_two_steps_of_the_overlap_by_thirds():
    """1/3 new + 2/3 old, then 2/3 new + 1/3 old, then the new chunk alone; gripper never mixes."""
    buffer = _buffer(merge="blend")
    old, new = np.zeros((8, 7)), np.zeros((8, 7))
    old[:, 0], new[:, 0], new[:, 6] = 0.03, 0.06, 1.0
    buffer.offer(_chunk(0, 1.0, actions=old), 1.0)
    _run(buffer, 1.0, 1.45)
    buffer.request(1.45)
    buffer.offer(_chunk(1, 1.4, actions=new), 1.45)
    begun = _run(buffer, 1.5, 1.9)
    np.testing.assert_allclose([a.action[0] for _, a in begun], [0.04, 0.05, 0.06, 0.06])
    assert all(a.action[6] == 1.0 for _, a in begun)


def test_blend_never_mixes_two_conventions():
    """Numbers that mean different things are replaced, not averaged."""
    buffer = _buffer(merge="blend")
    buffer.offer(_chunk(0, 1.0, actions=np.full((8, 7), 0.02)), 1.0)
    _run(buffer, 1.0, 1.45)
    buffer.request(1.45)
    other = ActionConvention(translation_frame="tool")
    buffer.offer(_chunk(1, 1.4, actions=np.full((8, 7), 0.05), convention=other), 1.45)
    assert _run(buffer, 1.5, 1.6)[0][1].action[0] == 0.05


def test_request_goes_out_p95_latency_plus_one_step_before_the_end():
    """With latencies of 0.15 s the next chunk is asked for 0.25 s before the plan ends."""
    buffer = _buffer(initial_latency=0.15, min_lead=0.0)
    buffer.offer(_chunk(0, stamp=0.05), 0.15)
    assert buffer.requests.lead == pytest.approx(0.25)
    end = 0.05 + 0.8
    assert buffer.remaining(0.3) == pytest.approx(end - 0.3)
    _run(buffer, 0.15, end - 0.26)
    assert buffer.request(end - 0.26) is None
    assert buffer.request(end - 0.24) == 1
    assert buffer.request(end - 0.23) is None


def test_a_fast_policy_is_asked_no_later_than_the_shortest_lead():
    """With latencies of 0.15 s and a shortest lead of 0.4 s, 0.4 s are kept as slack."""
    buffer = _buffer(initial_latency=0.15, min_lead=0.4)
    buffer.offer(_chunk(0, stamp=0.05), 0.15)
    assert buffer.requests.lead == pytest.approx(0.4)
    assert buffer.request(0.05 + 0.8 - 0.41) is None
    assert buffer.request(0.05 + 0.8 - 0.39) == 1


def test_unanswered_request_is_repeated_with_the_same_number():
    """The same window is asked for again, and the latency counts from the first request."""
    buffer = _buffer(request_timeout=0.5)
    assert buffer.request(0.4) is None
    assert buffer.request(0.5) == 0
    assert buffer.requests.repeated == 1
    buffer.offer(_chunk(0, stamp=0.5), 0.6)
    assert buffer.request(1.0) == 1
    assert buffer.request(1.5) == 1
    assert buffer.requests.repeated == 2
    buffer.offer(_chunk(1, stamp=1.5), 1.6)
    assert buffer.requests.summary().maximum == pytest.approx(0.6)


def test_wait_for_the_first_picture_is_not_taken_for_the_policys_latency():
    """Window 0 came after 3 s; the next lead is still the assumed latency and one step."""
    buffer = _buffer(initial_latency=0.15, min_lead=0.0)
    buffer.request(2.0)
    assert buffer.offer(_chunk(0, stamp=2.9), 3.0) is Offered.ACCEPTED
    assert buffer.requests.lead == pytest.approx(0.25)
    assert buffer.requests.summary().count == 0
    assert buffer.request(3.5) == 1
    buffer.offer(_chunk(1, stamp=3.5), 3.75)
    assert buffer.requests.lead == pytest.approx(0.35)


def test_lead_is_the_95th_percentile_of_the_latencies():
    """Of 40 windows that took 10 to 400 ms, against numpy; and one step."""
    buffer = _buffer(min_lead=0.0, execution="sync")
    now, latencies = 0.0, 0.01 * np.arange(1, 41)
    buffer.offer(_chunk(0, stamp=0.0, steps=1), 0.0)
    for window, latency in enumerate(latencies, start=1):
        while buffer.request(now) is None:
            buffer.tick(now)
            now += 0.05
        now += latency
        assert buffer.offer(_chunk(window, stamp=now, steps=1), now) is Offered.ACCEPTED
    assert buffer.requests.lead == pytest.approx(np.percentile(latencies, 95) + 0.1)
    assert buffer.counters.chunks == 41


def test_nothing_remains_of_a_dropped_plan():
    """Also when its first action was still to come."""
    buffer = _buffer()
    buffer.offer(_chunk(0, stamp=1.05), 1.0)
    assert buffer.remaining(1.0) == pytest.approx(0.85)
    buffer.clear()
    assert buffer.remaining(1.0) == 0.0
    assert buffer.request(1.0) == 1


def test_age_of_a_frame_at_its_limits_is_allowed():
    """A tenth of a second ahead of the clock, and two behind it, to the last digit."""
    for stamp, outcome in (
        (1.0 + AHEAD - 1e-9, Offered.ACCEPTED),
        (1.0 + AHEAD + 1e-9, Offered.STALE),
        (-1.0, Offered.ACCEPTED),
        (-1.001, Offered.STALE),
    ):
        buffer = _buffer(step_period=0.125, execution="sync")
        assert buffer.offer(_chunk(0, stamp=stamp, step_period=0.125), 1.0) is outcome


def test_action_as_late_as_allowed_runs():
    """1/16 s after its due time, to the last digit; and no later."""
    for lateness, runs in ((0.0625, True), (0.0626, False)):
        buffer = _buffer(step_period=0.125, late_limit=0.0625)
        buffer.offer(_chunk(0, stamp=1.0, step_period=0.125), 1.0)
        buffer.tick(1.0)
        assert (buffer.tick(1.125 + lateness) is not None) is runs
        assert buffer.counters.late_actions_dropped == (0 if runs else 1)


def test_counts_add_up():
    """Late actions of one chunk after the other, late ticks and steps without a plan."""
    buffer = _buffer(step_period=0.125, late_limit=0.0625)
    buffer.offer(_chunk(0, stamp=1.0, step_period=0.125), 1.25)
    dropped = buffer.counters.late_actions_dropped
    assert dropped == 2
    buffer.tick(1.25)
    assert buffer.request(2.0) == 1
    buffer.offer(_chunk(1, stamp=1.0, step_period=0.125), 1.5)
    buffer.tick(1.5 + 0.1)
    buffer.tick(1.625 + 0.1)
    # three were past due on arrival, one slot was passed over, two ticks came too late
    assert buffer.counters.late_actions_dropped == dropped + 6
    buffer.clear()
    missed = buffer.counters.steps_missed
    for k in range(3):
        assert buffer.tick(1.75 + 0.125 * k) is None
    assert buffer.counters.steps_missed == missed + 3


def test_numbers_of_any_precision_become_doubles():
    """What the controller computes with does not depend on the policy's type."""
    buffer = _buffer()
    buffer.offer(_chunk(0, stamp=1.0, actions=np.zeros((8, 7), np.float32)), 1.0)
    assert buffer.tick(1.0).action.dtype == np.float64


def test_time_on_a_border_belongs_to_the_later_slot():
    """In spite of rounding: 0.7 / 0.1 is a little less than 7."""
    grid = StepGrid(1.0, 0.1)
    for k in range(200):
        time = 1.0 + 0.1 * k
        assert grid.slot_at(time) == grid.slot_for(time, 0.0) == k
        laid = StepGrid.through(1.0, 0.1, time, 0.0)
        assert laid.origin == pytest.approx(time)


def test_only_the_chunk_asked_for_is_taken():
    """Duplicates, reordered windows and chunks that nobody asked for are refused and counted."""
    buffer = _buffer()
    assert buffer.offer(_chunk(3, 0.0), 0.1) is Offered.UNREQUESTED
    assert buffer.offer(_chunk(0, 0.0), 0.1) is Offered.ACCEPTED
    assert buffer.offer(_chunk(0, 0.0), 0.12) is Offered.UNREQUESTED
    assert buffer.offer(_chunk(1, 0.0), 0.13) is Offered.UNREQUESTED
    assert buffer.counters.chunks_refused == 3


@pytest.mark.parametrize("age", [2.5, 0.95])
def test_stale_chunk_is_refused_and_asked_for_again(age):
    """A frame over 2 s old, or so old that every action is past due, moves nothing."""
    buffer = _buffer()
    assert buffer.offer(_chunk(0, stamp=5.0 - age), 5.0) is Offered.STALE
    assert f"{age:.2f} s old" in buffer.fault
    late = "all 8 actions are past due; execution sync waits for slow policies"
    assert buffer.fault.endswith(late if age < 2.0 else "allowed: up to 2 s")
    assert _run(buffer, 5.0, 5.5) == []
    assert buffer.counters.steps_missed == 0
    assert buffer.request(5.01) == 0


def test_chunk_from_the_future_is_stale():
    """A stamp ahead of the clock by more than a step is a clock that cannot be trusted."""
    assert _buffer().offer(_chunk(0, stamp=1.3), 1.0) is Offered.STALE


def test_invalid_chunk_ends_the_motion_within_a_step():
    """Nonsense from the policy also drops what it planned before; a good chunk goes on."""
    buffer = _buffer()
    buffer.offer(_chunk(0, stamp=1.0), 1.0)
    _run(buffer, 1.0, 1.45)
    buffer.request(1.45)
    bad = np.full((8, 7), np.nan)
    assert buffer.offer(_chunk(1, 1.4, actions=bad), 1.45) is Offered.INVALID
    assert buffer.tick(1.46) is None
    assert "nan in action 0" in buffer.fault
    assert buffer.request(1.47) == 1
    assert buffer.offer(_chunk(1, 1.5), 1.6) is Offered.ACCEPTED
    assert buffer.fault == ""
    assert buffer.counters.chunks_refused == 1
    assert buffer.tick(1.71).window == 1
    buffer.refuse("no policy")
    assert (buffer.fault, buffer.counters.chunks_refused) == ("no policy", 2)


def test_new_episode_starts_from_window_0_with_an_empty_plan():
    """Nothing planned before and no count survives; learnt latency does."""
    buffer = _buffer(min_lead=0.0)
    buffer.offer(_chunk(0, stamp=1.0), 1.1)
    buffer.tick(1.1)
    assert buffer.request(1.5) == 1
    buffer.offer(_chunk(1, stamp=1.5), 1.7)
    buffer.refuse("no policy")
    buffer.begin()
    assert buffer.fault == ""
    assert buffer.tick(1.8) is None
    assert buffer.counters.chunks == 0
    assert buffer.request(1.8) == 0
    assert buffer.requests.summary().count == 1
    assert buffer.requests.lead == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        (np.zeros((8, 6)), r"shape \(8, 6\), \(steps, 7\) is needed"),
        (np.zeros(7), r"shape \(7,\)"),
        (np.zeros((0, 7)), "0 actions, allowed: 1 to 64"),
        (np.zeros((65, 7)), "65 actions"),
        (np.full((1, 7), np.inf), "inf in action 0, number 0"),
        (np.array([[0.2, 0, 0, 0, 0, 0, 1.0]]), "a translation of 0.2 m in action 0"),
        (np.array([[0, 0, 0, 0, 0.7, 0, 1.0]]), "a rotation of 0.7 rad in action 0"),
        (np.array([[0, 0, 0, 0.7, 0, 0, 1.0]]), "a rotation of 0.7 rad in action 0"),
        (np.eye(7)[[6, 6, 6, 0]], "a translation of 1 m in action 3, allowed: up to 0.1 m$"),
        (
            np.array([[0, 0, 0, 0, 0, 0, 1.6]]),
            "chunk has a gripper value off centre of 1.1 in action 0, allowed: up to 1$",
        ),
    ],
)
def test_unusable_chunks_are_refused_in_words(actions, message):
    """Shape, length, finiteness and range: the message names the number and what is allowed."""
    with pytest.raises(PolicyError, match=message):
        check_chunk(_chunk(0, 0.0, actions=actions), ChunkConfig())


def test_values_at_their_limits_are_taken():
    """Longest chunk, longest translation beside the largest rotation, widest gripper value."""
    config = ChunkConfig(max_translation=0.125, max_rotation=0.5)
    actions = np.tile([0.125, 0, 0, 0, 0, 0.5, 1.5], (64, 1))
    check_chunk(_chunk(0, 0.0, actions=actions), config)
    check_chunk(_chunk(0, 0.0, actions=np.tile([0.09, 0, 0, 0.5, 0, 0, -0.5], (2, 1))), config)


def test_other_step_period_is_refused():
    """A chunk planned for 5 Hz must not be executed at 10 Hz."""
    with pytest.raises(PolicyError, match=r"step_period of 0.2 s, the controller runs at 0.1 s"):
        check_chunk(_chunk(0, 0.0, step_period=0.2), ChunkConfig())
    with pytest.raises(PolicyError, match="step_period of nan"):
        check_chunk(_chunk(0, 0.0, step_period=float("nan")), ChunkConfig())


def test_late_limit_over_half_a_step_is_refused():
    """Then an action could be nearer to the next step than to its own."""
    with pytest.raises(ConfigError, match=r"late_limit is 0.06, allowed: up to half of .* 0.05"):
        ChunkConfig(late_limit=0.06)
    with pytest.raises(ConfigError, match=r"^chunk.step_period is -1"):
        ChunkConfig(step_period=-1.0)


class _Policy:
    """Answers requests after a random latency; loses, doubles and reorders answers."""

    def __init__(self, draw):
        self._draw = draw
        self._answers = []

    def ask(self, window, now):
        fate = self._draw(st.sampled_from(("good",) * 8 + ("lost", "twice", "nan")))
        for _ in range(2 if fate == "twice" else 1 if fate != "lost" else 0):
            latency = self._draw(st.floats(0.0, 0.8))
            frame_age = self._draw(st.floats(0.0, 0.08))
            actions = np.full((8, 7), np.nan) if fate == "nan" else None
            changes = {} if actions is None else {"actions": actions}
            self._answers.append((now + latency, _chunk(window, now - frame_age, **changes)))

    def answers(self, now):
        due = [chunk for at, chunk in self._answers if at <= now]
        self._answers = [(at, chunk) for at, chunk in self._answers if at > now]
        return self._draw(st.permutations(due)) if len(due) > 1 else due


@settings(max_examples=EXAMPLES)
@given(st.data(), st.sampled_from(("pipelined", "sync")), st.sampled_from(("replace", "blend")))
def test_no_action_is_late_twice_or_out_of_order(data, execution, merge):
    """For any latency to 0.8 s, jitter, lost, doubled and reordered chunks, in 6 s of ticks.

    In sync execution order is that of windows and indices; in pipelined execution due times rise.
    """
    config = ChunkConfig(execution=execution, merge=merge, request_timeout=1.0)
    buffer, policy = ChunkBuffer(config), _Policy(data.draw)
    now, last, seen, steps = 0.0, None, set(), []
    while now < 6.0:
        now += data.draw(st.sampled_from((0.01, 0.01, 0.01, 0.012, 0.03, 0.12)))
        for chunk in policy.answers(now):
            buffer.offer(chunk, now)
        action = buffer.tick(now)
        if action is not None and action is not last:
            key = (action.window, action.index)
            assert now - action.due <= config.late_limit + 1e-9
            assert key not in seen
            assert not steps or key > steps[-1][0]
            assert not steps or action.due > steps[-1][1] - 1e-9 or execution == "sync"
            seen.add(key)
            steps.append((key, action.due))
        last = action
        window = buffer.request(now)
        if window is not None:
            policy.ask(window, now)
    assert buffer.counters.steps == len(steps)


@pytest.mark.parametrize("latency", [0.05, 0.12, 0.2, 0.3])
def test_no_step_is_idle_while_the_policy_answers_in_time(latency):
    """From 50 to 300 ms, with 30 ms of jitter and frames up to 40 ms old: 0 of 600 steps missed."""
    rng = np.random.default_rng(1)
    buffer, answers, now = ChunkBuffer(ChunkConfig()), [], 0.0
    while now < 60.0:
        now += TICK * rng.uniform(0.9, 1.1)
        for at, chunk in [a for a in answers if a[0] <= now]:
            assert buffer.offer(chunk, now) is Offered.ACCEPTED
            answers.remove((at, chunk))
        buffer.tick(now)
        window = buffer.request(now)
        if window is not None:
            chunk = _chunk(window, now - rng.uniform(0.0, 0.04))
            answers.append((now + latency + rng.uniform(-0.015, 0.015), chunk))
    assert buffer.counters.steps_missed == 0
    assert buffer.counters.steps >= 590
