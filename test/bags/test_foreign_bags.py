"""Recorded runs as other tools write them: the same messages are the same run, or it is said."""

import json
import random
import shutil
import struct
from dataclasses import dataclass, replace

import lz4.frame
import pytest
import zstandard
from builtin_interfaces.msg import Time
from mcap.reader import make_reader
from mcap.writer import CompressionType, IndexType, Writer
from recorded_run import ORIGIN, BagMaker, record
from sensor_msgs.msg import Image

from adp_ros.bags.bag_files import bag_files
from adp_ros.bags.bag_reader import BagReader
from adp_ros.bags.pictures import Pictures
from adp_ros.bags.playback import is_any, is_sensed, read_schedule
from adp_ros.cli import main
from adp_ros.errors import BagError
from adp_ros.ros.picture_messages import image_to_rgb

SECOND = 10**9
UNINDEXED = {
    "index_types": IndexType.NONE, "repeat_channels": False, "repeat_schemas": False,
    "use_statistics": False, "use_summary_offsets": False,
}  # fmt: skip


@dataclass
class Message:
    """One message of an MCAP file."""

    schema: object
    channel: object
    log_time: int
    publish_time: int
    sequence: int
    data: bytes


def read(file):
    """Return messages and metadata of a file as the mcap library reads them."""
    with file.open("rb") as stream:
        reader = make_reader(stream)
        messages = [
            Message(schema, channel, m.log_time, m.publish_time, m.sequence, m.data)
            for schema, channel, m in reader.iter_messages(log_time_order=False)
        ]
        return messages, list(reader.iter_metadata())


def write(file, messages, notes, encoding="ros2msg", **options):
    """Write a file as the mcap library does."""
    options.setdefault("compression", CompressionType.NONE)
    with file.open("wb") as stream:
        writer = Writer(stream, **options)
        writer.start(profile="ros2", library="another tool")
        schemas, channels = {}, {}
        for m in messages:
            if m.schema.name not in schemas:
                schemas[m.schema.name] = writer.register_schema(
                    m.schema.name, encoding, m.schema.data
                )
            if m.channel.topic not in channels:
                channels[m.channel.topic] = writer.register_channel(
                    m.channel.topic, "cdr", schemas[m.schema.name], m.channel.metadata
                )
            writer.add_message(
                channels[m.channel.topic], m.log_time, m.data, m.publish_time, m.sequence
            )
        for note in notes:
            writer.add_metadata(note.name, note.metadata)
        writer.finish()
    return file


def by_topic(messages):
    """One topic after the other."""
    return sorted(messages, key=lambda m: (m.channel.topic, m.log_time))


def requests_last(messages):
    """One topic after the other, chunks before the requests that they answer."""
    return sorted(messages, key=lambda m: (m.channel.topic == "/adp/chunk_request", m.log_time))


def shuffled(messages):
    """No order at all."""
    return random.Random(0).sample(messages, len(messages))


def nearly_in_order(messages):
    """Each up to 0.3 s from its place."""
    moved = random.Random(0)
    return sorted(messages, key=lambda m: m.log_time + moved.uniform(0.0, 0.3) * SECOND)


def twice(messages):
    """A bag that was merged with itself."""
    return [m for m in messages for _ in range(2)]


def again(messages):
    """A bag and its copy behind it."""
    return [*messages, *messages]


def by_two_recorders(messages):
    """A second recorder got each message a little later."""
    later = [replace(m, log_time=m.log_time + 50_000, sequence=0) for m in messages]
    return [m for pair in zip(messages, later, strict=True) for m in pair]


def each_compressed(messages):
    """Compression of single messages, as rosbag2 has it."""
    return [replace(m, data=zstandard.compress(m.data)) for m in messages]


def each_compressed_otherwise(messages):
    """The same by a plugin."""
    return [replace(m, data=lz4.frame.compress(m.data)) for m in messages]


