"""Playing a bag: what is sent and when, and real nodes that work on it by the bag's clock."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import rclpy
from builtin_interfaces.msg import Time
from kinova_msgs.msg import PoseVelocityWithFingers
from recorded_run import ORIGIN, BagMaker, record
from ros_bench import bench
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import String

from adp_ros.bags.bag_reader import BagReader
from adp_ros.bags.pictures import stamp_of
from adp_ros.bags.playback import Operation, is_any, is_sensed, read_schedule
from adp_ros.cli import main
from adp_ros.control.safety_machine import Status
from adp_ros.errors import ConfigError
from adp_ros.msg import ActionChunk, SafetyState
from adp_ros.ros.controller_node import ControllerNode
from adp_ros.ros.inference_node import InferenceNode
from adp_ros.ros.play_node import Playable, Player, PlaySettings
from adp_ros.ros.stamps import seconds

PARAMETERS = (
    "robot_type:=j2n6s300",
    "use_sim_time:=true",
    "controller_node:dry_run:=true",
    "controller_node:feed.stale:=1.0",  # on a busy machine samples come late,
    "controller_node:torque.still_angle:=0.1",  # and so does the start: the arm moves by then
    "controller_node:torque.tare_share:=2.0",
    "inference_node:policy:=oft",
    "inference_node:image_width:=64",
    "inference_node:image_height:=48",
)


@pytest.fixture(scope="module")
def bag(tmp_path_factory, checkpoint):
    """A recorded run whose pictures are JPEG."""
    directory = tmp_path_factory.mktemp("run") / "bag"
    record(directory, checkpoint, windows=6, jpeg=True)
    return directory


def schedule_of(bag, wanted=is_sensed, refused=lambda topic: ""):
    """Return reader and schedule of a bag."""
    reader = BagReader(bag)
    return reader, read_schedule(reader, wanted, refused)


def test_camera_and_arm_are_played_and_nothing_that_nodes_send(bag):
    """What running nodes publish themselves is left out; with all topics it is not."""
    _, schedule = schedule_of(bag)
    outs = {f"/j2n6s300_driver/out/{n}" for n in ("joint_state", "tool_pose", "finger_position")}
    torques = "/j2n6s300_driver/out/joint_torques"
    assert set(schedule.topics) == {"/camera/image_raw/compressed", torques, *outs}
    assert "/adp/action_chunk" in schedule_of(bag, is_any)[1].topics
    dues = [scheduled.due for scheduled in schedule.messages]
    assert dues == sorted(dues) and dues[0] == 0.0
    assert schedule.duration == pytest.approx(dues[-1])
    assert schedule.starts == 1
    start = next(
        scheduled for scheduled in schedule.messages if scheduled.operation is Operation.START
    )
    assert start.due == pytest.approx(0.8, abs=0.03)


def test_jpeg_is_unpacked_unless_the_picture_itself_is_there(tmp_path):
    """A stamp that the bag has uncompressed is not unpacked a second time."""
    maker = BagMaker(tmp_path / "bag")
    for i in range(4):
        jpeg = CompressedImage(format="jpeg")
        jpeg.header.stamp = Time(sec=i)
        maker.put("/camera/image_raw/compressed", jpeg, ORIGIN + i)
    raw = Image()
    raw.header.stamp = Time(sec=2)
    maker.put("/camera/image_raw", raw, ORIGIN + 2.0)  # written late, as used pictures are
    maker.close()
    reader, schedule = schedule_of(tmp_path / "bag")
    assert [round(scheduled.due) for scheduled in schedule.messages] == [0, 1, 2, 2, 3]
    operations = {
        stamp_of(reader.data(scheduled.message)): scheduled.operation
        for scheduled in schedule.messages
        if scheduled.message.topic.endswith("compressed")
    }
    assert [operations[i * 10**9] for i in range(4)] == [
        Operation.UNPACK,
        Operation.UNPACK,
        Operation.SEND,
        Operation.UNPACK,
    ]


def test_time_goes_on_where_the_clock_was_set_back(tmp_path):
    """A clock that was set back starts a new part that is due after the first."""
    maker = BagMaker(tmp_path / "bag")
    for time in (ORIGIN, ORIGIN + 1.0, ORIGIN - 50.0, ORIGIN - 49.5):
        maker.put("/j2n6s300_driver/out/joint_state", JointState(), time)
    maker.close()
    _, schedule = schedule_of(tmp_path / "bag")
    assert [scheduled.due for scheduled in schedule.messages] == pytest.approx([0.0, 1.0, 1.0, 1.5])
    assert any("time goes back by 51.0 s" in problem for problem in schedule.problems)


def play_into(ros, reader, schedule):
    """Play with the start of the recorded arm into the nodes that run; return what came of it."""
    player = Player(rclpy.create_node("player"), PlaySettings(starts=True), lambda: False)
    with ThreadPoolExecutor(1) as pool:

        def run():
            player.wait_for_nodes(schedule.topics)
            return player.run(reader, schedule)

        playing = pool.submit(run)
        ros.until(playing.done, 60.0)
    return playing.result()


def planned_from(reader, schedule, checkpoint):
    """Play into controller and policy; return what came of it, and what the two sent."""
    with bench([*PARAMETERS, f"inference_node:checkpoint:={checkpoint}"]) as ros:
        controller, _ = ros.add(ControllerNode()), ros.add(InferenceNode())
        chunks, states, sent = [], [], []
        controller.create_subscription(ActionChunk, "/adp/action_chunk", chunks.append, 10)
        controller.create_subscription(SafetyState, "/adp/safety_state", states.append, 10)
        topic = "/j2n6s300_driver/in/cartesian_velocity_with_fingers"
        controller.create_subscription(PoseVelocityWithFingers, topic, sent.append, 10)
        played = play_into(ros, reader, schedule)
    return played, chunks, states, sent


def test_nodes_plan_from_the_played_pictures(bag, checkpoint):
    """By the bag's clock the nodes plan windows from its frames; in dry run nothing is sent."""
    reader, schedule = schedule_of(bag, refused=Playable().refused)
    assert not schedule.problems
    stamps = {
        stamp_of(reader.data(scheduled.message)) * 1e-9
        for scheduled in schedule.messages
        if scheduled.message.topic.startswith("/camera")
    }
    for _ in range(3):  # a machine that is too busy for the nodes stops the controller
        played, chunks, states, sent = planned_from(reader, schedule, checkpoint)
        if played.complete:
            break
    assert played.complete and not played.problems
    assert played.messages == len(schedule.messages) - 1
    assert "started, dry run: the arm stays still" in played.answers
    assert any(Status(state.status) is Status.RUNNING for state in states)
    assert chunks and chunks[0].window == 0
    assert all(min(abs(seconds(c.header.stamp) - s) for s in stamps) < 1e-6 for c in chunks)
    assert not sent


