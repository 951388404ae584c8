"""The demonstration's log, summary and video: numbers, keys, and what a picture shows."""

import json
import signal
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path

import av
import numpy as np
import pytest
import simplejpeg

from adp_ros.evaluation.full_vision import RunNumbers, SceneComparison
from adp_ros.evaluation.video import CAPTION_HEIGHT, FRAME_RATE, VideoLog
from adp_ros.health import MachineUse
from adp_ros.policies.window import TokenAudit, Window, WindowTimes
from adp_ros.reports.progress import progress_display
from adp_ros.reports.run_record import RunRecord, SafetyRecord, WindowLog
from adp_ros.reports.run_summary import (
    HealthLog,
    RunSummary,
    comparison_text,
)
from adp_ros.ros.runner import node_log
from adp_ros.ros.twin_run import new_directory

FULL_VISION = TokenAudit(tokens_total=256, tokens_kept=256)
HALF = TokenAudit(pruner="adp", tokens_total=256, tokens_kept=128, kept=tuple(range(128)))


def run(windows, events=()):
    """A record of windows with this much time in the towers, every second one pruned."""
    return RunRecord(
        title="run",
        windows=tuple(
            Window(
                window=i, time=float(i), audit=HALF if i % 2 else FULL_VISION,
                times=WindowTimes(
                    preprocess=0.0, vision=v, scoring=0.0, llm=0.0, head=0.0, total=v
                ),
            )
            for i, v in enumerate(windows)
        ),
        safety=tuple(events),
    )  # fmt: skip


SUMMARY = RunSummary(
    task="wipe_table",
    seed=3,
    policy="expert",
    success=True,
    progress=0.85,
    duration=61.0,
    record=run(
        [101.0] * 70,
        (
            SafetyRecord(time=0.0, status="running", cause="", message=""),
            SafetyRecord(time=1.5, status="slowed", cause="torque", message="joint 2: 9.1 N m"),
        ),
    ),
    steps=610,
    steps_missed=0,
    stream_on_time_share=0.998,
    frame_rate=29.9,
    transport_p50=3.2,
    wipes=True,
)
FULL = RunNumbers(
    success=False, progress=0.4, ending="time_limit", stop="", time_s=60.0, path_length_m=5.0,
    windows=200, windows_pruned=0, tokens_per_window=256.0, flops_share=1.0, forward_ms_p50=61.25,
)  # fmt: skip
ADP = replace(
    FULL, success=True, progress=0.85, ending="success", time_s=20.1, path_length_m=3.456,
    windows=50, windows_pruned=31, tokens_per_window=176.6, flops_share=0.714, forward_ms_p50=48.2,
)  # fmt: skip
COMPARISON = SceneComparison(
    adp=ADP, full=FULL, simulation="Simulation only.", relevance="By patch labels.", wall_s=12.0
)
KEYS = {
    "success",
    "wiped_share",
    "policy",
    "windows",
    "windows_pruned",
    "steps",
    "steps_missed",
    "stream_on_time_share",
    "frame_rate_hz",
    "transport_ms_p50",
    "latency_ms",
    "safety_events",
    "comparison",
}


def test_summary_file_holds_every_promised_key(tmp_path: Path) -> None:
    """summary.json is strict JSON with every key of the interface."""
    SUMMARY.write(tmp_path / "summary.json")
    written = json.loads((tmp_path / "summary.json").read_text())
    assert set(written) >= KEYS
    assert written["success"] is True
    assert written["wiped_share"] == 0.85
    assert written["latency_ms"]["vision"] == {"p50": 101.0, "p99": 101.0}
    assert "frame_age" not in written["latency_ms"]  # nobody measured it
    assert written["safety_events"] == 1
    assert written["safety_log"][0]["cause"] == "torque"


def test_numbers_that_nobody_reported_are_null(tmp_path: Path) -> None:
    """A run that ended before the first diagnostics has nulls, never invented zeros."""
    broken = replace(
        SUMMARY, success=False, steps=None, steps_missed=None, stream_on_time_share=None
    )
    broken.write(tmp_path / "summary.json")
    written = json.loads((tmp_path / "summary.json").read_text())
    assert written["steps_missed"] is None
    assert "10 Hz steps missed       unknown of unknown" in broken.to_text()