def with_definitions(messages, change):
    """The definitions of all types, changed."""
    schemas = {m.schema.name: m.schema for m in messages}
    changed = {
        name: type(schema)(schema.id, change(schema.data), schema.encoding, name)
        for name, schema in schemas.items()
    }
    return [replace(m, schema=changed[m.schema.name]) for m in messages]


def windows_line_ends(messages):
    """Definitions from a checkout with CRLF."""
    return with_definitions(messages, lambda data: data.replace(b"\n", b"\r\n"))


def unsent(messages):
    """A tool that notes no times of sending."""
    return [replace(m, publish_time=0) for m in messages]


def back(messages, seconds):
    """The clock was set back in the middle of the run; stamps of later messages show it."""
    middle = messages[0].log_time + round(1.7 * SECOND)
    shift = round(seconds * SECOND)
    moved = []
    for m in messages:
        data = m.data
        if m.schema.name not in ("kinova_msgs/msg/JointAngles", "kinova_msgs/msg/FingerPosition"):
            sec, nanosec = struct.unpack_from("<iI", data, 4)
            stamp = sec * SECOND + nanosec
            stamp = divmod(stamp - shift if stamp > middle else stamp, SECOND)
            data = data[:4] + struct.pack("<iI", *stamp) + data[12:]
        time = m.log_time - shift if m.log_time > middle else m.log_time
        moved.append(replace(m, data=data, log_time=time, publish_time=time))
    return moved


@pytest.fixture(scope="module")
def run(tmp_path_factory, checkpoint):
    """The folder of a recorded run, its messages and metadata records."""
    directory = tmp_path_factory.mktemp("run") / "bag"
    record(directory, checkpoint)
    return directory, *read(directory / "bag_0.mcap")


def replay(capsys, bag):
    """Replay a bag; return exit status and summary."""
    status = main(["replay", str(bag), "--json"])
    return status, json.loads(capsys.readouterr().out)


def play_times(bag):
    """Return the first and last time of each topic that would be played, and what is said."""
    schedule = read_schedule(BagReader(bag), is_sensed, lambda topic: "")
    times = {}
    for scheduled in schedule.messages:
        times.setdefault(scheduled.message.topic, []).append(scheduled.due)
    return {name: (due[0], due[-1], len(due)) for name, due in times.items()}, schedule.problems


@pytest.mark.parametrize(
    ("change", "options"),
    [
        (by_topic, {}),
        (requests_last, {}),
        (nearly_in_order, {}),
        (by_topic, {"chunk_size": 2000, "compression": CompressionType.ZSTD}),
        (by_topic, {"use_chunking": False}),
        (by_topic, UNINDEXED),
        (each_compressed, {}),
        (each_compressed_otherwise, {}),
        (windows_line_ends, {}),
        (unsent, {}),
    ],
)
def test_the_same_messages_are_the_same_run(run, tmp_path, capsys, change, options):
    """However a tool lays them out: replayed equal, played at the same times, nothing to say."""
    directory, messages, notes = run
    file = write(tmp_path / "other.mcap", change(messages), notes, **options)
    status, summary = replay(capsys, file)
    assert (status, summary["equality"]["equal"], summary["bag_problems"]) == (0, 6, [])
    assert summary["safety"]["equal"]
    assert summary["log_sha256"] == replay(capsys, directory)[1]["log_sha256"]
    assert play_times(file) == play_times(directory)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (shuffled, "again and again: messages are put in the order of time"),
        (twice, "messages are there twice and read once"),
        (again, "messages are there twice and read once"),
        (by_two_recorders, "messages are there twice and read once"),
    ],
)
def test_what_is_put_right_is_said(run, tmp_path, capsys, change, words):
    """Messages in no order, or twice, give the run that was recorded, and one line about it."""
    directory, messages, notes = run
    file = write(tmp_path / "other.mcap", change(messages), notes)
    status, summary = replay(capsys, file)
    assert (status, summary["equality"]["equal"]) == (0, 6)
    assert summary["log_sha256"] == replay(capsys, directory)[1]["log_sha256"]
    assert len(summary["bag_problems"]) == 1
    assert words in summary["bag_problems"][0]
    assert play_times(file)[0] == play_times(directory)[0]


