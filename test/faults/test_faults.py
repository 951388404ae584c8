"""The campaign without ROS: its plan, its judgement and its tables."""

import json

import numpy as np
import pytest

from adp_ros.errors import ConfigError
from adp_ros.faults.campaign_report import NominalEpisode, NominalSummary, draw_campaign, summarise
from adp_ros.faults.judge import Judgement, Trace, explained, judge
from adp_ros.faults.kinds import KINDS, Reaction
from adp_ros.faults.plan import DOWN, MIDDLE, Patrol, check_kinds, make_plan
from adp_ros.geometry import rotation_from_rotvec
from adp_ros.robots.jaco2.arms import arm_model
from adp_ros.robots.kinematics import forward
from adp_ros.types import Pose

PERIOD = 0.01005


def _trace(
    *, at=1.0, zero=0.015, brakes=0.64, speed=0.08, status="stopped", cause="torque", again=0
):
    """A tool at constant speed whose commands are zero some time after a fault."""
    times = np.arange(0.0, 2.5, PERIOD)
    commanded = np.where(times < at + zero, speed, 0.0)
    if again:
        commanded[-again:] = speed
    commands = np.column_stack([times, commanded, np.zeros_like(times)])
    sampled = np.arange(0.0, 2.5, 0.02)
    speeds = np.clip(speed - brakes * np.clip(sampled - at - zero, 0.0, None), 0.0, None)
    place = np.cumsum(speeds) * 0.02
    tool = np.column_stack([sampled, place, np.zeros((len(place), 2))])
    states = ((0.0, "running", ""), (at + zero, status, cause))
    return Trace(commands, tool, states)


def test_every_row_of_the_safety_table_has_its_faults():
    """Torque, feedback, chunks, calls and processes; limits are the contract's."""
    limits = {kind.limit for kind in KINDS.values() if kind.reaction is Reaction.STOP}
    # 0.45: 0.25 s of silence, then 0.2 s; 0.6: the turn grows, then 0.3 s of it are compared
    assert limits == {0.04, 0.15, 0.2, 0.3, 0.45, 0.6}
    assert {k.ends for k in KINDS.values()} == {
        "", "camera_node", "inference_node", "controller_node", "sim_node",
    }  # fmt: skip
    sources = {name.partition("_")[0] for name in KINDS if name.endswith(("_nan", "_stale"))}
    assert {"torque", "pose", "joints", "angles"} <= sources
    assert len(KINDS) >= 30


def test_plan_is_the_seeds():
    """Same seed, same faults; another seed, others; more faults begin with the same."""
    kinds = tuple(KINDS)
    assert make_plan(kinds, 100, 3) == make_plan(kinds, 100, 3)
    assert make_plan(kinds, 100, 3)[:40] == make_plan(kinds, 40, 3)
    assert make_plan(kinds, 100, 3) != make_plan(kinds, 100, 4)


def test_plan_takes_every_kind_equally_often_in_random_order():
    """Twenty rounds of all kinds are twenty of each, no round like the one before."""
    kinds = tuple(KINDS)
    plan = make_plan(kinds, 20 * len(kinds), 0)
    names = [fault.kind for fault in plan]
    assert {names.count(kind) for kind in kinds} == {20}
    assert names[: len(kinds)] != names[len(kinds) : 2 * len(kinds)]
    spikes = [f for f in plan if f.kind == "torque_spike"]
    assert {f.joint for f in spikes} == set(range(1, 7)) and {f.sign for f in spikes} == {-1, 1}
    assert all(0.04 <= f.speed <= 0.10 and 1.3 <= f.factor <= 3.0 for f in plan)


def test_unknown_kind_is_refused_by_name():
    """With the nearest known one."""
    with pytest.raises(ConfigError, match="no kind of fault 'torque_spik', did you mean 'torque_s"):
        check_kinds(["torque_spik"])
    assert check_kinds([]) == tuple(KINDS)


def test_reaction_and_standstill_are_measured():
    """Zero after 15 ms and 0.08 m/s braked at 0.64 m/s^2: about 132 ms until 5 mm/s."""
    outcome = judge(KINDS["torque_spike"], 1.0, _trace())
    assert outcome.reaction == pytest.approx(0.015, abs=PERIOD)
    assert outcome.standstill == pytest.approx(0.015 + 0.075 / 0.64, abs=0.012)
    assert outcome.speed == pytest.approx(0.08, abs=1e-6)
    assert outcome.violations == () and outcome.cause == "torque"


@pytest.mark.parametrize(
    ("change", "violation"),
    [
        ({"zero": 0.06}, "zero velocity after 6"),
        ({"zero": 9.0}, "no zero velocity"),
        ({"status": "running"}, "not latched"),
        ({"cause": "pose_stale"}, "stopped by pose_stale"),
        ({"again": 5}, "motion after the first zero velocity"),
        ({"speed": 0.2}, "commanded 0.200 m/s"),
    ],
)
def test_what_must_not_be_is_named(change, violation):
    """Late, missed, not latched, another cause, motion again, too fast."""
    outcome = judge(KINDS["torque_spike"], 1.0, _trace(**change))
    assert any(v.startswith(violation) for v in outcome.violations)


