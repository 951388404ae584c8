"""Replay against runs that were made by hand: equal when nothing differs, named when it does."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from recorded_run import BagMaker, record, still_chunk
from std_msgs.msg import String

from adp_ros.bags.bag_reader import BagReader
from adp_ros.bags.bag_topics import TopicInfo
from adp_ros.bags.bag_writer import BagWriter
from adp_ros.cli import main
from adp_ros.msg import ActionChunk
from adp_ros.policies.openvla.create import SIZES, NewCheckpoint, create_checkpoint


@pytest.fixture(scope="module")
def run(tmp_path_factory, checkpoint):
    """A recorded run, pushed by more than the stop level at its end, and its bag."""
    directory = tmp_path_factory.mktemp("run") / "bag"
    return record(directory, checkpoint, push=20.0), directory


def replay(capsys, *words):
    """Run the command; return exit status and summary."""
    status = main(["replay", *map(str, words), "--json"])
    return status, json.loads(capsys.readouterr().out)


def refused(capsys, *words):
    """Run the command on something it can't use; return its error line."""
    status = main(["replay", *map(str, words)])
    captured = capsys.readouterr()
    assert (status, captured.out) == (2, "")
    assert captured.err.count("\n") == 1
    return captured.err


def test_replay_equals_the_run(run, capsys):
    """Actions, kept tokens, decisions and the torque stop come out as they were recorded."""
    live, bag = run
    status, summary = replay(capsys, bag)
    assert status == 0
    equality = summary["equality"]
    assert (equality["windows"], equality["equal"], equality["different"]) == (6, 6, 0)
    assert equality["largest"] == 0.0
    pruned = sum(result.prediction.pruned for result in live.results)
    assert 0 < pruned < 6
    assert summary["pruned"] == {"recorded": pruned, "replayed": pruned}
    assert summary["safety"]["equal"]
    assert summary["safety"]["replayed"][-1] == ["STOPPED", "torque"]
    assert summary["bag_problems"] == []
    assert summary["window_problems"] == {}


def test_two_windows_of_one_picture_have_a_state_each(tmp_path, checkpoint, capsys):
    """A camera slower than the windows: the arm has moved on, the picture is the same."""
    live = record(tmp_path / "bag", checkpoint, picture_ticks=60, windows=5)
    assert len(set(live.taken)) < len(live.taken)
    status, summary = replay(capsys, tmp_path / "bag")
    equality = summary["equality"]
    assert (status, equality["different"], equality["largest"]) == (0, 0, 0.0)
    assert equality["equal"] == equality["windows"] >= 5


def test_log_is_the_same_bytes_every_time(run, tmp_path, capsys):
    """Repeated replays write the same log, with the actions to the last digit."""
    live, bag = run
    texts = []
    for i in range(3):
        assert replay(capsys, bag, "--output", tmp_path / str(i))[0] == 0
        texts.append((tmp_path / str(i) / "replay.jsonl").read_bytes())
    assert texts[0] == texts[1] == texts[2]
    lines = [json.loads(line) for line in texts[0].splitlines()]
    actions = [line["actions"] for line in lines if line["kind"] == "window"]
    assert np.array_equal(actions, [result.actions for result in live.results])


def test_policy_is_compared_even_when_another_moved_the_arm(tmp_path, checkpoint, capsys):
    """With a scripted mover, kept tokens and decisions are compared, and measured motion used."""
    record(tmp_path / "bag", checkpoint, policy="expert", motion_source="measured", windows=5)
    status, summary = replay(capsys, tmp_path / "bag")
    assert status == 0
    assert summary["policy"] == "expert"
    assert summary["equality"]["equal"] == 5
    assert summary["safety"]["equal"]


def test_other_settings_give_other_windows(run, tmp_path, capsys):
    """Keep ratio and gate can be changed; what would have happened is in the log, status 0."""
    _, bag = run
    status, summary = replay(
        capsys, bag, "--keep", "0.25", "--gate", "always", "--output", tmp_path
    )
    assert status == 0
    assert summary["pruned"]["replayed"] == 6
    lines = map(json.loads, (tmp_path / "replay.jsonl").read_text().splitlines())
    kept = [len(line["kept"]) for line in lines if line["kind"] == "window"]
    assert kept == [64] * 6