def play_to(bag, parameters):
    """Play a bag with its start to a controller; return what came of it."""
    reader, schedule = schedule_of(bag, refused=Playable().refused)
    with bench(parameters) as ros:
        ros.add(ControllerNode())
        return play_into(ros, reader, schedule)


def test_a_controller_that_refuses_the_start_ends_the_playing(tmp_path, checkpoint):
    """One answer per start, however often it is asked, and the reason in one line."""
    directory = tmp_path / "bag"
    record(directory, checkpoint, windows=6, skip={"/j2n6s300_driver/out/joint_torques"})
    played = play_to(directory, PARAMETERS)
    assert not played.complete
    assert len(played.answers) == 1
    assert played.failure.startswith("the controller did not start: ")
    assert "\n" not in played.failure


def test_a_controller_that_stops_ends_the_playing(tmp_path, checkpoint):
    """A push that was recorded stops the controller; nothing is played after it."""
    directory = tmp_path / "bag"
    record(directory, checkpoint, windows=6, push=20.0)
    played = play_to(directory, PARAMETERS)
    assert not played.complete
    assert played.failure.startswith("the controller stopped: ")


def test_player_refuses_topics_that_somebody_publishes(bag):
    """Where camera or arm run, nothing is played into them."""
    with bench(["use_sim_time:=true"]) as ros:
        other = ros.add(rclpy.create_node("arm"))
        topic = "/j2n6s300_driver/out/joint_state"
        other.create_publisher(JointState, topic, 1)
        player = Player(rclpy.create_node("player"), PlaySettings(patience=5.0), lambda: False)
        with pytest.raises(ConfigError, match=f"{topic} is already published by arm: end camera"):
            player.wait_for_nodes([topic])


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--rate", "2"], "--rate is 2: policy and controller work in real time, give --all"),
        (["--rate", "0", "--all"], "--rate is 0, allowed: 0.1 to 10"),
        (["--all", "--start"], "--all and --start exclude each other"),
        (["--wait", "-1"], "--wait is -1, allowed: 0 to 3600 s"),
    ],
)
def test_wrong_use_is_one_line(bag, words, error, capsys):
    """What can't be played as asked is said before anything is sent."""
    assert main(["play", str(bag), *words]) == 2
    assert error in capsys.readouterr().err


def test_nobody_listens(bag, capsys, monkeypatch):
    """Without nodes on the bag's clock the command says how to start them."""
    monkeypatch.setenv("ROS_DOMAIN_ID", "99")
    assert main(["play", str(bag), "--wait", "0.2", "--json"]) == 2
    assert "no node follows /clock, waited 0.2 s: start the nodes" in capsys.readouterr().err


def test_bag_without_camera_and_arm_is_named(tmp_path, capsys):
    """A foreign bag, a cut one and an empty folder each get their own words."""
    maker = BagMaker(tmp_path / "foreign")
    maker.put("/chatter", String(data="hello"), ORIGIN)
    maker.close()
    assert main(["play", str(tmp_path / "foreign")]) == 2
    assert "nothing to play; topics: /chatter" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert main(["play", str(tmp_path / "empty")]) == 2
    assert "has no .mcap file in it" in capsys.readouterr().err


def test_unknown_type_is_left_out_and_named(bag):
    """A topic whose type is of another version is not played, the others are."""
    reader = BagReader(bag)
    playable = Playable()

    def refused(topic):
        if topic.name.endswith("tool_pose"):
            topic = type(topic)(
                name=topic.name, type_name=topic.type_name, definition="", type_hash="RIHS01_0"
            )
        return playable.refused(topic)

    schedule = read_schedule(reader, is_sensed, refused)
    assert not any(name.endswith("tool_pose") for name in schedule.topics)
    assert any(
        "geometry_msgs/msg/PoseStamped is of another version" in p for p in schedule.problems
    )
