"""Bags as they are written and read: whole, killed, damaged, foreign; judged by other readers."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from mcap.reader import make_reader
from mcap.writer import CompressionType, Writer
from mcap_ros2.decoder import DecoderFactory
from recorded_run import offered
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from adp_ros.bags.bag_files import bag_files
from adp_ros.bags.bag_reader import BagReader
from adp_ros.bags.bag_topics import Definitions, TopicInfo
from adp_ros.bags.bag_writer import BagWriter
from adp_ros.bags.recorder import Note, Record, Recorder, RecordSettings
from adp_ros.errors import BagError, CheckpointError, ConfigError
from adp_ros.health import Level
from adp_ros.policies.checkpoints import checkpoint_fingerprint, git_revision

TERABYTE = 10**12
KILLED_WRITER = """
import sys, time
from pathlib import Path
from adp_ros.bags.bag_writer import BagWriter
from adp_ros.bags.recorder import Record, Recorder, RecordSettings

from adp_ros.bags.bag_topics import TopicInfo
writer = BagWriter(Path(sys.argv[1]) / "bag")
recorder = Recorder(writer, RecordSettings(flush_period=0.5), lambda: 10**12)
recorder.put(TopicInfo(name="/t", type_name="std_msgs/msg/String", definition="string data",
                       type_hash="RIHS01_0"))
print("ready", flush=True)
while True:
    now = time.monotonic_ns()
    recorder.put(Record("/t", b"\\0\\1\\0\\0" + bytes(5000), now, now))
    recorder.step(time.monotonic())
    time.sleep(0.002)