def test_gate_alone_needs_no_policy(run, capsys):
    """Without the policy the recorded chunks give the recorded decisions, and others theirs."""
    live, bag = run
    status, summary = replay(capsys, bag, "--decisions-only")
    assert (status, summary["equality"]["equal"]) == (0, 6)
    status, summary = replay(capsys, bag, "--decisions-only", "--gate", "never")
    assert (status, summary["pruned"]["replayed"]) == (0, 0)


def test_other_checkpoint_moves_the_arm(run, tmp_path, capsys):
    """Another checkpoint's actions differ from the recorded ones; the bag's hash is noticed."""
    create_checkpoint(tmp_path / "other", SIZES["tiny"], NewCheckpoint(seed=1))
    status, summary = replay(capsys, run[1], "--checkpoint", tmp_path / "other")
    assert status == 0
    assert summary["equality"]["different"] == 6
    assert any("other is not the recorded one" in note for note in summary["notes"])


def test_changed_checkpoint_is_noticed(run, tmp_path, checkpoint, capsys):
    """Replay of a recording whose checkpoint was trained on since fails and says why."""
    copy = tmp_path / "checkpoint"
    shutil.copytree(checkpoint, copy)
    record(tmp_path / "bag", copy, windows=2)
    shutil.rmtree(copy)
    create_checkpoint(copy, SIZES["tiny"], NewCheckpoint(seed=2))
    status, summary = replay(capsys, tmp_path / "bag")
    assert status == 1
    assert summary["equality"]["first"] == 0
    assert summary["differs"][0] == "actions of 2 windows, from window 0 on"
    assert any("is not the recorded one" in note for note in summary["notes"])


def test_jpeg_pictures_are_close_but_not_equal(tmp_path, checkpoint, capsys):
    """A bag with JPEG only is replayed, and says why the last digits differ."""
    record(tmp_path / "bag", checkpoint, windows=2, jpeg=True)
    _, summary = replay(capsys, tmp_path / "bag")
    assert summary["equality"]["replayed"] == 2
    assert 0.0 < summary["equality"]["largest"] < 0.05
    assert "2 pictures were JPEG: last digits of the actions may differ" in summary["notes"]


def test_state_is_found_without_its_topic(tmp_path, checkpoint, capsys):
    """Without /adp/policy_state the newest samples of the driver stand in, and it is said."""
    record(tmp_path / "bag", checkpoint, windows=2, skip={"/adp/policy_state"})
    _, summary = replay(capsys, tmp_path / "bag")
    assert summary["equality"]["replayed"] == 2
    assert summary["window_problems"] == {"state taken from the driver's newest messages": 2}


def test_bag_without_pictures_is_replayed_as_far_as_it_goes(tmp_path, checkpoint, capsys):
    """Without pictures gate, controller and safety are replayed, and what is missing is named."""
    record(tmp_path / "bag", checkpoint, windows=3, skip={"/camera/image_raw"})
    status, summary = replay(capsys, tmp_path / "bag")
    assert status == 0
    assert summary["bag_problems"] == ["there are no pictures"]
    assert summary["window_problems"] == {"picture of /camera/image_raw is missing": 3}
    assert summary["equality"]["equal"] == 3
    assert summary["safety"]["equal"]


def test_missing_topics_are_named(tmp_path, checkpoint, capsys):
    """Each topic that a replay wants and the bag lacks is named; the rest is replayed."""
    skip = {"/adp/gate_state", "/adp/safety_state"}
    record(tmp_path / "bag", checkpoint, windows=2, skip=skip)
    status, summary = replay(capsys, tmp_path / "bag")
    assert status == 0
    assert summary["bag_problems"] == [
        "topic /adp/gate_state is missing",
        "topic /adp/safety_state is missing",
    ]
    assert summary["equality"]["equal"] == 2
    assert summary["safety"]["replayed"] == []


def test_other_robot_is_named(tmp_path, checkpoint, capsys):
    """A bag of an arm that is not supported is replayed without controller, and says so."""
    record(tmp_path / "bag", checkpoint, windows=2, robot_type="m1n4s200")
    _, summary = replay(capsys, tmp_path / "bag")
    assert summary["safety"] is None
    assert "driver of m1n4s200: not a robot that is supported" in summary["bag_problems"][0]
    assert summary["equality"]["replayed"] == 2


