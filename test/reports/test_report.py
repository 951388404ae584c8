"""The report: joins and numbers against hand computation, and a page that needs nothing else."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from adp_ros.adp.gate_rules import Decision
from adp_ros.policies.window import TokenAudit, Window, WindowTimes
from adp_ros.reports.figures import FULL, PRUNED, paths, timeline
from adp_ros.reports.numbers import (
    FIRST,
    NOT_HEARD,
    full_vision_rows,
    segments,
    stage_times,
    torque_share,
)
from adp_ros.reports.page import report_page, write_report
from adp_ros.reports.run_record import (
    ClockStep,
    ComparisonRow,
    PathPoint,
    Picture,
    RunClock,
    RunRecord,
    SafetyRecord,
    changes,
)

NAN = float("nan")
PRUNED_WINDOWS = (False, True, True, False)
REASONS = ("fast", "fast", "slow", "")  # of the decisions when they closed


def window(time, number, pruned=False, reason="", llm=None):
    """A window of 256 tokens, 8 GFLOP with full vision and half of both when pruned.

    When it closed a decision with a reason was taken, if one is given; the language model took
    `llm` [ms], if anybody measured.
    """
    kept, flops = (128, 4e9) if pruned else (256, 8e9)
    audit = TokenAudit(
        pruner="adp" if pruned else "none", tokens_total=256, tokens_kept=kept, flops=flops,
        flops_full=8e9,
    )  # fmt: skip
    times = None
    if llm is not None:
        times = WindowTimes(
            preprocess=0.0, vision=0.0, scoring=0.0, llm=llm, head=0.0, total=llm,
            frame_to_chunk=llm + 5,
        )  # fmt: skip
    decision = gate(number, reason) if reason else None
    return Window(window=number, time=float(time), audit=audit, decision=decision, times=times)


def gate(number, reason="fast"):
    """A decision about a window that closed."""
    motion, upper, lower = 0.0123, 0.012, NAN
    return Decision(
        prune=reason == "fast", reason=reason, rule="adjacent/extrema", window=number, state=False,
        motion=motion, upper=upper, lower=lower, compared=(), rule_prune=False, pruned_run=0,
    )  # fmt: skip


def safety(time, status="running", cause="", torque=0.0, message=""):
    """A state with the same torque on two joints, stopped at 4 and 2 N m."""
    return SafetyRecord(
        time=time, status=status, cause=cause, message=message,
        residual=(torque, -torque), slow=(2.4, 1.2), stop=(4.0, 2.0),
    )  # fmt: skip


RUN = RunRecord(
    title="wipe_table, seed 0",
    outcome="success in 4 s",
    facts={"checkpoint": "small"},
    windows=tuple(
        window(1.0 * i, i, pruned, reason, 40.0 if pruned else 80.0)
        for i, (pruned, reason) in enumerate(zip(PRUNED_WINDOWS, REASONS, strict=True))
    ),
    safety=(safety(0.0), safety(1.0, "slowed", "torque_slow", 1.5), safety(2.0)),
    path=tuple(PathPoint(0.5 * i, 0.1 * i, -0.4, 0.05) for i in range(8)),
    pictures=(Picture(1.0, b"\xff\xd8jpeg", "window 1: pruned (fast)"),),
)


class Page(HTMLParser):
    """Tags, addresses and text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.addresses, self.words = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data):
        if len(data) < 10_000:
            self.words.append(data)


@pytest.fixture(scope="module")
def page():
    """The page of the run above."""
    return Page(report_page(RUN))


def test_window_ends_where_the_next_begins_and_knows_its_decision():
    """A window lasts to the next; its cause is the decision about the window before it."""
    parts = segments(RUN.windows)
    assert [part.end for part in parts] == [1.0, 2.0, 3.0, 4.0]
    assert [part.reason for part in parts] == [FIRST, "fast", "fast", "slow"]


def test_decisions_of_an_earlier_episode_explain_nothing():
    """Window numbers begin again: window 1 of the second episode has that episode's cause."""
    windows = [
        window(0, 0, reason="fast"), window(1, 1, reason="fast"),
        window(10, 0, reason="slow"), window(11, 1), window(12, 2),
    ]  # fmt: skip
    reasons = [part.reason for part in segments(windows)]
    assert reasons == [FIRST, "fast", FIRST, "slow", NOT_HEARD]


def test_percentiles_are_those_of_all_windows():
    """Each stage's percentiles agree with numpy over all windows."""
    values = np.random.default_rng(1).uniform(10, 90, 200)
    row = stage_times([window(i, i, llm=float(v)) for i, v in enumerate(values)])["llm"]
    assert (row.p50, row.p99) == pytest.approx(tuple(np.percentile(values, (50, 99))))
    assert row.maximum == values.max()