def test_text_names_result_and_cause() -> None:
    """The text says what was reached, and what ended a run that failed."""
    assert "wipe_table: success, 85% wiped in 61 s" in SUMMARY.to_text()
    assert "35 of 70 (50%)" in SUMMARY.to_text()
    assert "slowed: joint 2: 9.1 N m" in SUMMARY.to_text()
    failed = replace(SUMMARY, success=False, problem="time limit of 60 s")
    assert "no success, 85% wiped in 61 s: time limit of 60 s" in failed.to_text()


def test_comparison_is_beside_the_live_run(tmp_path: Path) -> None:
    """Both runs stand in summary.json, in full, with what must be said of them."""
    replace(SUMMARY, comparison=COMPARISON).write(tmp_path / "summary.json")
    written = json.loads((tmp_path / "summary.json").read_text())["comparison"]
    assert (written["simulation"], written["relevance"]) == ("Simulation only.", "By patch labels.")
    assert written["time"] == "simulated"
    assert written["adp"] == asdict(ADP)
    assert written["full"] == asdict(FULL)


def test_comparison_is_a_table_with_its_caveats() -> None:
    """A line for each run, and beside it: simulated, one scene, how relevance was learnt."""
    text = replace(SUMMARY, comparison=COMPARISON).to_text()
    said = " ".join(text.split())
    assert "adp yes 20.1 3.46 50 31 (62%) 176.6 71% 48.2 " in said
    assert "full vision no (40%) 60.0 5.00 200 0 (0%) 256.0 100% 61.2 " in said
    assert "the same scene in simulated time" in said
    assert "One scene proves nothing" in said
    assert said.endswith("Simulation only. How relevance was learnt: By patch labels.")
    assert max(map(len, text.splitlines())) <= 100


def test_stopped_run_says_why() -> None:
    """A run that the safety machine ended is told from one that ran out of time."""
    stopped = replace(FULL, ending="safety_stop", stop="torque", time_s=14.0)
    text = comparison_text(replace(COMPARISON, full=stopped))
    assert "no (40%, stop: torque)  " in text
    assert "no (40%)" in comparison_text(COMPARISON)


def test_live_run_alone_has_no_comparison(tmp_path: Path) -> None:
    """Left out, it is null, and the text says nothing of it."""
    SUMMARY.write(tmp_path / "summary.json")
    assert json.loads((tmp_path / "summary.json").read_text())["comparison"] is None
    assert "simulated" not in SUMMARY.to_text()


def test_windows_count_once_and_percentiles_cover_the_run() -> None:
    """A window reported twice counts once; percentiles are those of all windows."""
    log = WindowLog()
    for window in (0, 1, 1, 2):
        audit = HALF if window else FULL_VISION
        log.note(Window(window=window, time=float(window), audit=audit))
    values = np.random.default_rng(0).uniform(1, 9, 300)
    summary = replace(SUMMARY, record=replace(run(values), windows=log.windows()))
    assert (summary.windows, summary.windows_pruned) == (3, 2)
    latency = replace(SUMMARY, record=run(values)).to_json()["latency_ms"]
    assert latency["vision"]["p50"] == pytest.approx(np.median(values))
    assert latency["vision"]["p99"] == pytest.approx(np.percentile(values, 99))


def test_repeated_safety_state_is_one_event() -> None:
    """The latched state is published again and again; an event is a change of state or cause."""
    states = [
        SafetyRecord(time=time, status="slowed", cause=cause, message="")
        for time, cause in ((1.0, "torque"), (1.1, "torque"), (2.0, "workspace"), (3.0, "torque"))
    ]
    summary = replace(SUMMARY, record=run([], states))
    assert [event.time for event in summary.safety_events] == [1.0, 2.0, 3.0]


def test_summary_knows_no_task_by_name() -> None:
    """A task that wipes says so, whatever its name; any other is done, and wipes no share."""
    polish = replace(SUMMARY, task="polish_door")
    assert "polish_door: success, 85% wiped in 61 s" in polish.to_text()
    lift = replace(polish, wipes=False)
    assert "polish_door: success, 85% done in 61 s" in lift.to_text()
    assert lift.to_json()["wiped_share"] is None