def test_stop_before_the_fault_makes_it_prove_nothing():
    """The fault is to be repeated then; its cause is told."""
    trace = _trace()
    early = Trace(trace.commands, trace.tool, ((0.5, "stopped", "pose_stale"), *trace.states[1:]))
    assert judge(KINDS["torque_spike"], 1.0, early).disturbed == "pose_stale"
    assert judge(KINDS["torque_spike"], 1.0, trace).disturbed == ""


def test_burst_is_a_violation():
    """Twice as many messages as the arm takes."""
    trace = _trace()
    hurried = trace.commands.copy()
    hurried[:, 0] /= 2.0
    outcome = judge(KINDS["torque_spike"], 0.5, Trace(hurried, trace.tool, trace.states))
    assert "more than 104 messages in a second" in outcome.violations


def test_rest_must_not_latch_and_nothing_must_not_stop():
    """A bad chunk brings the arm to rest, a burst of samples does not even do that."""
    resting = _trace(zero=0.3, status="running", cause="chunk_refused")
    assert judge(KINDS["chunk_nan"], 1.0, resting).violations == ()
    latched = judge(KINDS["chunk_nan"], 1.0, _trace(zero=0.3, cause="torque_stale"))
    assert latched.violations == ("latched by torque_stale",)
    moving = _trace(zero=9.0, status="running", cause="")
    assert judge(KINDS["sample_burst"], 1.0, moving).violations == ()
    assert judge(KINDS["sample_burst"], 1.0, _trace()).violations == ("false trip: torque",)


def test_dead_controller_must_leave_the_arm_at_standstill():
    """Nothing can be read on the wire then but the arm's own motion."""
    kind = KINDS["controller_kill"]
    assert judge(kind, 1.0, _trace(zero=0.01)).violations == ()
    late = judge(kind, 1.0, _trace(zero=0.15))
    assert late.violations[0].startswith("standstill after 2")


def test_dead_sensor_counts_from_the_motion_in_which_it_can_be_told():
    """A sensor that died while the arm turned round in its path is dead from there on."""
    trace = _trace(at=1.0, zero=0.3)
    slow = (trace.commands[:, 0] > 1.1) & (trace.commands[:, 0] < 1.17)
    trace.commands[slow, 1] = 0.02
    outcome = judge(KINDS["pose_frozen"], 1.0, trace)
    assert outcome.reaction == pytest.approx(0.3 - 0.17, abs=0.02)


def test_late_reaction_says_whose_delay_it_was():
    """A sample that came late itself fails for that reason; it fails all the same."""
    kind = KINDS["torque_spike"]
    late = judge(kind, 1.0, _trace(zero=0.06))
    for delay, whose in ((0.004, "the way of the sample"), (0.055, "the controller's")):
        (violation,) = explained(kind, late, delay).violations
        assert violation.startswith("zero velocity after 6") and whose in violation
        assert f"; {1e3 * delay:.0f} ms from the sample's arrival on" in violation
    good = judge(kind, 1.0, _trace())
    assert explained(kind, good, 0.004) == good


def test_every_kind_on_the_way_home_is_a_kind_besides():
    """The same fault, reaction and limit; standstill within 250 ms of zero velocity and 15 mm."""
    homing = [kind for kind in KINDS.values() if kind.homing]
    assert {"home_stop_called", "home_torque_spike", "home_pose_stale"} <= {k.name for k in homing}
    for kind in homing:
        plain = KINDS[kind.fault]
        assert (kind.limit, kind.causes) == (plain.limit, plain.causes)
        assert kind.braking == (0.25, 0.015)


def test_what_moves_on_after_zero_velocity_is_named():
    """A queue that the driver works off, and fingers that go on closing."""
    kind = KINDS["backlog"]
    good = _trace(cause="stop_called", speed=0.1)
    assert judge(kind, 1.0, good).violations == ()
    backlog = Trace(good.commands, _trace(zero=0.5, speed=0.1).tool, good.states)
    violations = judge(kind, 1.0, backlog).violations
    assert any(v.startswith("standstill after zero velocity, after 6") for v in violations)
    assert any("mm after zero velocity, allowed: 15 mm" in v for v in violations)
    stopped = _trace(cause="stop_called")
    times = np.arange(0.0, 2.5, 0.02)
    for speed, found in ((0.0, False), (0.01, False), (0.1, True)):
        closure = 0.3 + speed * np.clip(times - 1.0, 0.0, None)
        fingers = np.column_stack([times, closure])
        trace = Trace(stopped.commands, stopped.tool, stopped.states, fingers)
        violations = judge(KINDS["fingers_stop"], 1.0, trace).violations
        assert any(v.startswith("fingers moved by") for v in violations) == found
    assert "the fingers were not seen" in judge(KINDS["fingers_stop"], 1.0, stopped).violations