def test_table_compares_cost_and_measured_time_with_full_vision():
    """FLOPs against the same windows in full; times of pruned windows against full ones."""
    rows = {row.quantity: (row.here, row.other) for row in full_vision_rows(RUN)}
    assert rows["FLOPs per window, mean [GFLOP]"] == ("6.00", "8.00")
    assert rows["vision tokens per window, mean"] == ("192.0", "256.0")
    assert rows["llm, median of pruned and of full windows [ms]"] == ("40.0", "80.0")


def test_no_time_is_compared_when_all_windows_were_alike():
    """A run without pruned windows gives no times to compare, and further lines stay."""
    further = ComparisonRow("L1 of the actions", "0.1", "0")
    run = replace(RUN, windows=RUN.windows[:1], comparison=(further,))
    rows = full_vision_rows(run)
    assert [row.quantity for row in rows if "median" in row.quantity] == []
    assert rows[-1] == further


def test_safety_event_is_a_change_of_status_or_cause():
    """States repeated ten times a second are one event."""
    states = [safety(0), safety(0.1), safety(0.2, "slowed", "a"), safety(0.3, "slowed", "b")]
    assert [event.time for event in changes(states)] == [0, 0.2, 0.3]


def test_torque_peaks_survive_thinning():
    """One sample at the stop level among 6000 is still 100 % after thinning to 50 points."""
    states = [safety(i / 10, torque=2.0 if i == 4321 else 0.1) for i in range(6000)]
    times, shares = torque_share(states, 50)
    assert shares.shape == (50, 2)
    assert shares.max(axis=0) == pytest.approx([0.5, 1.0])
    assert times[np.argmax(shares[:, 1])] <= 432.1


def test_torques_without_levels_are_left_out():
    """States from before the first sample carry no torque and draw nothing."""
    times, shares = torque_share([replace(safety(0), residual=(), stop=())], 50)
    assert (times.size, shares.size) == (0, 0)


def test_timeline_colours_states_and_names_reasons():
    """Pruned windows lie in one trace, full ones in another; hints say motion and threshold."""
    traces = {trace.name: trace for trace in timeline(RUN).data}
    assert list(traces["pruned"].base) == [1.0, 2.0]
    assert list(traces["full vision"].base) == [0.0, 3.0]
    assert traces["pruned"].marker.color == PRUNED != FULL
    assert list(traces["why: slow"].base) == [3.0]
    hint = traces["why: fast"].hovertext[0]
    assert "fast: motion 12.30 mm in window 0, upper 12.00 mm (adjacent/extrema)" in hint
    assert "lower" not in hint


def test_stop_that_ends_the_run_is_shaded():
    """The last state has no successor and is drawn all the same; repeated ones are one area."""
    states = (safety(0.0), safety(1.0, "slowed"), safety(2.0, "stopped"), safety(2.1, "stopped"))
    areas = [s for s in timeline(replace(RUN, safety=states)).layout.shapes if s.type == "rect"]
    assert [(area.x0, area.x1) for area in areas] == [(1.0, 2.0), (2.0, pytest.approx(2.4))]


def test_path_is_split_by_the_state_of_the_gate():
    """Each point of the way lies in the trace of the window's state at its time."""
    above, _ = paths(RUN)
    full, pruned = (np.isfinite(np.array(trace.y, dtype=float)) for trace in above.data)
    assert pruned.tolist() == [False, False, True, True, True, True, False, False]
    assert (full != pruned).all()


def test_page_needs_nothing_from_elsewhere(page):
    """No address but data inside the page, no link, and a policy that forbids loading."""
    assert [address[:23] for address in page.addresses] == ["data:image/jpeg;base64,"]
    text = report_page(RUN)
    assert "default-src 'none'" in text
    assert "<script src" not in text


def test_page_shows_every_part(page):
    """Timeline, tables, way, safety, pictures and facts are there."""
    titles = {"Timeline", "Against full vision", "Way of the tool", "Safety", "Decision points"}
    assert titles | {"Latency per window [ms]", "Run"} <= set(page.words)
    assert {"2 of 4", "25.0%", "1 / 0 / 0"} <= set(page.words)
    assert page.tags.count("img") == 1


def test_same_run_gives_the_same_page():
    """A replayed run's page can be compared byte by byte."""
    assert report_page(RUN) == report_page(RUN)


def test_names_from_outside_are_text_not_markup():
    """A message or checkpoint name with markup is shown, not run."""
    evil = "<script>alert(1)</script>"
    stop = safety(1.0, "stopped", "torque", message=evil)
    run = replace(
        RUN, title=evil, facts={evil: evil}, safety=(stop,), pictures=(Picture(1.0, b"", evil),),
        windows=(window(0.0, 0, reason=evil), window(1.0, 1, True)),
    )  # fmt: skip
    text = report_page(run)
    assert evil not in text
    assert Page(text).tags.count("script") == Page(report_page(RUN)).tags.count("script")


