"""The recorder node with real topics: what is published is in the bag, as it was published."""

import json
import os
import signal
import subprocess
import sys
from array import array

import pytest
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from ros_bench import bench, own_domain
from sensor_msgs.msg import CompressedImage, Image

from adp_ros.bags.bag_notes import CHECKPOINT, FILE, ORIGIN, PARAMETERS, BagNotes, settings_in
from adp_ros.bags.bag_reader import BagReader
from adp_ros.control.controller_settings import GROUPS
from adp_ros.errors import ConfigError
from adp_ros.health import Level
from adp_ros.msg import ActionChunk, SafetyState
from adp_ros.ros.controller_node import ControllerNode
from adp_ros.ros.launch_arguments import resolve_settings
from adp_ros.ros.launch_table import check_parameters, node_table
from adp_ros.ros.record_node import RecordNode
from adp_ros.settings import configs_from_flat, grouped_names, share_directory

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Source(Node):
    """Publishes pictures, chunks and a latched state."""

    def __init__(self, checkpoint, adp):
        super().__init__("inference_node")
        self.declare_parameter("checkpoint", str(checkpoint))
        self.declare_parameter("adp", str(adp))
        self.declare_parameter("image_topics", ["/camera/image_raw"])
        self.pictures = self.create_publisher(Image, "/camera/image_raw", qos_profile_sensor_data)
        self.jpegs = self.create_publisher(
            CompressedImage, "/camera/image_raw/compressed", qos_profile_sensor_data
        )
        self.chunks = self.create_publisher(ActionChunk, "/adp/action_chunk", 1)
        self.safety = self.create_publisher(SafetyState, "/adp/safety_state", LATCHED)
        self.overlay = self.create_publisher(Image, "/adp/overlay", 1)
        self.safety.publish(SafetyState(cause="published before the recorder came"))
        self.create_timer(0.05, self.tell)

    def tell(self):
        """Publish three pictures, and a chunk that was planned from the second."""
        for i in range(3):
            picture = Image(height=1, width=1, encoding="rgb8", step=3)
            picture.data = array("B", [i, i, i])
            picture.header.stamp.sec = 100 + i
            self.pictures.publish(picture)
        chunk = ActionChunk(window=7, actions=[0.125] * 56, policy="oft")
        chunk.header.stamp.sec = 101
        self.chunks.publish(chunk)
        self.overlay.publish(Image())


@pytest.fixture
def source_files(tmp_path):
    """A checkpoint directory and a settings file."""
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    (checkpoint / "config.json").write_text("{}")
    adp = tmp_path / "adp.yaml"
    adp.write_text("qk_keep_ratio: 0.25\n")
    return checkpoint, adp


def written(node, name):
    """Return a count of the recorder's health."""
    return node.health().values[name]


def contents(directory):
    """Return the decoded messages by topic, and the reader."""
    reader = BagReader(directory)
    found = {}
    for stored in reader.stored(lambda _: True):
        message = reader.decoder(stored.topic).decode(reader.data(stored))
        found.setdefault(stored.topic, []).append(message)
    return found, reader


def test_bag_of_a_named_arm_has_its_topics_alone_under_plain_names(tmp_path):
    """Of two arms in the domain the recorder's own; the bag reads like any other."""
    parameters = [f"directory:={tmp_path / 'bags'}"]
    with bench(parameters, "record_node:__ns:=/left") as ros:
        for name in ("left", "right"):
            arm = ros.add(Node("controller_node", namespace=name))
            publisher = arm.create_publisher(SafetyState, f"/{name}/adp/safety_state", LATCHED)
            publisher.publish(SafetyState(cause=name))
        node = ros.add(RecordNode())
        assert node.get_namespace() == "/left"
        ros.until(lambda: written(node, "written") >= 2)
        ros.until(lambda: written(node, "notes") >= 2)  # origin, and the controller's parameters
        (bag,) = (tmp_path / "bags").iterdir()
        ros.until(lambda: "/adp/safety_state" in contents(bag)[0])
    found, reader = contents(bag)
    assert {state.cause for state in found["/adp/safety_state"]} == {"left"}
    assert not [topic for topic in found if "left" in topic or "right" in topic]