def test_noise_of_samples_that_come_together_is_no_motion():
    """Two samples within a millisecond do not make a speed of their noise."""
    trace = _trace()
    twice = np.repeat(trace.tool, 2, axis=0)
    twice[1::2, 0] += 0.001
    twice[:, 1] += np.random.default_rng(0).normal(0.0, 1e-5, len(twice))
    outcome = judge(KINDS["torque_spike"], 1.0, Trace(trace.commands, twice, trace.states))
    assert outcome.standstill == pytest.approx(0.015 + 0.075 / 0.64, abs=0.02)


def _results():
    good = [judge(KINDS["torque_spike"], 1.0, _trace(zero=z)) for z in (0.002, 0.004, 0.005)]
    bad = judge(KINDS["pose_nan"], 1.0, _trace(zero=0.3, cause="pose_nan"))
    none = Judgement(None, None, "", 0.05)
    kinds = ["torque_spike"] * 3 + ["pose_nan", "chunk_burst"]
    return [(i, kind, o) for i, (kind, o) in enumerate(zip(kinds, [*good, bad, none], strict=True))]


def test_summary_counts_and_says_which_fault_failed():
    """Table and JSON: rows by kind, percentiles, limits, violations, false trips."""
    summary = summarise(_results())
    assert not summary.passed and (summary.faults, summary.failed) == (5, 1)
    values = json.loads(json.dumps(summary.to_json()))
    rows = {row["kind"]: row for row in values["kinds"]}
    assert rows["torque_spike"]["count"] == 3 and rows["pose_nan"]["failed"] == 1
    assert rows["chunk_burst"]["p50"] is None
    text = summary.to_text()
    assert "fault 3: zero velocity after 3" in text
    assert "5 faults, 1 failed; 0 stops without a fault" in text
    assert summarise(_results()[:3]).passed
    tripped = summarise(_results()[:3], ["pose_stale", "pose_stale"])
    assert not tripped.passed and "stops without a fault: pose_stale 2" in tripped.to_text()


def test_plot_is_written(tmp_path):
    """One PNG, kinds without reaction left out."""
    path = tmp_path / "faults.png"
    draw_campaign([(kind, outcome) for _, kind, outcome in _results()], path)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_patrol_stays_over_the_table_and_keeps_its_speed():
    """A minute of chunks: inside its box, tool down, never slower than half the speed for long."""
    patrol, pose = Patrol(), Pose(MIDDLE.copy(), DOWN)
    patrol.speed = 0.08
    assert patrol.ready(pose)
    slow = 0
    for _ in range(75):
        for action in patrol.plan(pose):
            pose = Pose(
                pose.position + action[:3], rotation_from_rotvec(action[3:6]) @ pose.rotation
            )
            slow += np.linalg.norm(action[:3]) < 0.5 * 0.1 * patrol.speed
            assert np.linalg.norm(action[:3]) <= 0.1 * patrol.speed + 1e-12
            assert (np.abs(pose.position - MIDDLE) < 0.14).all()
    assert slow == 0


def test_patrol_finds_its_way_from_home_and_presses_on_demand():
    """From the home pose to tool down over the table; pressing is straight down."""
    model = arm_model("j2n6s300")
    patrol, pose = Patrol(), forward(model, model.home)
    patrol.speed = 0.1
    assert not patrol.ready(pose)
    for _ in range(30):
        for action in patrol.plan(pose):
            pose = Pose(
                pose.position + action[:3], rotation_from_rotvec(action[3:6]) @ pose.rotation
            )
    assert patrol.ready(pose)
    patrol.pressing = True
    np.testing.assert_allclose(patrol.plan(pose)[:, :3], [[0.0, 0.0, -0.01]] * 8)


def _episode(**changes):
    values = {
        "task": "wipe_table", "duration": 30.0, "success": True, "steps": 300, "missed": 0,
        "delivered": 3000, "late": 3, "skipped": 0, "slowed": 1, "stop": "",
    }  # fmt: skip
    return NominalEpisode(**{**values, **changes})


def test_nominal_motion_passes_without_trip_missed_step_or_late_stream():
    """And each of them alone fails it."""
    good = NominalSummary((_episode(), _episode(task="pot_to_plate")))
    assert good.passed and good.on_time == pytest.approx(1 - 6 / 6000)
    assert "10 Hz steps missed       0 of 600" in good.to_text()
    for change in ({"missed": 1}, {"stop": "torque_stale"}, {"late": 40}):
        bad = NominalSummary((_episode(), _episode(**change)))
        assert not bad.passed and not json.loads(json.dumps(bad.to_json()))["passed"]
