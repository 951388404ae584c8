"""The terminal monitor: what it shows of real messages, and that old news is called old."""

import json
from math import nan

import pytest
from rich.console import Console

from adp_ros.adp.gate_rules import Decision, Reason
from adp_ros.health import Level
from adp_ros.policies.window import TokenAudit, Window, WindowTimes
from adp_ros.reports.monitor import (
    REASONS,
    Component,
    MonitorModel,
    gate_words,
    motion_words,
    safety_words,
    snapshot_json,
    snapshot_line,
)
from adp_ros.reports.numbers import FIRST, NOT_HEARD
from adp_ros.reports.run_record import SafetyRecord
from adp_ros.reports.terminal import CHART_ROWS, draw, timeline


def window(number, pruned=False, time=None):
    """A window of 256 tokens, one per second."""
    kept, flops = (128, 4e9) if pruned else (256, 8e9)
    audit = TokenAudit(
        pruner="adp" if pruned else "none", tokens_total=256, tokens_kept=kept, flops=flops,
        flops_full=8e9,
    )  # fmt: skip
    return Window(window=number, time=float(number if time is None else time), audit=audit)


def gate(number, motion=0.01, reason="fast", *, upper=0.01, lower=0.002):
    """A decision about a window that closed."""
    return Decision(
        prune=reason == "fast", reason=reason, rule="adjacent/extrema", window=number, state=False,
        motion=motion, upper=upper, lower=lower, compared=(), rule_prune=False, pruned_run=0,
    )  # fmt: skip


def closed(number, *arguments, time=None, **settings):
    """The part of a window that says what was decided when it closed."""
    at = float(number if time is None else time)
    return Window(window=number, time=at, decision=gate(number, *arguments, **settings))


def safety(status="running", message="", residual=(1.0, -1.9), cause=""):
    """A state of an arm with two joints that are stopped at 4 and 2 N m."""
    return SafetyRecord(
        time=0.0, status=status, cause=cause, message=message, residual=residual,
        slow=(2.4, 1.2), stop=(4.0, 2.0),
    )  # fmt: skip


def filled():
    """A model with three windows, a state and a component, all heard at 3 s."""
    model = MonitorModel(10)
    for number, (pruned, reason) in enumerate(((False, "fast"), (True, "slow"), (False, "fast"))):
        model.note_window(window(number, pruned))
        model.note_window(closed(number, reason=reason))
        times = WindowTimes(
            preprocess=1.0, vision=2.0, scoring=3.0, llm=40.0 + number, head=4.0, total=100.0
        )
        model.note_window(Window(window=number, time=float(number), times=times))
    model.note_safety(safety(), 3.0)
    model.note_component(Component("controller_node: stream", Level.OK, "99.9 % on time"), 3.0)
    return model


def text_of(renderable, width=100):
    """What a terminal of that width shows."""
    console = Console(width=width, force_terminal=False, legacy_windows=False)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def test_newest_of_everything_is_in_the_snapshot():
    """Window, decision, latency and state are the last that came."""
    shot = filled().snapshot(3.1)
    assert (shot.window.window, shot.gate.window, shot.times.llm) == (2, 2, 42.0)
    assert shot.safety_age == pytest.approx(0.1)
    assert shot.heard
    assert not MonitorModel().snapshot(0.0).heard


def test_each_window_shows_the_reason_of_its_own_state():
    """The reason under a window is the decision taken when the window before closed."""
    reasons = [part.reason for part in filled().snapshot(3.0).segments]
    assert reasons == [FIRST, "fast", "slow"]


def test_oldest_window_shown_still_knows_its_reason():
    """When older windows fall out, the decision about the last of them is kept."""
    model = MonitorModel(3)
    for number in range(9):
        model.note_window(window(number))
        model.note_window(closed(number))
    parts = model.snapshot(9.0).segments
    assert [(part.record.window, part.reason) for part in parts] == [
        (6, "fast"), (7, "fast"), (8, "fast"),
    ]  # fmt: skip


def test_lost_decision_is_not_taken_for_a_first_window():
    """A window whose decision never arrived says so."""
    model = MonitorModel()
    model.note_window(window(4))
    model.note_window(window(5))
    assert [part.reason for part in model.snapshot(5.0).segments] == [NOT_HEARD, NOT_HEARD]


def test_new_episode_begins_with_an_empty_timeline():
    """Window 0 after window 2 is another episode; decisions of the old one are gone."""
    model = filled()
    model.note_window(window(0, time=10.0))
    shot = model.snapshot(10.0)
    assert [part.record.window for part in shot.segments] == [0]
    assert shot.gate is None
    model.note_window(closed(0, time=10.0))
    model.note_window(window(1, time=11.0))
    assert [part.reason for part in model.snapshot(11.0).segments] == [FIRST, "fast"]


def test_window_planned_twice_is_one_window():
    """A repeated request leads to the same window again: the newer one replaces the older."""
    model = filled()
    model.note_window(window(2, pruned=True, time=2.5))
    parts = model.snapshot(3.0).segments
    assert [(p.record.window, p.record.pruned, p.reason) for p in parts] == [
        (0, False, FIRST),
        (1, True, "fast"),
        (2, True, "slow"),
    ]