def test_empty_run_is_a_page_that_says_so():
    """A run that ended before its first window has a page without plots."""
    text = Page(report_page(RunRecord(title="nothing", outcome="not ready after 120 s")))
    assert "No window was planned." in text.words
    assert "img" not in text.tags


def test_unknown_thresholds_are_gaps_in_strict_json(tmp_path):
    """NaN never reaches the page: plots read null there, so that the browser can parse it."""
    write_report(RUN, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    data = re.search(r'Plotly\.newPlot\(\s*"timeline",\s*(\[.*?\]),\s*\{"', text, re.DOTALL)
    lower = [t for t in json.loads(data.group(1)) if t.get("name", "").startswith("lower")]
    assert lower[0]["y"] == [None, None, None]


def test_pause_after_a_stop_is_no_window():
    """The window in which the arm stopped ends there; one before a long gap ends in good time."""
    times = (0.0, 0.5, 1.0, 15.0, 15.5, 16.0)
    windows = [window(time, i) for i, time in enumerate(times)]
    assert [part.end for part in segments(windows)] == [0.5, 1.0, 2.5, 15.5, 16.0, 16.5]
    states = [
        safety(0.0, "armed"), safety(0.1), safety(1.2, "stopped"), safety(9.0, "armed"),
        safety(14.0),
    ]  # fmt: skip
    assert [part.end for part in segments(windows, states)] == [0.5, 1.0, 1.2, 15.5, 16.0, 16.5]


def test_header_counts_what_slowed_limited_and_stopped_the_arm():
    """Limits of the motion count when they begin; waiting for a chunk is no limit."""
    states = (
        safety(0.0), safety(1.0, cause="table"), safety(1.5, cause="table"), safety(2.0),
        safety(2.5, cause="chunk_missing"), safety(3.0, "slowed", "torque_slow"),
        safety(3.5, cause="speed"), safety(4.0, "stopped", "torque"),
    )  # fmt: skip
    assert "1 / 2 / 1" in Page(report_page(replace(RUN, safety=states))).words


SECOND = 1_000_000_000  # [ns]


def test_clock_that_is_set_moves_no_time_of_a_recording():
    """Back by 3 s and ahead by an hour: the run goes on from where it was, and both are marked."""
    clock, lag = RunClock(100 * SECOND), SECOND // 10
    arrivals = [100.0, 100.5, 97.6, 98.1, 3698.2, 3698.7]
    times = [clock.time(round(a * SECOND) - lag, round(a * SECOND)) for a in arrivals]
    assert times == pytest.approx([-0.1, 0.4, 0.4, 0.9, 0.9, 1.4])
    assert [(round(s.time, 6), round(s.step, 6)) for s in clock.steps] == [
        (0.5, -2.9),
        (1.0, 3600.1),
    ]
    assert "set back by 2.90 s" in str(clock.steps[0])


def test_stamp_from_before_a_step_keeps_its_time():
    """A picture taken before the clock was set and used after it is as old as it was."""
    clock = RunClock(100 * SECOND)
    clock.time(102 * SECOND, 102 * SECOND)
    assert clock.time(round(101.9 * SECOND), 42 * SECOND) == pytest.approx(1.9)
    assert clock.time(round(42.1 * SECOND), round(42.2 * SECOND)) == pytest.approx(2.1)


def test_live_run_goes_by_monotonic_time():
    """Ten silent seconds are ten seconds; a clock that jumps by one and a half is found."""
    clock = RunClock(0, elapsed=50.0)
    assert clock.time(10 * SECOND, 10 * SECOND, elapsed=60.0) == 10.0
    assert clock.time(round(12.5 * SECOND), round(12.5 * SECOND), elapsed=61.0) == pytest.approx(
        11.0
    )
    (step,) = clock.steps
    assert (step.time, step.step) == pytest.approx((10.0, 1.5))


@pytest.mark.parametrize(
    "times", [(0.0, 0.5, 0.2, 0.7), (3.0, 2.0, 1.0, 0.0), (0.0, 0.0, 0.0, 0.0)]
)
def test_times_that_go_back_cost_no_report(times):
    """Steps too small to be recognised give a page all the same, without a negative bar."""
    windows = tuple(window(time, i, i % 2, "fast", 40.0) for i, time in enumerate(times))
    assert all(part.length >= 0.0 for part in segments(windows))
    assert "Timeline" in Page(report_page(replace(RUN, windows=windows))).words


def test_step_of_the_clock_is_on_the_page():
    """The reader sees where time was set."""
    text = Page(report_page(replace(RUN, steps=(ClockStep(2.0, -3.0),))))
    assert any("at 2.0 s the clock was set back by 3.00 s" in words for words in text.words)
