"""The gate against traces of the released code and against the paper's rule done by hand."""

import json
import statistics
import time
from pathlib import Path

import numpy as np
import pytest

from adp_ros.adp.gate import Gate
from adp_ros.adp.gate_rules import Decision, Reason
from adp_ros.adp.gate_settings import GateConfig
from adp_ros.errors import GateError

GOLDEN = Path(__file__).parents[1] / "golden" / "gate"
CONFIGS = json.loads((GOLDEN / "gate_configs.json").read_text())
TRACES = dict(np.load(GOLDEN / "gate_traces.npz"))
STATES = np.unpackbits(TRACES["states"], axis=-1).astype(bool)  # (27, 240, 24)
PATH_LENGTHS = ("sum", "arc_sum", "hypot")


def released_motion(settings: dict) -> np.ndarray:
    """Window motions that the released code computed with these settings, (240, 24)."""
    if settings["delta_method"] not in PATH_LENGTHS:
        return TRACES["delta.net"]
    return TRACES["delta.sum_min" if settings["min_delta_pos"] else "delta.sum"]


def run(config: GateConfig, motions) -> tuple[list[bool], list[Decision]]:
    """States used for each window, and the decisions."""
    gate, states, decisions = Gate(config), [], []
    for motion in motions:
        states.append(gate.prune)
        decisions.append(gate.close_window(motion))
    return states, decisions


@pytest.mark.parametrize("number", range(len(CONFIGS)), ids=list(CONFIGS))
def test_states_equal_the_released_code(number):
    """With the released code's settings, all 240 x 24 states and run lengths are its own."""
    settings = list(CONFIGS.values())[number]
    config = GateConfig.from_settings(settings)
    for sequence, motions in enumerate(released_motion(settings)):
        states, decisions = run(config, motions)
        assert states == STATES[number, sequence].tolist()
        if settings["limit_consecutive_pruned_enabled"]:
            runs = [decision.pruned_run for decision in decisions]
            assert runs == TRACES["runs"][number, sequence].tolist()


def by_the_paper(motions, tau: int = 3) -> list[int]:
    """Eq. 17-18 and Algorithm 1 on the whole list at once: states of windows 0 to n."""
    states, run_length = [0, 0], 0
    for i in range(1, len(motions)):
        recent = motions[max(0, i - tau + 1) : i + 1]
        state = 0 if motions[i] <= min(recent) and motions[i] < max(recent) else 1
        if state and run_length >= 3:
            state = 0
        run_length = run_length + 1 if state else 0
        states.append(state)
    return states


def test_default_is_the_rule_of_the_paper():
    """GateConfig() follows Eq. 17-18 with two full windows, ties and standstill included."""
    rng = np.random.default_rng(1)
    for _ in range(50):
        motions = np.round(rng.random(40) * 0.05, 2).tolist()  # rounded, so that ties occur
        states, _ = run(GateConfig(), motions)
        assert states == [bool(s) for s in by_the_paper(motions)[: len(motions)]]


def test_worked_example():
    """A hand-made episode gives the state and reason that one reads off the rule."""
    motions = [0.03, 0.05, 0.04, 0.06, 0.07, 0.01, 0.02]
    states, decisions = run(GateConfig(), motions)
    assert states == [False, False, True, True, True, False, False]
    assert [str(decision.reason) for decision in decisions] == [
        "cold_start",
        "fast",
        "between",
        "fast",
        "refresh",
        "slow",
        "between",
    ]
    between = decisions[2]
    assert (between.upper, between.lower) == (0.05, 0.03)
    assert between.compared == (0.03, 0.05, 0.04)
    assert between.rule == "adjacent/extrema"
    refresh = decisions[4]
    assert refresh.rule_prune
    assert not refresh.prune
    assert refresh.pruned_run == 0
    assert [decision.window for decision in decisions] == list(range(7))
    assert [decision.state for decision in decisions] == states


def test_reset_starts_a_new_episode():
    """After reset, the same motions give the same decisions as a new gate."""
    motions = np.random.default_rng(2).random(30)
    gate = Gate()
    first = [gate.close_window(m) for m in motions]
    gate.reset()
    assert gate.window == 0
    assert not gate.prune
    assert [gate.close_window(m) for m in motions] == first


@pytest.mark.parametrize("motion", [float("nan"), float("inf"), -0.001, None, "0.1"])
def test_refuses_what_is_no_motion(motion):
    """Motion that is not a finite number of metres is refused by name and changes nothing."""
    gate = Gate()
    gate.close_window(0.01)
    with pytest.raises(GateError, match=r"motion of window 1 is .*0 or more is needed"):
        gate.close_window(motion)
    assert gate.window == 1
    decision = gate.close_window(0.02)
    assert decision.compared == (0.01, 0.02)


def test_numpy_numbers_are_motions():
    """Scalars of numpy are taken like Python's."""
    assert Gate().close_window(np.float32(0.5)).motion == 0.5


def test_a_decision_takes_less_than_a_tenth_of_a_millisecond():
    """The median decision takes under 0.1 ms."""
    gate = Gate()
    durations = []
    for motion in np.random.default_rng(3).random(2000).tolist():
        start = time.perf_counter()
        gate.close_window(motion)
        durations.append(time.perf_counter() - start)
    assert statistics.median(durations) < 1e-4


def test_refresh_and_cold_start_can_be_set():
    """Limits other than the paper's are obeyed; without a limit nothing is forced."""
    rising = [0.01 * (i + 1) for i in range(12)]
    states, _ = run(GateConfig(cold_start_windows=4, limit_max_consecutive_pruned=1), rising)
    assert states == [False] * 4 + [True, False] * 4
    free = GateConfig(limit_consecutive_pruned_enabled=False)
    states, decisions = run(free, rising)
    assert states == [False] * 2 + [True] * 10
    assert decisions[-1].pruned_run == 11
    assert Reason.REFRESH not in [decision.reason for decision in decisions]


def test_nearly_equal_motion_changes_nothing():
    """At constant speed noise decides by the paper's rule; within the band the state stays."""
    noise = [0.0845, 0.0841, 0.0843, 0.0846, 0.0840, 0.0844, 0.0842, 0.0845, 0.0841]
    paper = Gate(GateConfig())
    states = {paper.close_window(motion).rule_prune for motion in noise}
    assert states == {False, True}
    banded = Gate(GateConfig(min_motion_change=0.05))
    for motion in (0.02, 0.08, 0.0842, 0.0843):
        last = banded.close_window(motion)
    assert last.prune and last.rule_prune
    decisions = [banded.close_window(motion) for motion in noise]
    assert {d.rule_prune for d in decisions} == {True}
    assert {str(d.reason) for d in decisions} == {"steady", "refresh"}
    assert [d.prune for d in decisions].count(False) >= 2  # refreshed, and pruned again
    slow = banded.close_window(0.03)
    assert (slow.prune, str(slow.reason)) == (False, "slow")


@pytest.mark.parametrize("method", ["adjacent", "mean", "avg", "periodic", "random", "always"])
def test_no_band_is_the_paper_s_rule(method):
    """A band of 0 decides as ever, also where all motions are equal."""
    random = np.random.default_rng(3)
    for motions in (random.uniform(0, 0.1, 60), np.full(20, 0.04), np.zeros(5)):
        plain = Gate(GateConfig(decision_method=method))
        zero = Gate(GateConfig(decision_method=method, min_motion_change=0.0))
        for motion in motions:
            assert repr(plain.close_window(motion)) == repr(zero.close_window(motion))
        if method == "adjacent":
            assert "steady" not in {str(zero.close_window(0.04).reason) for _ in range(4)}