def test_truncated_bag_is_replayed_up_to_the_cut(run, tmp_path, capsys):
    """Of a file that ends early the windows before the cut are replayed and equal."""
    file = tmp_path / "cut.mcap"
    whole = (run[1] / "bag_0.mcap").read_bytes()
    file.write_bytes(whole[: len(whole) * 3 // 4])
    status, summary = replay(capsys, file, "--decisions-only")
    assert 0 < summary["equality"]["equal"] <= 6
    assert "cut.mcap: the recording was cut off" in summary["bag_problems"][0]
    assert status in (0, 1)


def test_recording_that_began_late_says_so(tmp_path, checkpoint, capsys):
    """When the first window is missing, the state of the gate before is unknown, and it is said."""
    record(tmp_path / "bag", checkpoint, windows=3)
    late = tmp_path / "late"
    copy_without_first_chunk(tmp_path / "bag", late)
    _, summary = replay(capsys, late, "--decisions-only")
    assert summary["equality"]["windows"] == 2
    assert summary["window_problems"] == {"its episode began before the recording": 2}


def copy_without_first_chunk(source: Path, target: Path):
    """Copy a bag, but for its first chunk."""
    messages, writer = copied_topics(source, target)
    first = next(stored for stored, _ in messages if stored.topic == "/adp/action_chunk")
    for stored, data in messages:
        if stored is not first:
            writer.write(stored.topic, data, stored.log_time, stored.publish_time)
    writer.close()


def copied_topics(source: Path, target: Path):
    """Return a bag's messages, and the writer of one with its topics and notes."""
    reader = BagReader(source)
    messages = [(stored, reader.data(stored)) for stored in reader.stored(lambda _: True)]
    writer = BagWriter(target)
    for topic in reader.topics.values():
        writer.add_topic(topic)
    for name, values in reader.notes:
        writer.add_note(name, values)
    return messages, writer


def test_what_is_wrong_with_the_samples_is_said(tmp_path, checkpoint, capsys):
    """Torques that can't be decoded, and a topic whose time goes back, are named."""
    record(tmp_path / "good", checkpoint, windows=2)
    messages, writer = copied_topics(tmp_path / "good", tmp_path / "bag")
    for stored, data in messages:
        writer.write(stored.topic, data, stored.log_time, stored.publish_time)
    last, out = messages[-1][0].log_time, "/j2n6s300_driver/out"
    writer.write(f"{out}/joint_torques", b"\0\1\0\0", last, last)
    writer.write(f"{out}/tool_pose", b"\0\1\0\0", last - 2 * 10**9, last)
    writer.close()
    _, summary = replay(capsys, tmp_path / "bag")
    said = " ".join(summary["safety"]["problems"])
    assert f"{out}/joint_torques: a message can't be decoded" in said
    assert f"time goes back by 2.0 s in {out}/tool_pose" in " ".join(summary["bag_problems"])


def test_what_differs_is_said_with_status_one(tmp_path, checkpoint, capsys):
    """Windows that are equal are not the whole: another end of the run is named as the reason."""
    record(tmp_path / "good", checkpoint, windows=2)
    messages, writer = copied_topics(tmp_path / "good", tmp_path / "bag")
    torques = "/j2n6s300_driver/out/joint_torques"
    started = next(s.time for s, _ in messages if s.topic == "/adp/chunk_request")
    pushed = np.full(6, 30.0, np.float32).tobytes()
    for stored, data in messages:
        push = stored.topic == torques and stored.time > started + 10**8
        sent = data[:4] + pushed + data[28:] if push else data
        writer.write(stored.topic, sent, stored.log_time, stored.publish_time)
    writer.close()
    status, summary = replay(capsys, tmp_path / "bag")
    assert (status, summary["equality"]["different"]) == (1, 0)
    (reason,) = summary["differs"]
    assert reason.startswith("safety: running stopped (stop_called) when it was recorded, ")
    assert reason.endswith("running stopped (torque) now")
    assert main(["replay", str(tmp_path / "bag")]) == 1
    assert f"differs    {reason}" in capsys.readouterr().out


def test_a_share_that_is_never_used_is_refused(run, capsys):
    """--gate never prunes no window, so that --keep would change nothing."""
    error = refused(capsys, run[1], "--keep", "0.3", "--gate", "never")
    assert "--keep 0.3 changes nothing with --gate never, which prunes no window" in error


def test_foreign_bag_is_refused_with_its_topics(tmp_path, capsys):
    """A bag of something else is one line, with what is in it."""
    maker = BagMaker(tmp_path / "bag")
    maker.put("/chatter", String(data="hello"), 1.0)
    maker.close()
    error = refused(capsys, tmp_path / "bag")
    assert "nothing to replay: the bag has no chunk on /adp/action_chunk" in error
    assert "topics: /chatter" in error


def test_unknown_message_version_is_named(tmp_path, capsys):
    """Chunks of a version without a field that is needed are refused by its name."""
    writer = BagWriter(tmp_path / "bag")
    writer.add_topic(
        TopicInfo(
            name="/adp/action_chunk",
            type_name="adp_ros/msg/ActionChunk",
            definition="uint64 window\nfloat64[] actions",
            type_hash="RIHS01_1",
        )
    )
    writer.write("/adp/action_chunk", b"\0\1\0\0" + bytes(12), 1, 1)
    writer.close()
    error = refused(capsys, tmp_path / "bag")
    assert "adp_ros/msg/ActionChunk is of another version, it has no header" in error


def test_topic_of_another_type_is_named(tmp_path, capsys):
    """A topic with our name and another type is refused by both types."""
    maker = BagMaker(tmp_path / "bag")
    maker.put("/adp/action_chunk", String(data="hello"), 1.0)
    maker.close()
    error = refused(capsys, tmp_path / "bag")
    assert "/adp/action_chunk is std_msgs/msg/String, adp_ros/msg/ActionChunk is needed" in error


def test_unreadable_chunks_are_counted(tmp_path, capsys):
    """A chunk whose numbers are no rows of 7 is skipped, counted and named."""
    maker = BagMaker(tmp_path / "bag")
    maker.put("/adp/action_chunk", ActionChunk(actions=[0.0] * 5), 1.0)
    maker.close()
    error = refused(capsys, tmp_path / "bag")
    assert "1 messages skipped, /adp/action_chunk: chunk has 5 numbers" in error


@pytest.mark.parametrize("content", [b"", b"no bag", b"\x89MCAP0\r\n"])
def test_empty_and_broken_files_are_one_line(tmp_path, content, capsys):
    """Whatever the file holds, the answer is one line."""
    (tmp_path / "bag.mcap").write_bytes(content)
    assert "error: " in refused(capsys, tmp_path / "bag.mcap")


def test_bag_without_settings_asks_for_the_checkpoint(tmp_path, capsys):
    """A bag that does not tell its checkpoint says which option helps."""
    maker = BagMaker(tmp_path / "bag")
    maker.put("/adp/action_chunk", still_chunk(56), 1.0)
    maker.close()
    assert "give --checkpoint" in refused(capsys, tmp_path / "bag")


def test_difference_from_full_vision_is_told(run, capsys):
    """Full windows equal those with full vision; pruned ones differ, and cost less."""
    status, summary = replay(capsys, run[1], "--compare", "full")
    assert status == 0
    difference = summary["difference"]
    assert difference["full"]["metrics"]["end_point_mm"]["mean"] == 0.0
    assert difference["pruned"]["metrics"]["end_point_mm"]["mean"] > 0.0
    assert difference["pruned"]["windows"] == summary["pruned"]["replayed"]
    assert summary["cost"]["flops"] < summary["cost"]["flops_full"]
    assert summary["baseline_cost"]["flops"] == summary["cost"]["flops_full"]


def test_difference_from_the_recorded_settings_is_told(run, capsys):
    """The same settings do not differ; another keep ratio does, in pruned windows alone."""
    _, summary = replay(capsys, run[1], "--compare", "recorded")
    assert summary["difference"]["all"]["metrics"]["l1_normalized"]["mean"] == 0.0
    _, summary = replay(capsys, run[1], "--compare", "recorded", "--keep", "0.25")
    assert summary["difference"]["all"]["metrics"]["l1_normalized"]["mean"] > 0.0


def test_words_say_what_the_numbers_say(run, capsys):
    """Without --json the same is told in lines."""
    assert main(["replay", str(run[1]), "--compare", "full"]) == 0
    words = capsys.readouterr().out
    assert "windows    6 recorded, 6 replayed" in words
    assert "safety     running stopped (torque), as recorded" in words
    assert "pruned     end_point_mm" in words
