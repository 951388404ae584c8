"""The demonstration's report: pictures at decision points, and what is said of the run."""

from dataclasses import replace

import numpy as np
import simplejpeg

from adp_ros.adp.gate_rules import Decision
from adp_ros.evaluation.full_vision import RunNumbers, SceneComparison
from adp_ros.evaluation.video import VideoLog
from adp_ros.policies.window import TokenAudit, Window
from adp_ros.reports.numbers import MOST, decision_points
from adp_ros.reports.page import complete_log, decision_pictures, report_page
from adp_ros.reports.run_record import RunRecord
from adp_ros.reports.run_summary import RunSummary

FULL = TokenAudit(tokens_total=256, tokens_kept=256)
HALF = TokenAudit(pruner="adp", tokens_total=256, tokens_kept=128, kept=tuple(range(128)))
SUMMARY = RunSummary(
    task="wipe_table", seed=3, policy="expert", success=True, progress=0.85, duration=61.0,
    record=RunRecord(title="run"), steps=610, steps_missed=0, stream_on_time_share=0.998,
    frame_rate=29.9, transport_p50=3.2, wipes=True,
)  # fmt: skip


def run_log(states):
    """A run of one window per second; True is pruned, and the gate said so before."""
    windows = tuple(
        Window(
            window=i, time=float(i), audit=HALF if pruned else FULL,
            decision=Decision(
                prune=after, reason="fast" if after else "slow", rule="adjacent/extrema", window=i,
                state=pruned, motion=0.02, upper=0.02, lower=0.01, compared=(), rule_prune=after,
                pruned_run=0,
            ),
        )
        for i, (pruned, after) in enumerate(zip(states, (*states[1:], False), strict=True))
    )  # fmt: skip
    return RunRecord(title="run", windows=windows)


def video(states):
    """Grey pictures, ten a second; pruned windows see the upper half."""
    log = VideoLog()
    for i in range(10 * len(states)):
        grey = np.full((480, 640, 3), 128, dtype=np.uint8)
        log.note_picture(i / 10, bytes(simplejpeg.encode_jpeg(grey)), "")
    for i, pruned in enumerate(states):
        log.note_view(i, HALF if pruned else FULL)
    return log


def test_pictures_stand_where_the_state_changed():
    """Full, pruned, pruned, full: three pictures, the pruned one blue below."""
    states = (False, True, True, False)
    pictures = decision_pictures(run_log(states), video(states), 0.9)
    assert [(picture.time, picture.caption) for picture in pictures] == [
        (0.0, "window 0 full, 256 tokens (first window)"),
        (1.0, "window 1 pruned to 128 tokens (fast, 20.0 mm)"),
        (3.0, "window 3 full, 256 tokens (slow, 20.0 mm)"),
    ]
    lower = [simplejpeg.decode_jpeg(p.jpeg)[360, 320].astype(int) for p in pictures]
    assert [bool(rgb[2] - rgb[0] > 60) for rgb in lower] == [False, True, False]


def test_pictures_of_a_long_run_are_chosen_evenly():
    """However often the state changes, the page keeps its size."""
    points = decision_points(run_log([bool(i % 2) for i in range(100)]))
    assert len(points) <= MOST
    steps = np.diff([point.record.window for point in points])
    assert set(steps) == {9}


def test_pictures_chosen_from_many_show_both_states():
    """Twenty changes, twelve pictures at most: pruned and full ones are among them."""
    points = decision_points(run_log([bool(i % 2) for i in range(20)]))
    assert {point.record.pruned for point in points} == {True, False}


def test_run_without_a_camera_has_no_pictures():
    """No picture came: none is shown, and nothing fails."""
    assert decision_pictures(run_log([True, False]), VideoLog(), 0.9) == ()


def test_page_says_what_ran_and_how_it_ended():
    """Outcome and settings come from the summary and from who started the run."""
    log = complete_log(run_log([True]), SUMMARY, {"arm": "j2n6s300"}, ())
    assert log.outcome == "wipe_table: success, 85% wiped in 61 s"
    assert dict(log.facts) == {
        "task": "wipe_table", "seed": "3", "moved by": "expert", "arm": "j2n6s300",
    }  # fmt: skip


def test_page_compares_with_full_vision_in_the_same_scene():
    """Both runs stand in the table against full vision; what must be said of them on the page."""
    full = RunNumbers(
        success=False, progress=0.4, ending="time_limit", stop="", time_s=60.0, path_length_m=5.0,
        windows=200, windows_pruned=0, tokens_per_window=256.0, flops_share=1.0,
        forward_ms_p50=61.25,
    )  # fmt: skip
    comparison = SceneComparison(
        adp=replace(full, success=True, time_s=20.1), full=full, simulation="Simulation only.",
        relevance="By patch labels.", wall_s=12.0,
    )  # fmt: skip
    log = complete_log(run_log([True]), replace(SUMMARY, comparison=comparison), {}, ())
    rows = {row.quantity: (row.here, row.other) for row in log.comparison}
    assert rows["the same scene in simulated time: success"] == ("yes", "no (40%)")
    assert rows["the same scene in simulated time: time [s]"] == ("20.1", "60.0")
    page = report_page(log)
    assert "the same scene in simulated time: tokens/window" in page
    assert "Simulation only. How relevance was learnt: By patch labels." in page