"""


@pytest.fixture(scope="module")
def definitions():
    """The message types that are installed here."""
    return Definitions(os.environ)


@pytest.fixture
def chunk_topic(definitions):
    """Topic of the chunks."""
    name = "adp_ros/msg/ActionChunk"
    return TopicInfo(
        name="/adp/action_chunk",
        type_name=name,
        definition=definitions.text(name),
        type_hash=definitions.type_hash(name),
        qos=offered(depth=1, durability="transient_local"),
    )


def string_topic(name="/t", type_name="std_msgs/msg/String"):
    """A topic of the simplest type."""
    return TopicInfo(name=name, type_name=type_name, definition="string data", type_hash="RIHS01_0")


def header_message(stamp, size=0):
    """Serialized bytes that begin with a header of a stamp in [ns]."""
    sec, nanosec = divmod(stamp, 10**9)
    return b"\0\1\0\0" + sec.to_bytes(4, "little") + nanosec.to_bytes(4, "little") + bytes(size)


def write_bag(directory, messages=10):
    """Write a bag with the topic /t, one message per second."""
    writer = BagWriter(directory)
    writer.add_topic(string_topic())
    for i in range(messages):
        writer.write("/t", bytes([0, 1, 0, 0, i]), i * 10**9, i * 10**9)
        writer.flush()
    writer.close()
    return directory


def read(path):
    """Return the messages of a bag and what is wrong with it."""
    reader = BagReader(path)
    found = [
        SimpleNamespace(**stored._asdict(), data=reader.data(stored))
        for stored in reader.stored(lambda _: True)
    ]
    return found, tuple(reader.problems)


@pytest.mark.parametrize("compression", ["none", "lz4", "zstd"])
def test_other_readers_find_every_message(tmp_path, chunk_topic, compression):
    """The libraries mcap, mcap-ros2-support and rosbags decode what was written."""
    from rclpy.serialization import serialize_message

    from adp_ros.msg import ActionChunk

    writer = BagWriter(tmp_path / "bag", compression)
    writer.add_topic(chunk_topic)
    for i in range(5):
        message = ActionChunk(window=i, actions=[0.5 * i] * 56, policy="oft")
        writer.write(chunk_topic.name, serialize_message(message), 100 + i, 90 + i)
    writer.close()
    with (tmp_path / "bag" / "bag_0.mcap").open("rb") as stream:
        reader = make_reader(stream, decoder_factories=[DecoderFactory()])
        decoded = [m for _, _, _, m in reader.iter_decoded_messages()]
    assert [m.window for m in decoded] == [0, 1, 2, 3, 4]
    assert decoded[3].actions[7] == 1.5
    with Reader(tmp_path / "bag") as bag:
        connection = bag.connections[0]
        store = get_typestore(Stores.EMPTY)
        store.register(get_types_from_msg(connection.msgdef.data, connection.msgtype))
        assert store.hash_rihs01(connection.msgtype) == connection.digest
        assert connection.ext.offered_qos_profiles[0].durability.name == "TRANSIENT_LOCAL"
        times = [time for _, time, _ in bag.messages()]
    assert times == [100, 101, 102, 103, 104]


def test_metadata_is_that_of_rosbag2_jazzy(tmp_path):
    """metadata.yaml has version 9, the counts, and times of the bag, without YAML aliases."""
    text = (write_bag(tmp_path / "bag") / "metadata.yaml").read_text()
    information = yaml.safe_load(text)["rosbag2_bagfile_information"]
    assert information["version"] == 9
    assert information["storage_identifier"] == "mcap"
    assert information["message_count"] == 10
    assert information["duration"] == {"nanoseconds": 9 * 10**9}
    assert information["relative_file_paths"] == ["bag_0.mcap"]
    assert "&" not in text


def test_definitions_hash_as_rosidl_does(definitions):
    """Text of a message and of all in it gives, by rosbags, the hash that rosidl installed."""
    for name in ("sensor_msgs/msg/Image", "adp_ros/msg/GateState", "kinova_msgs/msg/JointAngles"):
        store = get_typestore(Stores.EMPTY)
        store.register(get_types_from_msg(definitions.text(name), name))
        assert store.hash_rihs01(name) == definitions.type_hash(name)


def test_unknown_message_type_is_named(definitions):
    """A type that is not installed is an error that names it."""
    with pytest.raises(ConfigError, match="message type no_msgs/msg/No is not installed"):
        definitions.text("no_msgs/msg/No")


@pytest.mark.parametrize("attempt", range(3))
def test_killed_recorder_leaves_all_but_the_last_second(tmp_path, attempt):
    """After SIGKILL at any moment the bag reads in order up to one second before it."""
    words = [sys.executable, "-c", KILLED_WRITER, str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "ready\n"
        time.sleep(0.7 + 0.31 * attempt)
        child.send_signal(signal.SIGKILL)
        child.wait()
        killed = time.monotonic_ns()
    messages, problems = read(tmp_path / "bag")
    assert killed - messages[-1].log_time < 10**9
    assert [m.log_time for m in messages] == sorted(m.log_time for m in messages)
    assert len(problems) == 1
    assert "the recording was" in problems[0]


def test_truncated_bag_is_read_up_to_the_cut(tmp_path):
    """Wherever the file is cut, the messages before the cut come, and the cut is named."""
    file = write_bag(tmp_path / "bag") / "bag_0.mcap"
    whole = file.read_bytes()
    counts = []
    for size in range(8, len(whole) - 500):
        file.write_bytes(whole[:size])
        messages, problems = read(file)
        counts.append(len(messages))
        assert len(problems) == 1 or len(messages) == 10
    assert counts == sorted(counts)
    assert counts[0] == 0
    assert max(counts) == 10


def test_damaged_chunk_is_skipped_and_named(tmp_path):
    """A flipped byte costs one chunk, which is named; the others come."""
    file = write_bag(tmp_path / "bag") / "bag_0.mcap"
    data = bytearray(file.read_bytes())
    data[data.index(bytes([0, 1, 0, 0, 4]))] ^= 0xFF
    file.write_bytes(data)
    messages, problems = read(file)
    assert [m.data[4] for m in messages] == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert len(problems) == 1
    assert "bag_0.mcap: damaged at byte" in problems[0]


def test_damaged_beginning_costs_only_itself(tmp_path):
    """Topics are known from the file's end when the record that tells them first is damaged."""
    file = write_bag(tmp_path / "bag") / "bag_0.mcap"
    data = bytearray(file.read_bytes())
    data[data.index(bytes([0, 1, 0, 0, 0]))] ^= 0xFF
    file.write_bytes(data)
    messages, problems = read(file)
    assert [m.data[4] for m in messages] == list(range(1, 10))
    assert len(problems) == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.mcap", b"", "is empty"),
        ("a.mcap", b"hello world", "is no MCAP file"),
        ("a.db3", b"SQLite format 3\0", "is an SQLite bag; ros2 bag convert"),
        ("a.bag", b"#ROSBAG V2.0\n", "is a bag of ROS 1; rosbags-convert"),
    ],
)
def test_foreign_file_is_named(tmp_path, name, content, message):
    """What is no MCAP bag is refused with what it is."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BagError, match=message):
        bag_files(tmp_path / name)


def test_missing_bag_is_named(tmp_path):
    """A path without a bag is refused by name."""
    with pytest.raises(BagError, match="nowhere does not exist"):
        bag_files(tmp_path / "nowhere")
    with pytest.raises(BagError, match=r"has no \.mcap file"):
        bag_files(tmp_path)


def test_split_bag_is_read_in_the_order_of_its_files(tmp_path):
    """File 10 comes after file 9."""
    for i in (10, 9, 2):
        with (tmp_path / f"bag_{i}.mcap").open("wb") as stream:
            writer = Writer(stream, compression=CompressionType.NONE)
            writer.start("ros2")
            schema = writer.register_schema("std_msgs/msg/String", "ros2msg", b"string data")
            channel = writer.register_channel("/t", "cdr", schema)
            writer.add_message(channel, i, bytes([i]), i)
            writer.finish()
    messages, problems = read(tmp_path)
    assert [m.log_time for m in messages] == [2, 9, 10]
    assert problems == ()


def test_time_that_goes_back_is_named(tmp_path):
    """A jump of the clock is named with its size; no message is lost."""
    writer = BagWriter(tmp_path / "bag")
    writer.add_topic(string_topic())
    for time_s in (100, 101, 50, 51):
        writer.write("/t", b"\0\1\0\0", time_s * 10**9, 0)
    writer.close()
    messages, problems = read(tmp_path / "bag")
    assert len(messages) == 4
    assert problems == ("time goes back by 51.0 s in /t",)


def test_only_the_picture_of_each_chunk_is_kept(tmp_path):
    """With frames:=used a bag holds the pictures whose stamp a chunk carries, and no others."""
    writer = BagWriter(tmp_path / "bag")
    recorder = Recorder(writer, RecordSettings(frames="used"), lambda: TERABYTE)
    recorder.put(string_topic("/camera/image_raw", "sensor_msgs/msg/Image"))
    recorder.put(string_topic("/adp/action_chunk", "adp_ros/msg/ActionChunk"))
    for i in range(20):
        data = header_message(i, 100)
        recorder.put(Record("/camera/image_raw", data, i, i))
    for i in (3, 7, 7, 99):
        recorder.put(Record("/adp/action_chunk", header_message(i), 50 + i, 50 + i))
    data = header_message(42, 100)  # later than its chunk
    recorder.put(Record("/adp/action_chunk", data, 42, 42))
    recorder.put(Record("/camera/image_raw", data, 43, 43))
    recorder.step(0.0)
    recorder.close()
    messages, _ = read(tmp_path / "bag")
    pictures = [m.log_time for m in messages if m.topic == "/camera/image_raw"]
    assert pictures == [3, 7, 43]
    assert recorder.health().values["frames_missed"] == 1  # stamp 99 never came


def test_recording_ends_before_the_disk_is_full(tmp_path):
    """With less space than allowed the bag is closed in order, and the reason is an error."""
    free = [3 * 10**9]
    writer = BagWriter(tmp_path / "bag")
    recorder = Recorder(writer, RecordSettings(min_free_space=2.0), lambda: free[0])
    recorder.put(string_topic())
    recorder.put(Record("/t", b"\0\1\0\0", 1, 1))
    recorder.step(10.0)
    assert recorder.health().level is Level.OK
    free[0] = 10**9
    recorder.put(Record("/t", b"\0\1\0\0", 2, 2))
    recorder.step(20.0)
    health = recorder.health()
    assert health.level is Level.ERROR
    assert "1.00 GB left on the disk, min_free_space is 2 GB" in health.message
    recorder.put(Record("/t", b"\0\1\0\0", 3, 3))
    recorder.step(30.0)
    recorder.close()
    messages, problems = read(tmp_path / "bag")
    assert ([m.log_time for m in messages], problems) == ([1, 2], ())


def test_failing_disk_is_an_error_and_not_an_exception(tmp_path, monkeypatch):
    """When a write fails the recording ends with the reason; the node goes on."""
    writer = BagWriter(tmp_path / "bag")
    recorder = Recorder(writer, RecordSettings(), lambda: TERABYTE)

    def full():
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writer, "flush", full)
    recorder.step(10.0)
    assert recorder.health().level is Level.ERROR
    assert recorder.health().message == ("recording ended: writing failed: No space left on device")
    recorder.close()


def test_slow_disk_drops_and_counts(tmp_path):
    """More than queue_size waiting is dropped, counted, and a warning."""
    recorder = Recorder(BagWriter(tmp_path / "bag"), RecordSettings(queue_size=8), lambda: TERABYTE)
    recorder.put(string_topic())
    for i in range(10):
        recorder.put(Record("/t", bytes(2**20), i, i))
    recorder.step(0.0)
    health = recorder.health()
    assert health.level is Level.WARN
    assert (health.values["received"], health.values["written"]) == (10, 8)
    assert health.message == "2 messages dropped, 0 used pictures missed"
    recorder.close()


def test_notes_come_back(tmp_path):
    """Metadata records are read as they were written."""
    recorder = Recorder(BagWriter(tmp_path / "bag"), RecordSettings(), lambda: TERABYTE)
    recorder.put(Note("adp_ros/origin", {"git_revision": "abc"}))
    recorder.step(0.0)
    recorder.close()
    reader = BagReader(tmp_path / "bag")
    assert list(reader.stored(lambda _: True)) == []
    assert ("adp_ros/origin", {"git_revision": "abc"}) in reader.notes


def test_fingerprint_tells_checkpoints_apart(tmp_path):
    """A changed number in the middle of a large file changes the hash; a copy does not."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
        (tmp_path / name / "model.safetensors").write_bytes(bytes(8 * 2**20))
    a, b = (tmp_path / name for name in "ab")
    assert checkpoint_fingerprint(a) == checkpoint_fingerprint(b)
    weights = bytearray((b / "model.safetensors").read_bytes())
    weights[len(weights) // 2 : len(weights) // 2 + 2**18] = b"\1" * 2**18
    (b / "model.safetensors").write_bytes(weights)
    assert checkpoint_fingerprint(a) != checkpoint_fingerprint(b)
    with pytest.raises(CheckpointError, match="c can't be read"):
        checkpoint_fingerprint(tmp_path / "c")


def test_revision_of_a_folder_without_git_is_empty(tmp_path):
    """Outside of a checkout there is no revision, and no error."""
    assert git_revision(tmp_path) == ""


def test_settings_out_of_range_are_named():
    """A wrong setting is refused by name."""
    with pytest.raises(ConfigError, match="frames is 'all', allowed: one of 'jpeg\\+used'"):
        RecordSettings(frames="all")
    with pytest.raises(ConfigError, match=r"min_free_space is 0\.0, allowed"):
        RecordSettings(min_free_space=0.0)


def test_sample_config_is_the_default():
    """config/record.yaml says what the settings say."""
    file = Path(__file__).parents[2] / "config" / "record.yaml"
    values = yaml.safe_load(file.read_text())["record_node"]["ros__parameters"]
    values["exclude"] = tuple(values["exclude"])
    assert RecordSettings(**values) == RecordSettings()