@pytest.mark.parametrize(
    ("seconds", "words"), [(3.0, "time goes back by "), (-3.0, "time goes ahead by 3.0 s in all")]
)
def test_a_clock_that_was_set_costs_no_window(run, tmp_path, capsys, seconds, words):
    """All windows are replayed, playing takes as long as the run took, and the jump is named."""
    directory, messages, notes = run
    file = write(tmp_path / "set.mcap", back(messages, seconds), notes)
    _, summary = replay(capsys, file)
    assert summary["equality"]["replayed"] == 6
    assert summary["equality"]["different"] == 0
    assert any(words in problem for problem in summary["bag_problems"])
    schedule, problems = play_times(file)
    assert any(words in problem for problem in problems)
    before = max(last for _, last, _ in play_times(directory)[0].values())
    assert max(last for _, last, _ in schedule.values()) == pytest.approx(before, abs=0.05)
    assert main(["report", str(file), "--output", str(tmp_path / "report.html")]) == 0


def test_a_definition_in_another_language_is_named(run, tmp_path, capsys):
    """IDL is refused by name, topic by topic, and no message is misread."""
    _, messages, notes = run
    file = write(tmp_path / "idl.mcap", messages, notes, encoding="ros2idl")
    assert main(["replay", str(file)]) == 2
    error = capsys.readouterr().err
    assert "/adp/action_chunk is not read: it is cdr described by ros2idl, cdr described" in error
    assert error.count("\n") == 1


def test_a_bag_without_definitions_says_so(run, tmp_path, capsys):
    """Types are not guessed from what happens to be installed."""
    _, messages, notes = run
    changed = with_definitions(messages, lambda data: b"")
    file = write(tmp_path / "bare.mcap", changed, notes)
    assert main(["replay", str(file)]) == 2
    assert "the bag has no definition of adp_ros/msg/ActionChunk" in capsys.readouterr().err


def test_a_topic_of_two_types_is_read_by_the_first(run, tmp_path, capsys):
    """Bags that were merged: what has the topic's name and another type is left out, and named."""
    _, messages, notes = run
    chunk = next(m for m in messages if m.channel.topic == "/adp/action_chunk")
    other = replace(chunk, schema=next(m.schema for m in messages if m.schema != chunk.schema))
    file = tmp_path / "merged.mcap"
    with file.open("wb") as stream:
        writer = Writer(stream)
        writer.start(profile="ros2", library="another tool")
        channels = {}
        for m in [*messages, other]:
            key = m.channel.topic, m.schema.name
            if key not in channels:
                schema = writer.register_schema(m.schema.name, "ros2msg", m.schema.data)
                channels[key] = writer.register_channel(m.channel.topic, "cdr", schema)
            writer.add_message(channels[key], m.log_time, m.data, m.publish_time, m.sequence)
        for note in notes:
            writer.add_metadata(note.name, note.metadata)
        writer.finish()
    status, summary = replay(capsys, file)
    assert (status, summary["equality"]["equal"]) == (0, 6)
    assert summary["bag_problems"] == [
        f"/adp/action_chunk is not read where it is {other.schema.name}"
    ]


def test_only_what_the_metadata_lists_is_read(run, tmp_path, capsys):
    """A recovered copy beside the recording is left out, and named; nothing is doubled."""
    bag = tmp_path / "bag"
    shutil.copytree(run[0], bag)
    shutil.copy(bag / "bag_0.mcap", bag / "bag_0_recovered.mcap")
    status, summary = replay(capsys, bag)
    assert (status, summary["equality"]["equal"], summary["equality"]["windows"]) == (0, 6, 6)
    assert summary["bag_problems"] == [
        "bag_0_recovered.mcap is not listed in metadata.yaml and not read"
    ]
    assert play_times(bag)[0] == play_times(run[0])[0]