def test_diagnostics_that_are_no_number_are_unknown() -> None:
    """Values that were never heard or not finite are unknown."""
    log = HealthLog()
    log.note("a: b", 1.0, {"rate_hz": "29.8", "age_ms": "nan"})
    assert log.number("a: b", "rate_hz") == 29.8
    assert log.number("a: b", "age_ms") is None
    assert log.number("a: b", "missing") is None
    assert log.number("never heard", "rate_hz") is None
    assert log.rate("a: b", "rate_hz") is None
    assert log.reports("a: b") == 1


def test_stream_counts_only_the_run() -> None:
    """What was late before the run does not count; what was skipped counts as not on time."""
    before = HealthLog()
    counts = {"delivered": "100", "late": "50", "skipped": "9"}
    before.note("controller_node: stream", 1.0, counts)
    log = HealthLog(before)
    assert log.on_time_share("controller_node: stream") is None
    counts = {"delivered": "1090", "late": "52", "skipped": "19"}
    log.note("controller_node: stream", 11.0, counts)
    assert log.on_time_share("controller_node: stream") == pytest.approx(1 - (2 + 10) / 1000)


def test_rate_is_the_growth_of_a_counter() -> None:
    """A counter of 300 at 10 s and 1500 at 50 s grew by 30 per second."""
    log = HealthLog()
    for time, count in ((10.0, "300"), (20.0, "400"), (50.0, "1500")):
        log.note("inference_node: camera", time, {"received": count})
    assert log.rate("inference_node: camera", "received") == 30.0
    assert log.number("inference_node: camera", "received") == 1500


def jpeg(level: int) -> bytes:
    """Return a grey picture."""
    picture = np.full((480, 640, 3), level, dtype=np.uint8)
    return bytes(simplejpeg.encode_jpeg(picture, quality=95))


def test_video_keeps_ten_pictures_a_second() -> None:
    """Of 30 pictures a second ten are kept, evenly."""
    video = VideoLog()
    for i in range(90):
        video.note_picture(i / 30, b"", "")
    assert video.pictures == pytest.approx(3 * FRAME_RATE, abs=1)


