"""Reports of recorded runs: what a bag says, damaged or not, and action differences."""

import json
import os

import numpy as np
import pytest

pytest.importorskip("rclpy")

import simplejpeg
from geometry_msgs.msg import PoseStamped
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage

from adp_ros.bags.bag_reader import BagReader
from adp_ros.bags.bag_topics import Definitions, TopicInfo
from adp_ros.bags.bag_writer import BagWriter
from adp_ros.bags.contents import RecordedWindow
from adp_ros.bags.window_replay import ReplayedWindow, log_text, window_line
from adp_ros.cli import main
from adp_ros.errors import BagError
from adp_ros.msg import GateState, InferenceLatency, PruneState, SafetyState
from adp_ros.policies.policy import Prediction, StageTimes
from adp_ros.policies.window import Window
from adp_ros.reports.bag_record import read_run
from adp_ros.reports.numbers import action_rows, read_replay
from adp_ros.reports.page import report_page
from adp_ros.ros.picture_messages import image_to_rgb
from adp_ros.ros.stamps import time_message
from adp_ros.types import ActionConvention

START = 1_700_000_000.0
TYPES = {
    "/adp/prune_state": PruneState,
    "/adp/gate_state": GateState,
    "/adp/latency": InferenceLatency,
    "/adp/safety_state": SafetyState,
    "/j2n6s300_driver/out/tool_pose": PoseStamped,
    "/camera/image_raw/compressed": CompressedImage,
}
TYPE_NAMES = {
    name: f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}" for name, kind in TYPES.items()
}


def messages(window):
    """What the nodes publish about a window; odd ones are pruned to the upper half."""
    pruned = window % 2 == 1
    kept = list(range(128)) if pruned else []
    grey = np.full((480, 640, 3), 128, np.uint8)
    pose = PoseStamped()
    pose.pose.position.x = 0.1 * window
    return {
        "/camera/image_raw/compressed": CompressedImage(
            format="rgb8; jpeg compressed rgb8", data=list(simplejpeg.encode_jpeg(grey))
        ),
        "/adp/gate_state": GateState(
            window=window, state=int(pruned), next_state=int(not pruned), reason="fast",
            rule="adjacent/extrema", motion=0.01, upper=0.01, lower=float("nan"),
        ),
        "/adp/prune_state": PruneState(
            window=window, tokens_total=256, tokens_kept=128 if pruned else 256,
            kept_indices=kept, flops=4e9 if pruned else 8e9, flops_full=8e9,
        ),
        "/adp/latency": InferenceLatency(
            window=window, llm=40.0, frame_to_chunk=120.0, stages=["llm"],
            mean=[40.0], p50=[40.0], p95=[40.0], p99=[40.0],
        ),
        "/adp/safety_state": SafetyState(
            status=SafetyState.RUNNING, residual_torque=[0.5] * 6, slow_torque=[2.0] * 6,
            stop_torque=[4.0] * 6,
        ),
        "/j2n6s300_driver/out/tool_pose": pose,
    }  # fmt: skip


def write_bag(directory, names=tuple(TYPES), windows=4, spoil="", step=0.0):
    """Write a bag with these topics; one message of the topic `spoil` is cut short.

    From window 2 on the clock is `step` [s] ahead.
    """
    definitions = Definitions(os.environ)
    writer = BagWriter(directory)
    for name in names:
        kind = TYPE_NAMES[name]
        text, code = definitions.text(kind), definitions.type_hash(kind)
        writer.add_topic(TopicInfo(name=name, type_name=kind, definition=text, type_hash=code))
    for window in range(windows):
        stamp = START + window + (step if window >= 2 else 0.0)
        log_time = round(stamp * 1e9)
        for name, message in messages(window).items():
            message.header.stamp = time_message(stamp)
            data = serialize_message(message)
            if name in names:
                cut = data[:20] if name == spoil and window == 1 else data
                writer.write(name, cut, log_time, log_time)
    writer.flush()
    writer.close()
    return directory