def test_everything_needed_for_a_replay_is_in_the_bag(tmp_path, source_files):
    """Messages, a latched one, parameters, files and origin are there; excluded topics are not."""
    launch = json.dumps({"task": "wipe_table"})
    parameters = [f"directory:={tmp_path / 'bags'}", "frames:=used", f"launch:='{launch}'"]
    with bench(parameters) as ros:
        ros.add(Source(*source_files))
        node = ros.add(RecordNode())
        ros.until(lambda: written(node, "notes") >= 4)
        ros.until(lambda: written(node, "pictures") >= 1)
        (bag,) = (tmp_path / "bags").iterdir()
        ros.until(lambda: {"/adp/safety_state", "/camera/image_raw"} <= set(contents(bag)[0]))
        health = node.health()
    found, reader = contents(bag)
    assert reader.problems == []
    (picture,) = found["/camera/image_raw"]
    assert picture.data.tolist() == [1, 1, 1]
    chunk = found["/adp/action_chunk"][0]
    assert chunk.window == 7
    (state,) = found["/adp/safety_state"]
    assert state.cause == "published before the recorder came"
    assert "/adp/overlay" not in found
    assert "/camera/image_raw/compressed" not in reader.topics
    notes = dict(reader.notes)
    assert json.loads(notes[ORIGIN]["launch"]) == {"task": "wipe_table"}
    assert notes[CHECKPOINT]["hash"].startswith("sampled-sha256:")
    assert notes[FILE]["text"] == "qk_keep_ratio: 0.25\n"
    values = settings_in(notes[PARAMETERS]["yaml"], "parameters")
    assert values["image_topics"] == ["/camera/image_raw"]
    assert health.values["dropped"] == 0


def test_parameters_of_the_controller_come_back_as_its_settings(tmp_path):
    """Every one of them, empty lists too, which ROS gives back as unset."""
    with bench([f"record_node:directory:={tmp_path / 'bags'}"]) as ros:
        ros.add(ControllerNode())
        node = ros.add(RecordNode())
        ros.until(lambda: written(node, "notes") >= 2)  # origin, and the controller's parameters
        (bag,) = (tmp_path / "bags").iterdir()
        ros.until(lambda: BagNotes(BagReader(bag).notes).parameters("controller_node"))
    recorded = BagNotes(BagReader(bag).notes).parameters("controller_node")
    assert recorded["geometry.walls"] == []
    assert set(grouped_names(GROUPS)) <= set(recorded)
    values = {name: recorded[name] for name in grouped_names(GROUPS)}
    assert configs_from_flat(GROUPS, values, "bag") == configs_from_flat(GROUPS, {}, "defaults")


def test_folder_that_cannot_be_written_is_named(tmp_path):
    """A recording that can't begin is refused at once, with the folder."""
    (tmp_path / "file").write_text("")
    with (
        bench([f"directory:={tmp_path / 'file' / 'bags'}"]),
        pytest.raises(ConfigError, match="directory is '.*/file/bags': Not a directory"),
    ):
        RecordNode()


def test_full_disk_is_an_error_in_diagnostics(tmp_path):
    """The recording ends with an error in its health; the node goes on."""
    with bench([f"directory:={tmp_path}", "min_free_space:=9999.0"]) as ros:
        node = ros.add(RecordNode())
        ros.until(lambda: node.health().level is Level.ERROR)
        assert "left on the disk, min_free_space is 9999 GB" in node.health().message
    (bag,) = tmp_path.iterdir()
    _, reader = contents(bag)
    assert reader.problems == []


def test_launch_starts_the_recorder_on_request(tmp_path):
    """record:=true adds the node, whose parameters are accepted, with the launch arguments."""
    share = share_directory(os.environ)
    for value, expected in (("false", []), ("true", ["record_node"])):
        settings = resolve_settings({"record": value, "seed": "7"}, share)
        table = node_table(settings, tmp_path, share)
        specs = [spec for spec in table if spec.name == "record_node"]
        assert [spec.executable for spec in specs] == expected
    check_parameters(specs)
    assert json.loads(specs[0].parameters["launch"])["seed"] == 7


def test_command_records_until_it_is_stopped(tmp_path):
    """adp-ros record ends with SIGINT, tells what it recorded, and leaves a whole bag."""
    words = [sys.executable, "-m", "adp_ros.cli", "record", "--json", "--directory", str(tmp_path)]
    words += ["--min-free-space", "0.1"]
    environment = {**os.environ, "ROS_DOMAIN_ID": str(own_domain())}
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as child:
        try:
            assert "recording to" in child.stderr.readline()
            child.send_signal(signal.SIGINT)
            output, errors = child.communicate(timeout=30)
        finally:
            child.kill()
    assert (child.returncode, errors) == (0, "")
    values = json.loads(output)
    (bag,) = tmp_path.iterdir()
    assert values["bag"] == str(bag)
    assert values["dropped"] == 0
    assert contents(bag)[1].problems == []