def test_without_metadata_files_that_overlap_are_named(run, tmp_path, capsys):
    """Two copies without metadata.yaml: each message is read once, and both facts are said."""
    bag = tmp_path / "bag"
    shutil.copytree(run[0], bag)
    (bag / "metadata.yaml").unlink()
    shutil.copy(bag / "bag_0.mcap", bag / "bag_0_recovered.mcap")
    status, summary = replay(capsys, bag)
    assert (status, summary["equality"]["equal"], summary["equality"]["windows"]) == (0, 6, 6)
    said = " ".join(summary["bag_problems"])
    assert "bag_0.mcap and bag_0_recovered.mcap overlap in time" in said
    assert "messages are there twice and read once" in said


def test_files_that_nobody_listed_are_read_in_the_order_of_time(run, tmp_path, capsys):
    """A later file whose name comes first does not set a clock back."""
    _, messages, notes = run
    half = len(messages) // 2
    write(tmp_path / "b_0.mcap", messages[:half], notes)
    write(tmp_path / "a_0.mcap", messages[half:], [])
    status, summary = replay(capsys, tmp_path)
    assert (status, summary["equality"]["equal"], summary["bag_problems"]) == (0, 6, [])


def test_missing_and_damaged_lists_are_named(run, tmp_path):
    """A list that names no file of the folder is refused; one that can't be read is not used."""
    bag = tmp_path / "bag"
    shutil.copytree(run[0], bag)
    (bag / "bag_0.mcap").rename(bag / "renamed.mcap")
    with pytest.raises(BagError, match=r"lists bag_0\.mcap, which is not there.*: renamed\.mcap"):
        bag_files(bag)
    (bag / "metadata.yaml").write_text("rosbag2_bagfile_information: {]")
    found = bag_files(bag)
    assert [path.name for path in found.paths] == ["renamed.mcap"]
    assert found.problems == (
        "metadata.yaml lists no files: every .mcap file of the folder is read",
    )


def test_companions_of_another_file_system_are_no_bags(run, tmp_path):
    """``._name`` is what a Mac leaves beside a file on exFAT."""
    bag = tmp_path / "bag"
    shutil.copytree(run[0], bag)
    (bag / "._bag_0.mcap").write_bytes(b"\0\5\x16\7")
    (bag / "unpacked.mcap").mkdir()
    (bag / "metadata.yaml").unlink()
    assert [path.name for path in bag_files(bag).paths] == ["bag_0.mcap"]


def test_of_two_pictures_with_one_stamp_the_one_that_had_come_is_taken(tmp_path):
    """What the policy saw is the newest picture at that time, not the last in the file."""
    maker = BagMaker(tmp_path / "bag")
    for i, time in enumerate((0.0, 1.0, 2.0)):
        picture = Image(height=1, width=1, encoding="rgb8", step=3, data=[i, i, i])
        picture.header.stamp = Time(sec=int(ORIGIN))
        maker.put("/camera/image_raw", picture, ORIGIN + time)
    maker.close()
    pictures = Pictures(BagReader(tmp_path / "bag"), image_to_rgb)
    stamp = int(ORIGIN) * SECOND
    seen = [pictures.read("/camera/image_raw", stamp, int(t * SECOND)) for t in (0.5, 1.5, 9.0)]
    assert [int(rgb[0, 0, 0]) for rgb in seen] == [0, 1, 2]
    assert pictures.problems == [
        "1 stamps belong to several pictures: the newest that had come is taken"
    ]


def test_every_topic_is_played_in_the_order_of_time(run, tmp_path):
    """Also with --all, and from a file that holds one topic after the other."""
    directory, messages, notes = run
    file = write(tmp_path / "other.mcap", by_topic(messages), notes)
    dues = [
        scheduled.due
        for scheduled in read_schedule(BagReader(file), is_any, lambda topic: "").messages
    ]
    times = [
        scheduled.message.time
        for scheduled in read_schedule(BagReader(file), is_any, lambda _: "").messages
    ]
    assert dues == sorted(dues)
    assert times == sorted(times)
    assert dues[-1] == pytest.approx(
        read_schedule(BagReader(directory), is_any, lambda topic: "").duration
    )