def read(directory):
    """The run in a bag."""
    return read_run(BagReader(directory), "a run", image_to_rgb, 0.9)


def test_bag_gives_the_run_that_was_recorded(tmp_path):
    """Windows, decisions, times, torques and the way come back with their times and units."""
    log = read(write_bag(tmp_path / "bag"))
    assert [(w.time, w.window, w.pruned) for w in log.windows] == [
        (0.0, 0, False), (1.0, 1, True), (2.0, 2, False), (3.0, 3, True),
    ]  # fmt: skip
    assert [w.decision.prune for w in log.windows] == [True, False, True, False]
    assert log.windows[1].times.llm == 40.0
    assert (log.safety[0].status, log.safety[0].stop) == ("running", (4.0,) * 6)
    assert [point.x for point in log.path] == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert log.outcome == ""


def test_pictures_show_what_was_pruned(tmp_path):
    """At each change of state a picture: grey in full, the lower half blue when it was pruned."""
    log = read(write_bag(tmp_path / "bag"))
    assert [p.caption for p in log.pictures][1] == "window 1 pruned to 128 tokens (fast, 10.0 mm)"
    full, pruned = (simplejpeg.decode_jpeg(log.pictures[i].jpeg).astype(int) for i in (0, 1))
    assert np.ptp(full[360, 320]) < 12
    assert np.ptp(pruned[120, 320]) < 12
    assert pruned[360, 320, 2] - pruned[360, 320, 0] > 60


def test_bag_without_some_topics_gives_what_is_there(tmp_path):
    """No camera, no gate, no arm: windows alone make a report."""
    log = read(write_bag(tmp_path / "bag", names=("/adp/prune_state",)))
    assert len(log.windows) == 4
    assert {w.decision for w in log.windows} == {None}
    assert (log.pictures, log.path) == ((), ())


def test_bag_of_something_else_is_named(tmp_path):
    """A bag without windows and safety states: an error that lists its topics."""
    directory = write_bag(tmp_path / "bag", names=("/j2n6s300_driver/out/tool_pose",))
    with pytest.raises(BagError, match="nothing to report: .*topics: /j2n6s300_driver/out/tool"):
        read(directory)


@pytest.mark.parametrize("topic", ["/adp/gate_state", "/camera/image_raw/compressed"])
def test_damaged_message_is_left_out_and_named(tmp_path, topic):
    """One bad message costs that message, and the page says so."""
    log = read(write_bag(tmp_path / "bag", spoil=topic))
    assert len(log.windows) == 4
    assert log.outcome == "bag with 1 problems"
    assert topic in log.facts["problem 1"]


@pytest.mark.parametrize("step", [-3.0, -86400.0, 3600.0])
def test_clock_set_in_a_recording_is_marked_and_time_goes_on(tmp_path, step):
    """All windows, decisions and pictures are there, in order, and the page names the step."""
    log = read(write_bag(tmp_path / "bag", step=step))
    assert [w.window for w in log.planned] == [0, 1, 2, 3]
    assert [w.time for w in log.windows] == pytest.approx([0.0, 1.0, 1.0, 2.0], abs=1e-6)
    assert [w.decision.prune for w in log.windows] == [True, False, True, False]
    assert len(log.pictures) == 4
    (found,) = log.steps
    assert found.step == pytest.approx(step + 1.0)  # with the second that passed
    assert str(found) in log.facts.values()
    assert "Timeline" in report_page(log)