def test_video_plays_and_shows_pruned_patches(tmp_path: Path) -> None:
    """The file is H.264 of the right length; pruned patches are blue from their window on."""
    video = VideoLog()
    for i in range(20):
        video.note_picture(i * 0.1 + (i % 3) * 0.02, jpeg(128), f"{i * 0.1:.1f} s")
    kept = np.arange(128, dtype=np.int64)  # the upper half of the 16 x 16 patches
    video.note_view(0.0, TokenAudit(tokens_total=256, tokens_kept=256))
    video.note_view(0.95, TokenAudit(tokens_total=256, tokens_kept=len(kept), kept=tuple(kept)))
    video.write(tmp_path / "video.mp4", crop_area=0.9)
    with av.open(str(tmp_path / "video.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert (stream.width, stream.height) == (640, 480 + CAPTION_HEIGHT)
        frames = [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode()]
    assert len(frames) == 20
    for number, frame in enumerate(frames):
        upper, lower = frame[120, 320], frame[360, 320]
        assert np.ptp(upper) < 12
        is_blue = lower[2] - lower[0] > 60
        assert is_blue == (number >= 10)


def encode_until_interrupted(path: Path, **options: bool) -> None:
    """Write a video whose encoding is interrupted after a third of a second."""
    video = VideoLog()
    for i in range(900):
        video.note_picture(i * 0.1, jpeg(128), "")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.33)
    try:
        with pytest.raises(KeyboardInterrupt):
            video.write(path, crop_area=0.9, **options)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def test_interrupted_video_is_whole_or_not_there(tmp_path: Path) -> None:
    """Ctrl-C while it is encoded: no broken file, nothing half written beside it."""
    encode_until_interrupted(tmp_path / "video.mp4")
    assert list(tmp_path.iterdir()) == []
    encode_until_interrupted(tmp_path / "video.mp4", shortened=True)
    assert [path.name for path in tmp_path.iterdir()] == ["video.mp4"]
    with av.open(str(tmp_path / "video.mp4")) as container:
        assert 0 < sum(1 for _ in container.decode()) < 900


def test_empty_video_is_refused(tmp_path: Path) -> None:
    """Nothing is written when no picture came."""
    with pytest.raises(ValueError, match="no picture was kept"):
        VideoLog().write(tmp_path / "video.mp4", crop_area=0.9)
    assert not (tmp_path / "video.mp4").exists()


def test_node_log_keeps_lines_and_last_error(tmp_path: Path) -> None:
    """What the nodes say is in the file; the last error of each is at hand."""
    with node_log(tmp_path / "nodes.log") as log:
        log.write_line("camera_node", "INFO twin camera")
        log.write_line("camera_node", "error: path is ''")
        assert log.last_error("camera_node") == "path is ''"
        assert log.last_error("sim_node") == ""
    assert "[camera_node] INFO twin camera\n" in (tmp_path / "nodes.log").read_text()


def test_progress_without_terminal_is_a_line_every_five_seconds(tmp_path: Path) -> None:
    """Into a file go plain lines, not one for every update."""
    path = tmp_path / "out"
    with path.open("w") as output, progress_display("wipe_table", output) as show:
        for tenth in range(120):
            show(tenth / 10, tenth / 120, f"{tenth / 10:.0f} s")
    lines = path.read_text().splitlines()
    assert len(lines) == 3
    assert lines[1] == "wipe_table   42%  5 s"


def test_time_that_begins_again_is_shown_at_once(tmp_path: Path) -> None:
    """After half a minute of waiting the run's own time counts from 0."""
    path = tmp_path / "out"
    with path.open("w") as output, progress_display("wipe_table", output) as show:
        for time in (0.0, 30.0, 0.1, 0.2, 5.2):
            show(time, 0.0, f"{time:.1f} s")
    shown = [line.split()[-2] for line in path.read_text().splitlines()]
    assert shown == ["0.0", "30.0", "0.1", "5.2"]


def test_runs_never_share_a_directory(tmp_path: Path) -> None:
    """Two runs in the same second get two directories."""
    now = datetime(2026, 1, 2, 3, 4, 5)
    names = [new_directory(tmp_path / "runs", now).name for _ in range(3)]
    assert names == ["20260102-030405", "20260102-030405-1", "20260102-030405-2"]


BUSY = MachineUse(cores=2, taken=1.9, waited=0.12, precedence="controller and twin at nice -10")


def test_failure_on_a_busy_machine_says_what_was_lacking() -> None:
    """One line: what others took, what was late, what simulated time gave, what helps."""
    stale = SafetyRecord(time=2.0, status="stopped", cause="torque_stale", message="180 ms old")
    failed = replace(
        SUMMARY,
        success=False,
        machine=BUSY,
        steps_missed=31,
        frame_rate=9.2,
        record=run([101.0] * 3, (stale,)),
        comparison=COMPARISON,
    )
    verdict = "succeeded" if COMPARISON.adp.success else "failed as well"
    assert failed.too_busy == (
        "the machine was too busy: other programs took 1.9 of 2 cores, the controller waited 12% "
        "of the time for one, controller and twin at nice -10, 31 of 641 steps missed, 9.2 "
        "pictures a second, 1 stops for data that came late; the same scene in simulated time "
        f"{verdict}; end other programs, or use adp-ros eval, which runs in simulated time"
    )
    assert f"  {failed.too_busy}\n" in failed.to_text()
    assert failed.to_json()["too_busy"] == failed.too_busy
    assert failed.to_json()["machine"]["taken"] == 1.9


def test_success_and_a_free_machine_need_no_excuse() -> None:
    """Nothing is said where the run succeeded, or where the machine was free."""
    assert replace(SUMMARY, machine=BUSY).too_busy == ""
    failed = replace(SUMMARY, success=False, problem="time limit of 6 s")
    assert failed.too_busy == ""
    free = replace(BUSY, taken=0.1, waited=0.0)
    assert replace(failed, machine=free).too_busy == ""