def test_component_not_heard_for_three_seconds_is_stale():
    """A dead node's last OK is not shown as OK; a late message alone makes nothing flap."""
    model = filled()
    (fresh,) = model.snapshot(5.9).components
    (old,) = model.snapshot(8.2).components
    assert (fresh.level, fresh.message) == (Level.OK, "99.9 % on time")
    assert (old.level, old.message) == (Level.STALE, "silent for 5 s; last: 99.9 % on time")


def test_silent_controller_is_named_beside_its_last_state():
    """RUNNING from a controller that died is not just RUNNING."""
    assert safety_words(filled().snapshot(3.5)) == "RUNNING"
    assert safety_words(filled().snapshot(10.0)) == "RUNNING (controller silent for 7 s)"
    assert safety_words(MonitorModel().snapshot(0.0)).startswith("no safety state heard")


def test_every_reason_of_the_gate_has_words():
    """No reason is shown as a bare name, and one of a newer gate still shows its name."""
    assert set(REASONS) == {reason.value for reason in Reason}
    assert gate_words(gate(1)) == "next PRUNED, fast: motion at or above the upper threshold"
    assert gate_words(gate(1, reason="novel")) == "next FULL VISION, novel: novel"


def test_motion_is_shown_with_the_thresholds_that_exist():
    """Millimetres; a threshold that the rule did not have is left out."""
    assert motion_words(gate(1, 0.0123)) == "motion 12.30 mm, lower 2.00, upper 10.00"
    assert motion_words(gate(1, 0.0123, upper=nan, lower=nan)) == "motion 12.30 mm"


def test_chart_is_as_high_as_the_motion():
    """A column of full blocks per window: half the motion, half the blocks."""
    model = MonitorModel()
    for number, motion in enumerate((0.006, 0.012, 0.003)):
        model.note_window(window(number))
        model.note_window(closed(number, motion, upper=nan, lower=nan))
    lines = timeline(model.snapshot(3.0), 50).plain.split("\n")
    assert lines[0] == "state   ███"
    assert lines[1] == "why     ·ff"
    columns = list(zip(*(line[8:].ljust(3) for line in lines[2:]), strict=True))
    assert [column.count("█") for column in columns] == [3, 6, 1]
    assert columns[2][CHART_ROWS - 2] == "▄"


def test_thresholds_are_marked_where_they_lie():
    """The upper threshold stands above a bar that does not reach it, the lower one in it."""
    model = MonitorModel()
    model.note_window(window(0))
    model.note_window(closed(0, 0.008, upper=0.012, lower=0.003))
    lines = timeline(model.snapshot(1.0), 50).plain.split("\n")[2:]
    assert [line[8:] for line in lines] == ["╌", " ", "█", "█", "┄", "█"]


def test_whole_picture_names_everything():
    """One look: state, reason, motion, tokens, latency, torques as shares of the level, health."""
    picture = text_of(draw(filled().snapshot(3.0), 100))
    for words in (
        "RUNNING", "next PRUNED, fast", "motion 10.00 mm", "window 2: 256 of 256 vision tokens",
        "llm", "joint 2: -1.90 N m", "95%", "controller_node: stream", "99.9 % on time",
    ):  # fmt: skip
        assert words in picture


@pytest.mark.parametrize("width", [20, 80, 200])
def test_picture_fits_the_terminal(width):
    """No line of the timeline is longer than the terminal, however many windows there are."""
    model = MonitorModel(300)
    for number in range(300):
        model.note_window(window(number))
        model.note_window(closed(number))
    lines = text_of(timeline(model.snapshot(300.0), width - 9), width).split("\n")
    assert max(map(len, lines)) <= width
    assert len(lines) == CHART_ROWS + 3


def test_messages_with_brackets_are_shown_as_they_are():
    """What nodes say is text: nothing in it is taken for markup."""
    model = filled()
    model.note_safety(safety("stopped", "limit [4.0, 2.0] [red]reached"), 3.0)
    model.note_component(Component("a [bold]: b", Level.ERROR, "[/]"), 3.0)
    picture = text_of(draw(model.snapshot(3.0), 120))
    assert "STOPPED: limit [4.0, 2.0] [red]reached" in picture
    assert "a [bold]: b" in picture


def test_picture_before_anything_was_heard():
    """An empty graph gives words, not a traceback."""
    picture = text_of(draw(MonitorModel().snapshot(0.0), 100))
    assert "no safety state heard: is the controller running?" in picture
    assert "no decision yet" in picture


def test_json_is_strict_and_complete():
    """Not-a-number becomes null, so that every reader parses it."""
    model = filled()
    model.note_window(closed(3, upper=nan, lower=nan))
    found = json.loads(json.dumps(snapshot_json(model.snapshot(3.0)), allow_nan=False))
    assert found["gate"]["upper"] is None
    assert found["window"]["tokens_kept"] == 256
    assert found["components"][0]["level"] == "ok"
    assert found["safety"]["residual"] == [1.0, -1.9]
    assert snapshot_json(MonitorModel().snapshot(0.0))["gate"] is None


def test_line_for_logs_says_the_same():
    """Without a terminal everything important is in one line."""
    line = snapshot_line(filled().snapshot(3.0))
    assert "\n" not in line
    assert "RUNNING | window 2: 256 of 256" in line
    assert line.endswith("motion 10.00 mm, lower 2.00, upper 10.00")