def test_command_writes_the_page(tmp_path, capsys):
    """The command writes a page with pictures and prints the table as JSON."""
    directory, page = write_bag(tmp_path / "bag"), tmp_path / "page.html"
    assert main(["report", str(directory), "--output", str(page), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["windows"] == 4
    assert found["table"][0] == {
        "quantity": "FLOPs per window, mean [GFLOP]", "here": "6.00", "full_vision": "8.00",
    }  # fmt: skip
    text = page.read_text(encoding="utf-8")
    assert text.count("data:image/jpeg;base64,") == 4
    assert "<h1>bag</h1>" in text


def test_output_that_cannot_be_written_is_named(tmp_path, capsys):
    """A folder that does not exist: exit status 2 and the path."""
    directory = write_bag(tmp_path / "bag")
    assert main(["report", str(directory), "--output", str(tmp_path / "no" / "page.html")]) == 2
    assert "no/page.html': No such file or directory" in capsys.readouterr().err


def replay_log(path, shift=0.0, windows=3, repeated=False):
    """A log of windows with eight steps along x each, `shift` [m] longer."""
    lines = []
    for window in range(windows):
        actions = np.zeros((8, 7))
        actions[:, 0] = 0.01 + shift
        line = {
            "kind": "window", "window": window, "stamp_ns": window * 10**9,
            "policy_actions": actions.tolist(), "repeated": repeated,
        }  # fmt: skip
        lines.append(json.dumps(line))
    path.write_text("\n".join(lines) + "\n")
    return path


def test_action_differences_are_those_of_the_arrays(tmp_path):
    """One millimetre per step along x: a third of a millimetre per axis, eight at the end."""
    here = read_replay(replay_log(tmp_path / "here.jsonl", 0.001))
    other = read_replay(replay_log(tmp_path / "other.jsonl"))
    rows = {row.quantity.removeprefix("difference of the actions: "): row.here
            for row in action_rows(here, other)}  # fmt: skip
    assert rows["translation, mean L1 per axis [mm], over 3 windows"] == "0.333"
    assert rows["end point of a chunk, median distance [mm]"] == "8"
    assert rows["rotation, mean L1 per axis [mrad]"] == "0"
    assert rows["direction of motion, mean cosine"] == "1.0000"


def test_only_common_windows_are_compared(tmp_path):
    """Windows that one log lacks are left out; none in common is an error."""
    here = read_replay(replay_log(tmp_path / "here.jsonl", windows=5))
    other = read_replay(replay_log(tmp_path / "other.jsonl"))
    assert "over 3 windows" in action_rows(here, other)[0].quantity
    with pytest.raises(BagError, match="no window in common"):
        action_rows(here, {(-1, 0): np.zeros((8, 7))})


def test_log_without_a_policy_is_refused(tmp_path):
    """A replay of decisions only, or a file of something else, is named."""
    with pytest.raises(BagError, match="no window in it was planned by a policy"):
        read_replay(replay_log(tmp_path / "a.jsonl", repeated=True))
    (tmp_path / "b.jsonl").write_text("no JSON")
    with pytest.raises(BagError, match="b.jsonl is no log of adp-ros replay"):
        read_replay(tmp_path / "b.jsonl")
    (tmp_path / "c.jsonl").write_text('["a list"]')
    with pytest.raises(BagError, match="c.jsonl is no log"):
        read_replay(tmp_path / "c.jsonl")


def test_log_that_replay_writes_is_read(tmp_path):
    """The reader agrees with the writer of the log, digit by digit."""
    actions = np.random.default_rng(2).normal(size=(8, 7))
    recorded = RecordedWindow(
        window=7, stamp=123, arrival=456, elapsed=0, actions=actions, step_period=0.1,
        convention=ActionConvention(), told_pruned=False, policy="oft",
    )  # fmt: skip
    prediction = Prediction(
        actions, actions.astype(np.float32), None, None, (333, 333), StageTimes(*[0.0] * 6), 1, 256
    )
    result = Window(window=7, actions=actions, prediction=prediction)
    window = ReplayedWindow(recorded, result)
    path = tmp_path / "replay.jsonl"
    path.write_text(log_text([window_line(window)]))
    found = read_replay(path)
    assert list(found) == [(123, 7)]
    assert np.array_equal(found[123, 7], actions)
